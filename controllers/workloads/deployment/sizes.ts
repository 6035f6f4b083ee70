import type { ReplicaSet } from '@trimtab/machinery';
import { desiredOf, maxOf } from './revisions.js';
import type { Allowance } from './strategy.js';

/**
 * How large each ReplicaSet should be next (kubernetes: pkg/controller/deployment rolling.go, sync.go). Pure arithmetic:
 * never more than wanted + maxSurge pods, never fewer than wanted − maxUnavailable available.
 */
export interface Resize {
  readonly replicaSet: ReplicaSet;
  readonly to: number;
}

export const sizeOf = (replicaSet: ReplicaSet | undefined): number => replicaSet?.spec?.replicas ?? 0;
export const availableOf = (replicaSet: ReplicaSet | undefined): number => replicaSet?.status?.availableReplicas ?? 0;
const total = (replicaSets: readonly ReplicaSet[], of: (r: ReplicaSet) => number): number =>
  replicaSets.reduce((sum, replicaSet) => sum + of(replicaSet), 0);

const createdAt = (replicaSet: ReplicaSet): string => replicaSet.metadata.creationTimestamp ?? '';
export const byCreation = (a: ReplicaSet, b: ReplicaSet): number =>
  createdAt(a) < createdAt(b) ? -1 : createdAt(a) > createdAt(b) ? 1 : a.metadata.name! < b.metadata.name! ? -1 : 1;

/** How many pods of the new template there may be, `present` of them being there. */
export function newSize(present: number, all: readonly ReplicaSet[], rolling: boolean, allowance: Allowance): number {
  const { wanted, maxSurge } = allowance;
  if (!rolling || present > wanted) return wanted;
  const room = wanted + maxSurge - total(all, sizeOf);
  return room <= 0 ? present : present + Math.min(room, wanted - present);
}

/** Which old ReplicaSets can shrink now: first pods that are not available anyway, then available ones. */
export function shrinkOld(
  newOne: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  { wanted, maxUnavailable }: Allowance,
): readonly Resize[] {
  if (total(old, sizeOf) === 0) return [];
  const minAvailable = wanted - maxUnavailable;
  const newUnavailable = sizeOf(newOne) - availableOf(newOne);
  const maxCleanup = total(old, sizeOf) + sizeOf(newOne) - minAvailable - newUnavailable;
  if (maxCleanup <= 0) return [];
  const sizes = new Map(old.map((replicaSet) => [replicaSet, sizeOf(replicaSet)]));
  const ordered = [...old].sort(byCreation);
  let cleaned = 0;
  for (const replicaSet of ordered) {
    const unhealthy = Math.max(0, sizeOf(replicaSet) - availableOf(replicaSet));
    const count = Math.min(maxCleanup - cleaned, unhealthy);
    sizes.set(replicaSet, sizeOf(replicaSet) - count);
    cleaned += count;
  }
  let spare = Math.max(0, total(old, availableOf) + availableOf(newOne) - minAvailable);
  for (const replicaSet of ordered) {
    const size = sizes.get(replicaSet)!;
    const count = Math.min(size, spare);
    sizes.set(replicaSet, size - count);
    spare -= count;
  }
  return changesOf(ordered, sizes);
}

/** Which sizes follow from a changed number of wanted replicas alone, in proportion while a rollout is under way. */
export function proportionally(
  newOne: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  rolling: boolean,
  allowance: Allowance,
  statusReplicas: number,
): readonly Resize[] {
  const { wanted, maxSurge } = allowance;
  const activeOld = old.filter((replicaSet) => sizeOf(replicaSet) > 0);
  const active = newOne && sizeOf(newOne) > 0 ? [...activeOld, newOne] : activeOld;
  if (active.length <= 1) {
    const only = active[0] ?? newOne ?? [...old].sort(byCreation).at(-1);
    return only ? [{ replicaSet: only, to: wanted }] : [];
  }
  const saturated =
    newOne !== undefined && desiredOf(newOne) === wanted && sizeOf(newOne) === wanted && availableOf(newOne) === wanted;
  if (saturated) return activeOld.map((replicaSet) => ({ replicaSet, to: 0 }));
  if (!rolling) return [];
  const allowed = wanted > 0 ? wanted + maxSurge : 0;
  const toAdd = allowed - total(active, sizeOf);
  const ordered = [...active].sort(
    (a, b) => sizeOf(b) - sizeOf(a) || (toAdd > 0 ? byCreation(b, a) : byCreation(a, b)),
  );
  let added = 0;
  const sizes = new Map<ReplicaSet, number>();
  for (const replicaSet of ordered) {
    const share = shareOf(replicaSet, toAdd - added, allowance, statusReplicas);
    sizes.set(replicaSet, sizeOf(replicaSet) + share);
    added += share;
  }
  const largest = ordered[0]!;
  sizes.set(largest, Math.max(0, sizes.get(largest)! + toAdd - added));
  return ordered.map((replicaSet) => ({ replicaSet, to: sizes.get(replicaSet)! }));
}

function shareOf(
  replicaSet: ReplicaSet,
  left: number,
  { wanted, maxSurge }: Allowance,
  statusReplicas: number,
): number {
  const size = sizeOf(replicaSet);
  if (size === 0 || left === 0) return 0;
  const before = maxOf(replicaSet) || statusReplicas;
  const fraction = wanted === 0 ? -size : before === 0 ? 0 : Math.round((size * (wanted + maxSurge)) / before) - size;
  return left > 0 ? Math.min(fraction, left) : Math.max(fraction, left);
}

const changesOf = (ordered: readonly ReplicaSet[], sizes: ReadonlyMap<ReplicaSet, number>): readonly Resize[] =>
  ordered
    .map((replicaSet) => ({ replicaSet, to: sizes.get(replicaSet)! }))
    .filter(({ replicaSet, to }) => to !== sizeOf(replicaSet));
