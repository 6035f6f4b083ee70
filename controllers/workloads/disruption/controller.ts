import { type ControllerDefinition, controller, type Reader, watch } from '@trimtab/framework';
import {
  Deployments,
  type KubeObject,
  matchesLabels,
  type ObjectKey,
  PodDisruptionBudgets,
  Pods,
  ReplicaSets,
  ReplicationControllers,
  StatefulSets,
  selectorFromObject,
} from '@trimtab/machinery';
import { disruptionMachine } from './machine.js';

/** Keeps the books of PodDisruptionBudgets (kubernetes: pkg/controller/disruption). */
export const disruptionController: ControllerDefinition = controller({
  name: 'disruption-controller',
  for: PodDisruptionBudgets,
  watches: [
    watch(Pods, (pod, reader) => budgetsOf(pod, reader)),
    ...[ReplicaSets, StatefulSets, ReplicationControllers].map((type) =>
      watch(type as typeof ReplicaSets, (set, reader) => budgetsOf(podLike(set), reader), { ignores: sameScale }),
    ),
    watch(Deployments, (deployment, reader) => budgetsOf(podLike(deployment), reader), { ignores: sameScale }),
  ],
  machine: disruptionMachine,
});

interface Scaled extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly metadata?: { readonly labels?: Readonly<Record<string, string>> } };
  };
}

function sameScale(before: Scaled, after: Scaled): boolean {
  return before.spec?.replicas === after.spec?.replicas;
}

/** A pod of the set as its template has it. */
const podLike = ({ metadata, spec }: Scaled): KubeObject => ({
  metadata: { namespace: metadata.namespace, labels: spec?.template?.metadata?.labels },
});

function budgetsOf({ metadata }: KubeObject, reader: Reader): readonly ObjectKey[] {
  return reader
    .list(PodDisruptionBudgets, metadata.namespace)
    .filter(({ spec }) => matchesLabels(selectorFromObject(spec?.selector), metadata.labels))
    .map((budget) => ({ namespace: metadata.namespace, name: budget.metadata.name! }));
}
