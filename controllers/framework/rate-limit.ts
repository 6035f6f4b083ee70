/** So many a second in the long run, and so many at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

const REMEMBERED = 10_000;

/** A token bucket for everybody together, and one for each of those who share. Times are milliseconds. */
export class RateLimiter {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Takes a token of `who`; answers how long to wait where there is none, and then takes none. */
  take(now: number, who = ''): number {
    const { perSecond, burst } = this.#rate;
    const known = this.#buckets.get(who) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, known.tokens + ((now - known.at) / 1000) * perSecond);
    this.#buckets.delete(who);
    this.#buckets.set(who, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > REMEMBERED) this.#buckets.delete(this.#buckets.keys().next().value!);
    // Rounded up, so that the wait is never a hair too short.
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / perSecond) * 1000);
  }
}
