import type { Clock, Random } from '@trimtab/machinery';

export const QUEUE_BACKOFF: Backoff = { baseMs: 5, capMs: 1_000_000 };

/** What the first list and resyncs are worth (controller-runtime's priority queue). */
export const LOW_PRIORITY = -100;
/** A key that has waited so long is next, whatever its priority. */
export const LONGEST_WAIT_MS = 10_000;

/** Waits after failures: `baseMs`, twice that, … up to `capMs`; with `jitter`, up to that share of it longer. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
  /** What each wait is multiplied with for the next; default 2. */
  readonly factor?: number;
  /** Default 0. */
  readonly jitter?: number;
}

/**
 * Keys to be worked on. A key waits at most once, is never handed out twice at a time (one added meanwhile waits until it
 * is done), and comes in the order added within its priority; a higher priority comes first, but nobody waits longer for
 * that than {@link LONGEST_WAIT_MS}. A key added again keeps the higher priority. Failures of a key are spaced 5 ms,
 * 10 ms, … to 1000 s (client-go workqueue), unless told otherwise.
 */
export class WorkQueue {
  readonly #clock: Clock;
  /** Told when something became ready. */
  readonly #ready: () => void;
  readonly #backoff: Backoff;
  /** By priority, highest first. */
  readonly #levels: Level[] = [];
  readonly #waiting = new Map<string, Level>();
  readonly #active = new Set<string>();
  readonly #again = new Map<string, number>();
  readonly #random: Random | undefined;
  readonly #failures = new Map<string, number>();
  readonly #delayed = new Map<string, { readonly due: number; readonly cancel: () => void }>();
  #closed = false;
  /** How long the key taken last had waited. */
  lastWaitMs = 0;

  constructor(clock: Clock, ready: () => void, backoff: Backoff = QUEUE_BACKOFF, random?: Random) {
    this.#random = random;
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

  /** Keys that are being worked on. */
  get activeKeys(): readonly string[] {
    return [...this.#active];
  }

  /** Milliseconds that the key waiting longest has waited. */
  get oldestWaitMs(): number {
    const since = Math.min(...this.#levels.map((level) => level.oldest() ?? Number.POSITIVE_INFINITY));
    return since === Number.POSITIVE_INFINITY ? 0 : this.#clock.now() - since;
  }

  add(key: string, priority = 0): void {
    if (this.#closed) return;
    if (this.#active.has(key)) {
      this.#again.set(key, Math.max(priority, this.#again.get(key) ?? priority));
      return;
    }
    const level = this.#waiting.get(key);
    if (level) {
      if (level.priority < priority) this.#wait(key, priority, level.drop(key));
      return;
    }
    this.#wait(key, priority, this.#clock.now());
    this.#ready();
  }

  #wait(key: string, priority: number, since: number): void {
    let level = this.#levels.find((l) => l.priority === priority);
    if (!level) {
      level = new Level(priority);
      this.#levels.push(level);
      this.#levels.sort((x, y) => y.priority - x.priority);
    }
    level.add(key, since);
    this.#waiting.set(key, level);
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

  /** Adds the key after its backoff, which doubles with every call until {@link forget}, or after `afterMs` where given. Returns the delay. */
  addRateLimited(key: string, afterMs?: number): number {
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    const { baseMs, capMs, factor = 2, jitter = 0 } = this.#backoff;
    const ms = afterMs ?? Math.min(baseMs * factor ** failures, capMs) * (1 + jitter * (this.#random?.next() ?? 0));
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
    const level = this.#starving() ?? this.#levels.find((l) => l.size > 0)!;
    const { key, since } = level.take();
    this.lastWaitMs = this.#clock.now() - since;
    this.#waiting.delete(key);
    this.#active.add(key);
    return key;
  }

  /** The level, other than the highest, whose first key has waited too long; of several the one that has longest. */
  #starving(): Level | undefined {
    if (this.#levels.length === 1) return undefined;
    const limit = this.#clock.now() - LONGEST_WAIT_MS;
    let starving: Level | undefined;
    let since = limit;
    for (const level of this.#levels) {
      const oldest = level.oldest();
      if (oldest !== undefined && oldest <= since) {
        starving = level;
        since = oldest;
      }
    }
    return starving;
  }

  done(key: string): void {
    this.#active.delete(key);
    const again = this.#again.get(key);
    if (again === undefined) return;
    this.#again.delete(key);
    this.add(key, again);
  }

  /** After a {@link close}, begins anew with nothing waiting. */
  open(): void {
    this.#closed = false;
  }

  /** Nothing is handed out or comes due any more; active keys run on. */
  close(): void {
    this.#closed = true;
    this.#waiting.clear();
    this.#levels.length = 0;
    this.#again.clear();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
  }
}

/** The keys of one priority, with since when they wait, in order. */
class Level {
  readonly #keys = new Map<string, number>();
  /** Goes on where it was, past what has been taken: beginning anew each time would cost the square of the length. */
  #next: Iterator<string, undefined> = this.#keys.keys();
  #first: string | undefined;

  constructor(readonly priority: number) {}

  get size(): number {
    return this.#keys.size;
  }

  add(key: string, since: number): void {
    this.#keys.set(key, since);
  }

  /** Since when it waited. */
  drop(key: string): number {
    const since = this.#keys.get(key)!;
    this.#keys.delete(key);
    return since;
  }

  oldest(): number | undefined {
    const first = this.#peek();
    return first === undefined ? undefined : this.#keys.get(first);
  }

  /** The first, and since when it waited. There must be one. */
  take(): { readonly key: string; readonly since: number } {
    const key = this.#peek()!;
    const since = this.#keys.get(key)!;
    this.#keys.delete(key);
    this.#first = undefined;
    return { key, since };
  }

  #peek(): string | undefined {
    if (this.#first !== undefined && this.#keys.has(this.#first)) return this.#first;
    if (this.#keys.size === 0) return undefined;
    this.#first = this.#next.next().value;
    if (this.#first === undefined) {
      this.#next = this.#keys.keys();
      this.#first = this.#next.next().value;
    }
    return this.#first;
  }
}
