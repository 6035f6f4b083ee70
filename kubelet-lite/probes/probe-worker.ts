import type { Clock, Probe } from '@trimtab/machinery';
import { countOutcome, NO_RESULTS, PROBE_DEFAULTS } from './count.js';
import type { ProbeOutcome } from './prober.js';

export type ProbeKind = 'startup' | 'liveness' | 'readiness';

export interface ProbeWorkerOptions {
  readonly probe: Probe;
  readonly clock: Clock;
  /** When the container started, milliseconds since the epoch. */
  readonly startedAt: number;
  /** How much of a period the first run waits where its time has come: many are found at once after a kubelet restart. */
  readonly spread?: number;
  readonly run: () => Promise<ProbeOutcome>;
  /** Each threshold reached: again and again for as long as it stays reached. */
  readonly onVerdict: (verdict: 'success' | 'failure') => void;
  /** Every single failure, and every warning. */
  readonly onFailure: (output: string, result: 'failure' | 'warning') => void;
}

/** Runs one probe of one running container on its period; the returned function stops it. */
export function startProbe(options: ProbeWorkerOptions): () => void {
  const { probe, clock } = options;
  const seconds = (value: number | undefined, standard: number) => (value ?? standard) * 1_000;
  const period = seconds(probe.periodSeconds || undefined, PROBE_DEFAULTS.periodSeconds);
  const first = options.startedAt + seconds(probe.initialDelaySeconds, 0) - clock.now();
  let count = NO_RESULTS;
  let stopped = false;
  let cancel = clock.after(Math.max(first, period * (options.spread ?? 0)), tick);

  function tick(): void {
    const begun = clock.now();
    void options.run().then((outcome) => {
      if (stopped) return;
      cancel = clock.after(Math.max(period - (clock.now() - begun), 0), tick);
      const next = countOutcome(probe, count, outcome.result);
      count = next.count;
      if (outcome.result === 'failure' || outcome.result === 'warning')
        options.onFailure(outcome.output, outcome.result);
      if (next.verdict) options.onVerdict(next.verdict);
    });
  }

  return () => {
    stopped = true;
    cancel();
  };
}
