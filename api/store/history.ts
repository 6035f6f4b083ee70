import type { State } from './state.js';
import type { StoreEvent } from './store.js';

/** How much of the past is kept; whichever bound is met first rules. */
export interface Retention {
  readonly commits: number;
  readonly bytes: number;
  readonly ageMs: number;
}

export const defaultRetention: Retention = { commits: 50_000, bytes: 64 * 1024 * 1024, ageMs: 10 * 60_000 };

/** One durable commit as the past remembers it. */
export interface HistoryCommit {
  readonly state: State;
  readonly events: readonly StoreEvent[];
  /** Engine records this commit made unnecessary: earlier versions, and tombstones of its own. */
  readonly superseded: readonly number[];
  readonly bytes: number;
  readonly time: number;
}

/** The retained past in revision order, oldest first: a deque over an array with a moving head. */
export class History {
  #commits: HistoryCommit[] = [];
  #head = 0;
  #bytes = 0;

  push(commit: HistoryCommit): void {
    this.#commits.push(commit);
    this.#bytes += commit.bytes;
  }

  /**
   * The revision up to which the past may be forgotten once it exceeds the bounds at `now`, else undefined. It frees a
   * quarter of the bounds at once, so that forgetting does not accompany every commit.
   */
  excess(retention: Retention, now: number): number | undefined {
    if (this.#beyond(retention, now) === undefined) return undefined;
    const { commits, bytes, ageMs } = retention;
    return this.#beyond({ commits: commits * 0.75, bytes: bytes * 0.75, ageMs: ageMs * 0.75 }, now);
  }

  #beyond(retention: Retention, now: number): number | undefined {
    let bytes = this.#bytes;
    let last: number | undefined;
    for (let i = this.#head; i < this.#commits.length; i++) {
      const commit = this.#commits[i]!;
      const kept = this.#commits.length - i;
      if (kept <= retention.commits && bytes <= retention.bytes && now - commit.time <= retention.ageMs) break;
      bytes -= commit.bytes;
      last = commit.state.revision;
    }
    return last;
  }

  /** Forgets commits up to and including `revision`; gives back the engine records that are no longer needed. */
  forget(revision: number): number[] {
    const records: number[] = [];
    while (this.#head < this.#commits.length && this.#commits[this.#head]!.state.revision <= revision) {
      const commit = this.#commits[this.#head++]!;
      this.#bytes -= commit.bytes;
      records.push(...commit.superseded);
    }
    if (this.#head > 1024 && this.#head * 2 > this.#commits.length) {
      this.#commits = this.#commits.slice(this.#head);
      this.#head = 0;
    }
    return records;
  }

  /** The state as of `revision`: that of the last commit at or before it, if one is retained. */
  stateAt(revision: number): State | undefined {
    const index = this.#firstAfter(revision) - 1;
    return index < this.#head ? undefined : this.#commits[index]!.state;
  }

  *eventsAfter(revision: number): Generator<StoreEvent, void, undefined> {
    for (let i = this.#firstAfter(revision); i < this.#commits.length; i++) yield* this.#commits[i]!.events;
  }

  #firstAfter(revision: number): number {
    let low = this.#head;
    let high = this.#commits.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#commits[middle]!.state.revision > revision) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
