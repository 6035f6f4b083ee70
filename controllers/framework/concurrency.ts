/** As many at a time as the server bears: more while it answers in time, half as many when it does not. */
export interface AdaptiveConcurrency {
  readonly upTo: number;
  /** What a write may take before there is too much at a time; default 500 ms. */
  readonly latencyMs?: number;
}

export const DEFAULT_CONCURRENCY = 5;
const DEFAULT_LATENCY_MS = 500;

/**
 * How many reconciliations may be under way. With {@link AdaptiveConcurrency}: one more for every round of answers in time,
 * half for a round that is late, never less than one (additive increase, multiplicative decrease).
 */
export class Concurrency {
  readonly #adaptive: AdaptiveConcurrency | undefined;
  #limit: number;
  /** Answers to work that was begun before the last cut say nothing of what the cut has done. */
  #deafUntil = 0;

  constructor(given: number | AdaptiveConcurrency = DEFAULT_CONCURRENCY) {
    this.#adaptive = typeof given === 'number' ? undefined : given;
    this.#limit = typeof given === 'number' ? given : Math.min(DEFAULT_CONCURRENCY, given.upTo);
  }

  get limit(): number {
    return Math.floor(this.#limit);
  }

  /** A reconciliation has ended: when it began and ended (ms), and how often it wrote. */
  took(began: number, ended: number, writes: number): void {
    if (!this.#adaptive || writes === 0 || began < this.#deafUntil) return;
    const { upTo, latencyMs = DEFAULT_LATENCY_MS } = this.#adaptive;
    if ((ended - began) / writes <= latencyMs) this.#limit = Math.min(upTo, this.#limit + 1 / this.#limit);
    else {
      this.#limit = Math.max(1, this.#limit / 2);
      this.#deafUntil = ended;
    }
  }
}
