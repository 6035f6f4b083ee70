import type { Writable } from 'node:stream';

/** What a watcher may be behind without anybody counting it. */
const UNCOUNTED = 1 << 20;

export interface BacklogLimits {
  /** Bytes one may be behind. */
  readonly each: number;
  /** Bytes all may be behind together. Those who are sent the same share its bytes, so they seldom hold as much. */
  readonly all: number;
}

const LIMITS: BacklogLimits = { each: 16 << 20, all: 1 << 30 };

/**
 * What is written to streams and not read. Who is too far behind is torn down: what was not read would be kept until it is. When
 * all together are, it is whoever is behind the most.
 */
export class Backlog {
  readonly #behind = new Map<Writable, number>();
  readonly #heard = new WeakSet<Writable>();
  #sum = 0;

  constructor(readonly limits = LIMITS) {}

  /** Asked before a stream is written to. Whoever is dropped has `destroyed` set, which may be the stream itself. */
  check(stream: Writable): void {
    const length = stream.writableLength;
    if (length <= UNCOUNTED && !this.#behind.has(stream)) return;
    if (length > this.limits.each) this.#drop(stream);
    else this.#count(stream);
    // Counts are as old as the last event, so they are taken anew before anybody is dropped.
    if (this.#sum <= this.limits.all) return;
    for (const each of [...this.#behind.keys()]) this.#count(each);
    while (this.#sum > this.limits.all) {
      const [most] = [...this.#behind].reduce((a, b) => (b[1] > a[1] ? b : a));
      this.#drop(most);
    }
  }

  #count(stream: Writable): void {
    const length = stream.destroyed ? 0 : stream.writableLength;
    this.#sum += length - (this.#behind.get(stream) ?? 0);
    if (length > UNCOUNTED) {
      if (!this.#heard.has(stream)) stream.once('close', () => this.#forget(stream));
      this.#heard.add(stream);
      this.#behind.set(stream, length);
    } else {
      this.#behind.delete(stream);
      this.#sum -= length;
    }
  }

  #forget(stream: Writable): void {
    this.#sum -= this.#behind.get(stream) ?? 0;
    this.#behind.delete(stream);
  }

  #drop(stream: Writable): void {
    this.#forget(stream);
    stream.destroy();
  }
}

export const backlog = new Backlog();
