import { controllerOf, isControlledBy, isDeleting, type View } from '@trimtab/framework';
import {
  type Pod,
  Pods,
  type ReplicaSet,
  type ReplicaSetCondition,
  type ResourceType,
  type Selector,
  timestamp,
} from '@trimtab/machinery';
import { type Claims, claim } from '../claims.js';
import { availableIn, isActive, isReady } from '../pods.js';
import { rankForDeletion } from './ranking.js';

/** At most this many pods are made or removed at a time. */
export const BURST_REPLICAS = 500;

/** A kind that keeps replicas of a pod: ReplicaSet, and ReplicationController, which differs in its selector only. */
export interface SetKind {
  readonly type: ResourceType<ReplicaSet>;
  readonly selector: (set: ReplicaSet) => Selector;
}

/** All that a ReplicaSet's next step depends on. */
export interface ReplicaSetFacts {
  readonly kind: SetKind;
  readonly replicaSet: ReplicaSet;
  readonly claims: Claims<Pod>;
  /** Pods that count as replicas. */
  readonly active: readonly Pod[];
  readonly wanted: number;
  /** How many to make. */
  readonly missing: number;
  /** Which to delete, in order. */
  readonly surplus: readonly Pod[];
  readonly status: NonNullable<ReplicaSet['status']>;
  /** When the next ready pod becomes available, in milliseconds from now. */
  readonly nextAvailableIn: number | undefined;
  readonly failed: boolean;
}

export function replicaSetFacts(view: View<ReplicaSet>, kind: SetKind): ReplicaSetFacts | undefined {
  const replicaSet = view.object;
  if (!replicaSet) return undefined;
  const candidates = [...view.owned(Pods), ...orphans(view, replicaSet)];
  const claims = claim(replicaSet, kind.selector(replicaSet), candidates);
  const active = claims.owned.filter(isActive);
  const wanted = replicaSet.spec?.replicas ?? 1;
  const deleting = isDeleting(replicaSet);
  const difference = deleting ? 0 : active.length - wanted;
  const minReadySeconds = replicaSet.spec?.minReadySeconds ?? 0;
  const waits = active.map((pod) => availableIn(pod, minReadySeconds, view.now));
  const ahead = waits.filter((ms): ms is number => ms !== undefined && ms > 0);
  const surplus =
    difference > 0
      ? rankForDeletion(active, related(view, kind, replicaSet, active), view.now).slice(0, difference)
      : [];
  return {
    kind,
    replicaSet,
    claims,
    active,
    wanted,
    missing: Math.min(Math.max(0, -difference), BURST_REPLICAS),
    surplus: surplus.slice(0, BURST_REPLICAS),
    status: statusOf(view, replicaSet, active, waits, difference),
    nextAvailableIn: ahead.length > 0 ? Math.min(...ahead) : undefined,
    failed: managingFailed(view),
  };
}

/** Pods of the namespace that nobody controls. */
function orphans(view: View<ReplicaSet>, replicaSet: ReplicaSet): readonly Pod[] {
  return view
    .byIndex(Pods, 'uncontrolled', replicaSet.metadata.namespace ?? '')
    .filter((pod) => controllerOf(pod) === undefined);
}

/** Active pods of all ReplicaSets of the same Deployment: they share nodes on its behalf. */
function related(
  view: View<ReplicaSet>,
  kind: SetKind,
  replicaSet: ReplicaSet,
  active: readonly Pod[],
): readonly Pod[] {
  const deployment = controllerOf(replicaSet);
  if (!deployment) return active;
  const siblings = view.byIndex(kind.type, 'owner', deployment.uid);
  return siblings.flatMap((sibling) =>
    view.byIndex(Pods, 'owner', sibling.metadata.uid!).filter((pod) => isControlledBy(pod, sibling) && isActive(pod)),
  );
}

const managingFailed = (view: View<ReplicaSet>): boolean => {
  const effect = view.failure?.effect;
  return (effect?.type === 'create' || effect?.type === 'delete') && effect.resource.resource === 'pods';
};

function statusOf(
  view: View<ReplicaSet>,
  replicaSet: ReplicaSet,
  active: readonly Pod[],
  waits: readonly (number | undefined)[],
  difference: number,
): NonNullable<ReplicaSet['status']> {
  const templateLabels = Object.entries(replicaSet.spec?.template?.metadata?.labels ?? {});
  const fullyLabeled = active.filter((pod) => templateLabels.every(([k, v]) => pod.metadata.labels?.[k] === v));
  return {
    replicas: active.length,
    fullyLabeledReplicas: some(fullyLabeled.length),
    readyReplicas: some(active.filter(isReady).length),
    availableReplicas: some(waits.filter((ms) => ms === 0).length),
    observedGeneration: replicaSet.metadata.generation,
    conditions: conditionsOf(view, replicaSet, difference),
  };
}

/** Zero is written by leaving it out, as Go does. */
const some = (count: number): number | undefined => (count === 0 ? undefined : count);

/** `ReplicaFailure` is there exactly while making or deleting pods fails. */
function conditionsOf(
  view: View<ReplicaSet>,
  replicaSet: ReplicaSet,
  difference: number,
): readonly ReplicaSetCondition[] | undefined {
  const present = replicaSet.status?.conditions ?? [];
  const others = present.filter((condition) => condition.type !== 'ReplicaFailure');
  if (!managingFailed(view)) return others.length > 0 ? others : undefined;
  const reason = difference < 0 ? 'FailedCreate' : 'FailedDelete';
  const known = present.find((condition) => condition.type === 'ReplicaFailure' && condition.reason === reason);
  return known
    ? present
    : [
        ...others,
        {
          type: 'ReplicaFailure',
          status: 'True',
          reason,
          message: view.failure?.error.message,
          lastTransitionTime: timestamp(view.now),
        },
      ];
}
