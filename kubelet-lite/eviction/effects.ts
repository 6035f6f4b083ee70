import type { Observation } from './decide.js';
import type { PodUse } from './rank.js';
import { isCritical, rankPods, resourceOf } from './rank.js';
import type { Threshold } from './thresholds.js';
import { evictionMessage } from './words.js';

/** What is done about a threshold that is met. */
export type EvictionEffect =
  /** Told of the node before anything is done. */
  | { readonly type: 'announce'; readonly resource: string }
  /** Frees what nobody misses; then everything is looked at again before a pod has to go. */
  | { readonly type: 'reclaim'; readonly what: 'containers' | 'images' }
  | { readonly type: 'evict'; readonly uid: string; readonly graceMs: number; readonly message: string };

export const announcement = ({ signal }: Threshold): EvictionEffect => ({
  type: 'announce',
  resource: resourceOf(signal),
});

/** What can be freed without a pod: only disks have something of the kind. Pure. */
export function reclaimable({ signal }: Threshold): readonly EvictionEffect[] {
  return /^(nodefs|imagefs)\./.test(signal)
    ? [
        { type: 'reclaim', what: 'containers' },
        { type: 'reclaim', what: 'images' },
      ]
    : [];
}

/**
 * The one pod that goes. At a hard threshold at once; at a soft one with its own grace, `maxGraceMs` at most. Undefined where every
 * pod is critical. Pure.
 */
export function eviction(
  threshold: Threshold,
  uses: readonly PodUse[],
  observed: Observation | undefined,
  maxGraceMs: number,
): Extract<EvictionEffect, { type: 'evict' }> | undefined {
  const [first] = rankPods(
    uses.filter(({ pod }) => !isCritical(pod)),
    threshold.signal,
  );
  if (!first) return undefined;
  const { metadata, spec } = first.pod;
  const own = (spec.terminationGracePeriodSeconds ?? 30) * 1_000;
  return {
    type: 'evict',
    uid: metadata.uid ?? '',
    graceMs: threshold.hard ? 0 : Math.min(own, maxGraceMs),
    message: evictionMessage(first, threshold, observed),
  };
}
