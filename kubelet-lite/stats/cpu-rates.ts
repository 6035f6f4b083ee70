interface Sample {
  readonly at: number;
  readonly nanos: number;
}

/** How much processor time is used now, and over which time that was measured. */
export interface CpuRate {
  /** Billionths of a processor. */
  readonly nanoCores: number;
  readonly windowMs: number;
  readonly at: number;
}

/** A rate over less than this is mostly noise. */
export const MIN_WINDOW_MS = 400;
const MAX_WINDOW_MS = 30_000;
const KEEP_EVERY_MS = 1_000;

/**
 * Rates from counters that are read when somebody asks. The memory is short (30 s a counter, one sample a second at most) and
 * nothing is read while nobody asks: who asks every 15 s gets rates over 15 s, who asks once has to ask again a moment later.
 */
export class CpuRates {
  readonly #samples = new Map<string, Sample[]>();
  #sweptAt = 0;

  /**
   * Takes a sample in and gives the rate since the oldest that is remembered. `bornAt`: when the counter was zero, of a
   * container its start. Undefined while there is nothing to compare with.
   */
  sample(key: string, at: number, nanos: number, bornAt?: number): CpuRate | undefined {
    this.#sweep(at);
    const known = (this.#samples.get(key) ?? []).filter((s) => at - s.at <= MAX_WINDOW_MS && s.nanos <= nanos);
    const newest = known.at(-1);
    const base =
      known[0] ?? (bornAt !== undefined && at - bornAt <= MAX_WINDOW_MS ? { at: bornAt, nanos: 0 } : undefined);
    if (!newest || at - newest.at >= KEEP_EVERY_MS) known.push({ at, nanos });
    this.#samples.set(key, known);
    if (!base || at - base.at < MIN_WINDOW_MS) return undefined;
    const windowMs = at - base.at;
    return { nanoCores: Math.round(((nanos - base.nanos) / windowMs) * 1000), windowMs, at };
  }

  #sweep(now: number): void {
    if (now - this.#sweptAt < MAX_WINDOW_MS) return;
    this.#sweptAt = now;
    for (const [key, samples] of this.#samples)
      if (now - (samples.at(-1)?.at ?? 0) > MAX_WINDOW_MS) this.#samples.delete(key);
  }
}
