import { type ControllerDefinition, controller, controllerOf, index, type Reader, watch } from '@trimtab/framework';
import {
  matchesLabels,
  type ObjectKey,
  type Pod,
  Pods,
  type ReplicaSet,
  ReplicaSets,
  ReplicationControllers,
  type ResourceType,
  selectNothing,
  selectorFromLabels,
} from '@trimtab/machinery';
import { workloadSelector } from '../claims.js';
import type { SetKind } from './facts.js';
import { replicaMachine } from './machine.js';

/** Keeps as many pods of a template as it is told (kubernetes: pkg/controller/replicaset). */
export const replicaSetController: ControllerDefinition = keeperOf('replicaset-controller', 'replicaset', {
  type: ReplicaSets,
  selector: ({ spec }) => workloadSelector(spec?.selector),
});

/** The same for ReplicationControllers, whose selector is a plain map of labels. */
export const replicationController: ControllerDefinition = keeperOf('replication-controller', 'replicationcontroller', {
  // Field for field a ReplicaSet but for its selector, which nobody reads but the line below.
  type: ReplicationControllers as unknown as ResourceType<ReplicaSet>,
  selector: ({ spec }) => {
    const labels = spec?.selector as Readonly<Record<string, string>> | undefined;
    return labels && Object.keys(labels).length > 0 ? selectorFromLabels(labels) : selectNothing;
  },
});

function keeperOf(name: string, id: string, kind: SetKind): ControllerDefinition {
  /** The sets that would take in a pod nobody controls. */
  const adopters = (pod: Pod, reader: Reader): readonly ObjectKey[] => {
    if (controllerOf(pod)) return [];
    return reader
      .list(kind.type, pod.metadata.namespace)
      .filter((set) => matchesLabels(kind.selector(set), pod.metadata.labels))
      .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name! }));
  };
  return controller({
    name,
    for: kind.type,
    owns: [Pods],
    watches: [watch(Pods, adopters)],
    indexes: [index(Pods, { uncontrolled: (pod) => (controllerOf(pod) ? [] : [pod.metadata.namespace ?? '']) })],
    machine: replicaMachine(id, kind),
  });
}
