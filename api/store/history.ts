import { inScope } from './hub.js';
import type { State } from './state.js';
import type { Scope, StoreEvent } from './store.js';

/** How much of the past is kept; whichever bound is met first rules. */
export interface Retention {
  readonly commits: number;
  /** Of values written. */
  readonly bytes: number;
  readonly ageMs: number;
}

export const defaultRetention: Retention = { commits: 50_000, bytes: 64 * 1024 * 1024, ageMs: 10 * 60_000 };

const KEPT = 0.95;

/** One durable commit as the past remembers it. */
export interface HistoryCommit {
  readonly state: State;
  readonly events: readonly StoreEvent[];
  readonly bytes: number;
  /** Unix milliseconds. */
  readonly time: number;
}

/** The retained past in revision order, oldest first, with the events of each resource beside it. */
export class History {
  readonly #commits = new Deque<HistoryCommit>();
  readonly #events = new Map<string, Deque<StoreEvent>>();
  #bytes = 0;

  push(commit: HistoryCommit): void {
    this.#commits.push(commit);
    this.#bytes += commit.bytes;
    for (const event of commit.events) {
      const { resource } = event.key;
      const events = this.#events.get(resource) ?? new Deque();
      this.#events.set(resource, events);
      events.push(event);
    }
  }

  /**
   * The revision up to which the past may be forgotten once it exceeds the bounds at `now`, else undefined. It frees a share of
   * the bounds at once: so large that forgetting does not accompany every commit, so small that none waits for it.
   */
  excess(retention: Retention, now: number): number | undefined {
    if (this.#beyond(retention, now) === undefined) return undefined;
    const { commits, bytes, ageMs } = retention;
    return this.#beyond({ commits: commits * KEPT, bytes: bytes * KEPT, ageMs: ageMs * KEPT }, now);
  }

  #beyond(retention: Retention, now: number): number | undefined {
    let bytes = this.#bytes;
    let last: number | undefined;
    for (let i = 0; i < this.#commits.length; i++) {
      const commit = this.#commits.at(i)!;
      const kept = this.#commits.length - i;
      if (kept <= retention.commits && bytes <= retention.bytes && now - commit.time <= retention.ageMs) break;
      bytes -= commit.bytes;
      last = commit.state.revision;
    }
    return last;
  }

  /** Forgets commits up to and including `revision`. */
  forget(revision: number): void {
    for (let first = this.#commits.at(0); first !== undefined && first.state.revision <= revision; ) {
      this.#commits.shift();
      this.#bytes -= first.bytes;
      for (const event of first.events) this.#events.get(event.key.resource)!.shift();
      first = this.#commits.at(0);
    }
  }

  /** The state as of `revision`: that of the last commit at or before it, if one is retained. */
  stateAt(revision: number): State | undefined {
    return this.#commits.at(firstAfter(this.#commits, (commit) => commit.state.revision > revision) - 1)?.state;
  }

  /** The newest revision committed at or before `time`, if one is retained. */
  revisionAt(time: number): number | undefined {
    return this.#commits.at(firstAfter(this.#commits, (commit) => commit.time > time) - 1)?.state.revision;
  }

  /** When the newest commit at or before `revision` was made, if one is retained. */
  timeOf(revision: number): number | undefined {
    return this.#commits.at(firstAfter(this.#commits, (commit) => commit.state.revision > revision) - 1)?.time;
  }

  get oldest(): HistoryCommit | undefined {
    return this.#commits.at(0);
  }

  /** Looked up anew for each, as in {@link eventsAfter}. */
  *commitsAfter(revision: number): Generator<HistoryCommit, void, undefined> {
    let last = revision;
    for (;;) {
      const commit = this.#commits.at(firstAfter(this.#commits, (each) => each.state.revision > last));
      if (commit === undefined) return;
      last = commit.state.revision;
      yield commit;
    }
  }

  /** The events of exactly one revision. */
  eventsOf(revision: number): readonly StoreEvent[] {
    const commit = this.#commits.at(firstAfter(this.#commits, (c) => c.state.revision > revision) - 1);
    return commit?.state.revision === revision ? commit.events : [];
  }

  /** Only events of the scope's resource are looked at. */
  *eventsAfter(revision: number, scope: Scope): Generator<StoreEvent, void, undefined> {
    const events = this.#events.get(scope.resource);
    if (events === undefined) return;
    let last = revision;
    // Looked up anew after each: while one is being delivered others may come and old ones go.
    for (;;) {
      let i = firstAfter(events, (event) => event.revision > last);
      const start = events.at(i)?.revision;
      if (start === undefined) return;
      last = start;
      const group: StoreEvent[] = [];
      for (let e = events.at(i); e !== undefined && e.revision === start; e = events.at(++i))
        if (inScope(scope, e)) group.push(e);
      yield* group;
    }
  }
}

/** The index of the first element the predicate holds for, which then holds for all later ones. */
function firstAfter<T>(deque: Deque<T>, is: (value: T) => boolean): number {
  let low = 0;
  let high = deque.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (is(deque.at(middle)!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A queue with places: an array with a moving head. */
class Deque<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  at(index: number): T | undefined {
    return index < 0 ? undefined : this.#items[this.#head + index];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): void {
    this.#items[this.#head++] = undefined;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }
}
