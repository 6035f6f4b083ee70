import { type Clock, tooManyRequests } from '@trimtab/machinery';

/**
 * How many requests execute at once; the others wait their turn. Keeps each turn of the event loop short: hundreds of
 * requests in one turn cost a second of garbage collection.
 */
export class Seats {
  #free: number;
  readonly #waiting: { readonly admit: () => void; cancel: () => void }[] = [];

  constructor(
    readonly total: number,
    readonly clock: Clock,
    readonly maxWaiting = 5000,
    readonly maxWait = 30_000,
  ) {
    this.#free = total;
  }

  get executing(): number {
    return this.total - this.#free;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves when it is the caller's turn; `release` must follow. 429 when the queue is full or the wait too long. */
  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.length >= this.maxWaiting) throw this.#refusal();
    await new Promise<void>((resolve, reject) => {
      const place = { admit: resolve, cancel: () => {} };
      place.cancel = this.clock.after(this.maxWait, () => {
        this.#waiting.splice(this.#waiting.indexOf(place), 1);
        reject(this.#refusal());
      });
      this.#waiting.push(place);
    });
  }

  release(): void {
    const next = this.#waiting.shift();
    if (!next) {
      this.#free++;
      return;
    }
    next.cancel();
    next.admit();
  }

  #refusal() {
    return tooManyRequests('too many requests, please try again later', 1);
  }
}
