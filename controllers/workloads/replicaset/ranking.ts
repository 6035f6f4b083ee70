import type { Pod } from '@trimtab/machinery';
import { isReady, readySince } from '../pods.js';

const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

/**
 * The order in which surplus pods go (kubernetes: ActivePodsWithRanks): unassigned before assigned, pending before
 * running, not ready before ready, cheaper before dearer, on fuller nodes before emptier ones, younger before older by
 * order of magnitude, more restarts before fewer.
 *
 * @param related active pods of the same workload, for how many share a node.
 */
export function rankForDeletion(pods: readonly Pod[], related: readonly Pod[], now: number): readonly Pod[] {
  const perNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec?.nodeName;
    if (node) perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  const crowd = (pod: Pod) => perNode.get(pod.spec?.nodeName ?? '') ?? 0;
  return [...pods].sort(
    (a, b) =>
      Number(assigned(a)) - Number(assigned(b)) ||
      phaseRank(a) - phaseRank(b) ||
      Number(isReady(a)) - Number(isReady(b)) ||
      deletionCost(a) - deletionCost(b) ||
      crowd(b) - crowd(a) ||
      byAge(readySince(a), readySince(b), a, b, now) ||
      restarts(b) - restarts(a) ||
      byAge(created(a), created(b), a, b, now),
  );
}

const assigned = (pod: Pod): boolean => Boolean(pod.spec?.nodeName);

function phaseRank(pod: Pod): number {
  const phase = pod.status?.phase ?? 'Pending';
  return phase === 'Pending' ? 0 : phase === 'Running' ? 2 : 1;
}

/** Anything but a 32-bit integer in plain notation counts as 0. */
function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.[DELETION_COST] ?? '0';
  const cost = /^(0|-?[1-9][0-9]{0,9})$/.test(text) ? Number(text) : 0;
  return Math.abs(cost) <= 0x7fffffff ? cost : 0;
}

function restarts(pod: Pod): number {
  return Math.max(0, ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount));
}

const created = (pod: Pod): number | undefined =>
  pod.metadata.creationTimestamp ? Date.parse(pod.metadata.creationTimestamp) : undefined;

/** Within one power of two of age nobody is preferred for it: the uid decides, which is as good as chance. */
function byAge(a: number | undefined, b: number | undefined, podA: Pod, podB: Pod, now: number): number {
  if (a === b) return 0;
  if (a === undefined) return -1;
  if (b === undefined) return 1;
  const difference = magnitude(now - a) - magnitude(now - b);
  if (difference !== 0) return difference;
  return (podA.metadata.uid ?? '') < (podB.metadata.uid ?? '') ? -1 : 1;
}

const magnitude = (ms: number): number => (ms > 0 ? Math.floor(Math.log2(ms * 1e6)) : -1);
