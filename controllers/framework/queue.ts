import type { Clock } from '@trimtab/machinery';

export const QUEUE_BACKOFF: Backoff = { baseMs: 5, capMs: 1_000_000 };

/** Waits after failures: `baseMs`, twice that, … up to `capMs`. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Keys to be worked on. A key waits at most once, is never handed out twice at a time (one added meanwhile waits until it
 * is done), and comes in the order added. Failures of a key are spaced 5 ms, 10 ms, … to 1000 s (client-go workqueue),
 * unless told otherwise.
 */
export class WorkQueue {
  readonly #clock: Clock;
  /** Told when something became ready. */
  readonly #ready: () => void;
  readonly #backoff: Backoff;
  readonly #waiting = new Set<string>();
  /** Goes on where it was, past what has been taken: beginning anew each time would cost the square of the length. */
  #next: Iterator<string, undefined> = this.#waiting.values();
  readonly #active = new Set<string>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #delayed = new Map<string, { readonly due: number; readonly cancel: () => void }>();
  #closed = false;

  constructor(clock: Clock, ready: () => void, backoff: Backoff = QUEUE_BACKOFF) {
    this.#clock = clock;
    this.#ready = ready;
    this.#backoff = backoff;
  }

  get depth(): number {
    return this.#waiting.size;
  }

  get active(): number {
    return this.#active.size;
  }

  /** True when nothing waits, runs or is due later. */
  get idle(): boolean {
    return this.#waiting.size === 0 && this.#active.size === 0 && this.#delayed.size === 0;
  }

  add(key: string): void {
    if (this.#closed) return;
    if (this.#active.has(key)) {
      this.#again.add(key);
      return;
    }
    if (this.#waiting.has(key)) return;
    this.#waiting.add(key);
    this.#ready();
  }

  /** Of several delays for a key, the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const due = this.#clock.now() + ms;
    const known = this.#delayed.get(key);
    if (known && known.due <= due) return;
    known?.cancel();
    const cancel = this.#clock.after(ms, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { due, cancel });
  }

  /** Adds the key after its backoff, which doubles with every call until {@link forget}. Returns the delay. */
  addRateLimited(key: string): number {
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    const ms = Math.min(this.#backoff.baseMs * 2 ** failures, this.#backoff.capMs);
    this.addAfter(key, ms);
    return ms;
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, now active until {@link done}. */
  take(): string | undefined {
    if (this.#waiting.size === 0) return undefined;
    let key = this.#next.next().value;
    if (key === undefined) {
      this.#next = this.#waiting.values();
      key = this.#next.next().value!;
    }
    this.#waiting.delete(key);
    this.#active.add(key);
    return key;
  }

  done(key: string): void {
    this.#active.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  /** Nothing is handed out or comes due any more; active keys run on. */
  close(): void {
    this.#closed = true;
    this.#waiting.clear();
    this.#again.clear();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
  }
}
