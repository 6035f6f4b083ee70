import type { Container, LifecycleHandler, Probe } from '@trimtab/machinery';

/** What a probe or hook is run against. */
export interface ProbeTarget {
  readonly sandboxId: string;
  readonly containerId: string;
  readonly container: Container;
  /** The pod's address; the node's for pods on the host network. */
  readonly podIP: string;
}

export interface ProbeOutcome {
  /**
   * `warning`: a success that deserves an event. `unknown`: the attempt itself failed (the runtime did not answer); it
   * counts as neither.
   */
  readonly result: 'success' | 'warning' | 'failure' | 'unknown';
  readonly output: string;
}

/** Runs one probe or one hook to its end. Never rejects. */
export interface Prober {
  probe(probe: Probe, target: ProbeTarget): Promise<ProbeOutcome>;
  /** `success` or `failure`; ends with `failure` when not done within `budgetMs`. */
  hook(handler: LifecycleHandler, target: ProbeTarget, budgetMs: number): Promise<ProbeOutcome>;
}
