import {
  type ControllerDefinition,
  controller,
  controllerOf,
  index,
  type Reader,
  refersTo,
  watch,
} from '@trimtab/framework';
import {
  Deployments,
  matchesLabels,
  type ObjectKey,
  type Pod,
  Pods,
  type ReplicaSet,
  ReplicaSets,
} from '@trimtab/machinery';
import { workloadSelector } from '../claims.js';
import { deploymentMachine } from './machine.js';

/** Rolls a pod template out over ReplicaSets, one revision each (kubernetes: pkg/controller/deployment). */
export const deploymentController: ControllerDefinition = controller({
  name: 'deployment-controller',
  for: Deployments,
  owns: [ReplicaSets],
  // Only Recreate waits for pods, and only for their end.
  watches: [watch(ReplicaSets, adopters), watch(Pods, workloadOf, { on: ['deleted'] })],
  indexes: [index(ReplicaSets, { uncontrolled: (set) => (controllerOf(set) ? [] : [set.metadata.namespace ?? '']) })],
  machine: deploymentMachine,
});

/** The Deployments that would take in a ReplicaSet nobody controls. */
function adopters(replicaSet: ReplicaSet, reader: Reader): readonly ObjectKey[] {
  if (controllerOf(replicaSet)) return [];
  return reader
    .list(Deployments, replicaSet.metadata.namespace)
    .filter((each) => matchesLabels(workloadSelector(each.spec?.selector), replicaSet.metadata.labels))
    .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name! }));
}

function workloadOf(pod: Pod, reader: Reader): readonly ObjectKey[] {
  const { namespace } = pod.metadata;
  const owner = controllerOf(pod);
  if (!owner || !refersTo(owner, ReplicaSets)) return [];
  const replicaSet = reader.get(ReplicaSets, { namespace, name: owner.name });
  const deployment = replicaSet && controllerOf(replicaSet);
  return deployment && refersTo(deployment, Deployments) ? [{ namespace, name: deployment.name }] : [];
}
