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
  /** By priority, highest first; never empty. */
  readonly #levels: Level[] = [new Level(0)];
  /** Every key that waits or is worked on, in one table: an operation looks once. */
  readonly #entries = new Map<string, Entry>();
  #active = 0;
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
    return this.#entries.size - this.#active;
  }

  get active(): number {
    return this.#active;
  }

  /** True when nothing waits, runs or is due later. */
  get idle(): boolean {
    return this.#entries.size === 0 && this.#delayed.size === 0;
  }

  /** Keys that are being worked on. */
  get activeKeys(): readonly string[] {
    return [...this.#entries.values()].filter(({ level }) => level === undefined).map(({ key }) => key);
  }

  /** Milliseconds that the key waiting longest has waited. */
  get oldestWaitMs(): number {
    const since = Math.min(...this.#levels.map(({ first }) => first?.since ?? Number.POSITIVE_INFINITY));
    return since === Number.POSITIVE_INFINITY ? 0 : this.#clock.now() - since;
  }

  add(key: string, priority = 0): void {
    if (this.#closed) return;
    const known = this.#entries.get(key);
    if (known === undefined) {
      const entry = new Entry(key, this.#clock.now());
      this.#entries.set(key, entry);
      this.#level(priority).append(entry);
      this.#ready();
    } else if (known.level === undefined) known.again = Math.max(priority, known.again ?? priority);
    else if (known.level.priority < priority) {
      known.level.drop(known);
      this.#level(priority).append(known);
    }
  }

  #level(priority: number): Level {
    const highest = this.#levels[0]!;
    if (highest.priority === priority) return highest;
    let level = this.#levels.find((l) => l.priority === priority);
    if (!level) {
      level = new Level(priority);
      this.#levels.push(level);
      this.#levels.sort((x, y) => y.priority - x.priority);
    }
    return level;
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

  /** Has failed so often and is due so late, although it may wait already: as a queue before this one had it. */
  defer(key: string, failures: number, ms: number): void {
    const waiting = this.#entries.get(key);
    if (waiting?.level !== undefined) {
      waiting.level.drop(waiting);
      this.#entries.delete(key);
    }
    this.#failures.set(key, failures);
    this.addAfter(key, ms);
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, now active until {@link done}. */
  take(): string | undefined {
    if (this.#entries.size === this.#active) return undefined;
    const now = this.#clock.now();
    const level = this.#starving(now) ?? this.#levels.find(({ first }) => first !== undefined)!;
    const entry = level.first!;
    level.drop(entry);
    this.lastWaitMs = now - entry.since;
    this.#active++;
    return entry.key;
  }

  /** The level, other than the highest, whose first key has waited too long; of several the one that has longest. */
  #starving(now: number): Level | undefined {
    if (this.#levels.length === 1) return undefined;
    let starving: Level | undefined;
    let since = now - LONGEST_WAIT_MS;
    for (const level of this.#levels)
      if (level.first !== undefined && level.first.since <= since) {
        starving = level;
        since = level.first.since;
      }
    return starving;
  }

  done(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.level !== undefined) return;
    this.#entries.delete(key);
    this.#active--;
    if (entry.again !== undefined) this.add(key, entry.again);
  }

  /** After a {@link close}, begins anew with nothing waiting. */
  open(): void {
    this.#closed = false;
  }

  /** Nothing is handed out or comes due any more; active keys run on. */
  close(): void {
    this.#closed = true;
    for (const [key, entry] of this.#entries) {
      if (entry.level === undefined) entry.again = undefined;
      else {
        entry.level.drop(entry);
        this.#entries.delete(key);
      }
    }
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
  }
}

/** A key that waits in a level, or, in none, is worked on. */
class Entry {
  level: Level | undefined;
  before: Entry | undefined;
  after: Entry | undefined;
  /** With which priority it was added while it was worked on. */
  again: number | undefined;

  constructor(
    readonly key: string,
    readonly since: number,
  ) {}
}

/** The keys of one priority, in the order they came. */
class Level {
  first: Entry | undefined;
  #last: Entry | undefined;

  constructor(readonly priority: number) {}

  append(entry: Entry): void {
    entry.level = this;
    entry.before = this.#last;
    if (this.#last) this.#last.after = entry;
    else this.first = entry;
    this.#last = entry;
  }

  drop(entry: Entry): void {
    const { before, after } = entry;
    if (before) before.after = after;
    else this.first = after;
    if (after) after.before = before;
    else this.#last = before;
    entry.level = undefined;
    entry.before = undefined;
    entry.after = undefined;
  }
}
