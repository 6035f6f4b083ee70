import type { Probe } from '@trimtab/machinery';
import type { ProbeOutcome } from './prober.js';

/** Results in a row, as thresholds count them. */
export interface ProbeCount {
  readonly last: 'success' | 'failure' | 'none';
  readonly inRow: number;
}

export const NO_RESULTS: ProbeCount = { last: 'none', inRow: 0 };

/** Kubernetes' defaults where a probe says nothing; seconds. */
export const PROBE_DEFAULTS = {
  initialDelaySeconds: 0,
  periodSeconds: 10,
  timeoutSeconds: 1,
  successThreshold: 1,
  failureThreshold: 3,
} as const;

/** Adds one outcome; `verdict` is set when a threshold has just been or stays reached. */
export function countOutcome(
  probe: Probe,
  before: ProbeCount,
  outcome: ProbeOutcome['result'],
): { readonly count: ProbeCount; readonly verdict?: 'success' | 'failure' } {
  if (outcome === 'unknown') return { count: before };
  const last = outcome === 'failure' ? 'failure' : 'success';
  const count = { last, inRow: before.last === last ? before.inRow + 1 : 1 } as const;
  const threshold =
    last === 'success'
      ? (probe.successThreshold ?? PROBE_DEFAULTS.successThreshold)
      : (probe.failureThreshold ?? PROBE_DEFAULTS.failureThreshold);
  return count.inRow >= threshold ? { count, verdict: last } : { count };
}
