import { randomFillSync } from 'node:crypto';

/**
 * Time and chance, handed in. Nothing below the command line reads the wall clock, sets a timer or draws a random
 * number except through these, so every part runs in virtual time and with a seed.
 */

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls `fn` once, `ms` from now at the earliest; the returned function cancels it and is safe to call twice. */
  after(ms: number, fn: () => void): () => void;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** `n` uniformly random bytes; cryptographic in production. */
  bytes(n: number): Uint8Array;
}

/** RFC 3339 with second precision, as `metadata.creationTimestamp` wants it. */
export function timestamp(ms: number): string {
  const second = Math.floor(ms / 1000);
  // Many are asked for within a second, and making one costs as much as deciding where its object lies.
  if (second !== lately.second) lately = { second, text: new Date(second * 1000).toISOString().replace('.000Z', 'Z') };
  return lately.text;
}

let lately = { second: Number.NaN, text: '' };

/** RFC 3339 with microseconds, as Lease and Event (`MicroTime`) want it. */
export function microTimestamp(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

/** Sleeps on the given clock; rejects with the signal's reason when aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Node's timers fire at once where more is asked for. */
const LONGEST_TIMER_MS = 0x7fffffff;

/**
 * The machine's own clock. A timer keeps the process alive until it has fired or is cancelled, so that nobody who sleeps is
 * left asleep: cancel what nobody waits for any more.
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, fn) {
    let timer: NodeJS.Timeout;
    const arm = (left: number) => {
      const now = Math.min(Math.max(left, 0), LONGEST_TIMER_MS);
      timer = setTimeout(left > now ? () => arm(left - now) : fn, now);
    };
    arm(ms);
    return () => clearTimeout(timer);
  },
};

/** Words drawn ahead: asking the system for a few bytes costs more than everything a name needs besides. */
const ahead = { words: new Uint32Array(1024), used: 1024 };

/** The machine's own randomness, cryptographically strong. */
export const systemRandom: Random = {
  next() {
    const { words } = ahead;
    if (ahead.used + 2 > words.length) {
      randomFillSync(words);
      ahead.used = 0;
    }
    const [high, low] = [words[ahead.used]!, words[ahead.used + 1]!];
    words.fill(0, ahead.used, ahead.used + 2);
    ahead.used += 2;
    return ((high >>> 5) * 0x4000000 + (low >>> 6)) / 0x20000000000000;
  },
  bytes: (n) => randomFillSync(new Uint8Array(n)),
};

interface Timer {
  readonly due: number;
  readonly sequence: number;
  fn: (() => void) | undefined;
}

const isBefore = (a: Timer, b: Timer): boolean => a.due < b.due || (a.due === b.due && a.sequence < b.sequence);

/** A discrete-event clock for tests: time stands still until {@link VirtualClock.advance}. */
export class VirtualClock implements Clock {
  #now: number;
  #sequence = 0;
  /** A binary heap, earliest first; a cancelled timer stays in it until it comes to the top. */
  readonly #timers: Timer[] = [];

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, fn: () => void): () => void {
    const timer: Timer = { due: this.#now + Math.max(ms, 0), sequence: this.#sequence++, fn };
    const heap = this.#timers;
    let at = heap.length;
    for (let up = (at - 1) >> 1; at > 0 && isBefore(timer, heap[up]!); up = (at - 1) >> 1) {
      heap[at] = heap[up]!;
      at = up;
    }
    heap[at] = timer;
    return () => {
      timer.fn = undefined;
    };
  }

  /** When the next timer is due, or undefined when none is armed. */
  nextDue(): number | undefined {
    return this.#first()?.due;
  }

  /**
   * Moves time forward by `ms`, firing every timer at exactly its own instant and in the order armed for equal instants,
   * letting promise callbacks run between firings.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await anotherTurn();
    for (let next = this.#first(); next && next.due <= end; next = this.#first()) {
      const { fn } = next;
      next.fn = undefined;
      this.#removeFirst();
      this.#now = Math.max(this.#now, next.due);
      fn!();
      await anotherTurn();
    }
    this.#now = end;
    await anotherTurn();
  }

  #first(): Timer | undefined {
    while (this.#timers[0] && this.#timers[0].fn === undefined) this.#removeFirst();
    return this.#timers[0];
  }

  #removeFirst(): void {
    const heap = this.#timers;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && isBefore(heap[down + 1]!, heap[down]!)) down++;
      if (!isBefore(heap[down]!, last)) break;
      heap[at] = heap[down]!;
      at = down;
    }
    heap[at] = last;
  }
}

/** Lets queued promise callbacks and immediates run: long work that everybody would wait for is done in turns. */
export function anotherTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A small seeded generator (mulberry32) for tests and simulations; never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    next,
    bytes(n) {
      const drawn = new Uint8Array(n);
      for (let i = 0; i < n; i++) drawn[i] = Math.floor(next() * 256);
      return drawn;
    },
  };
}
