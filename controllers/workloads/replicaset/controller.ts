import { type ControllerDefinition, controller, controllerOf, index, type Reader, watch } from '@trimtab/framework';
import { matchesLabels, type ObjectKey, type Pod, Pods, ReplicaSets } from '@trimtab/machinery';
import { workloadSelector } from '../claims.js';
import { replicaSetMachine } from './machine.js';

/** Keeps as many pods of a template as it is told (kubernetes: pkg/controller/replicaset). */
export const replicaSetController: ControllerDefinition = controller({
  name: 'replicaset-controller',
  for: ReplicaSets,
  owns: [Pods],
  watches: [watch(Pods, adopters)],
  indexes: [index(Pods, { uncontrolled: (pod) => (controllerOf(pod) ? [] : [pod.metadata.namespace ?? '']) })],
  machine: replicaSetMachine,
});

/** The ReplicaSets that would take in a pod nobody controls. */
function adopters(pod: Pod, reader: Reader): readonly ObjectKey[] {
  if (controllerOf(pod)) return [];
  return reader
    .list(ReplicaSets, pod.metadata.namespace)
    .filter((replicaSet) => matchesLabels(workloadSelector(replicaSet.spec?.selector), pod.metadata.labels))
    .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name! }));
}
