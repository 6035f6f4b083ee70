import { conditionOf, isDeleting } from '@trimtab/framework';
import type { Pod } from '@trimtab/machinery';

/** Facts about pods that workload and network controllers share (kubernetes: pkg/api/v1/pod, pkg/controller). */

export const isTerminal = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Counts towards a workload's replicas. */
export const isActive = (pod: Pod): boolean => !isTerminal(pod) && !isDeleting(pod);

export const isReady = (pod: Pod): boolean => conditionOf(pod.status?.conditions, 'Ready')?.status === 'True';

/** When the pod became ready, in milliseconds since the epoch; undefined while it is not. */
export function readySince(pod: Pod): number | undefined {
  const ready = conditionOf(pod.status?.conditions, 'Ready');
  if (ready?.status !== 'True' || !ready.lastTransitionTime) return undefined;
  return Date.parse(ready.lastTransitionTime);
}

/** Milliseconds until a ready pod has been so for `minReadySeconds`: 0 is available, undefined not ready. */
export function availableIn(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  if (!isReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  const since = readySince(pod);
  return since === undefined ? undefined : Math.max(0, since + minReadySeconds * 1000 - now);
}
