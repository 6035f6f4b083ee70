import type { Batch, Opened, Value } from './engine/engine.js';
import { parseKey, ReadEntry, ReadEvent } from './entry.js';
import { defaultRetention, History, type Retention } from './history.js';
import { Hub } from './hub.js';
import { emptyState, find, type State, stateFrom, withEntry, withoutEntry } from './state.js';
import {
  CompactedError,
  type Entry,
  FutureRevisionError,
  type Moment,
  type PastCommit,
  type Scope,
  type StoreEvent,
} from './store.js';
import type { ValueCodec } from './value-codec.js';

/** A batch and what it makes of the state before it. */
export interface Step {
  readonly state: State;
  readonly events: readonly StoreEvent[];
  readonly bytes: number;
  readonly time: number;
}

/** Called synchronously; must not throw. */
export interface Watcher {
  next(event: StoreEvent): void;
  end(error: Error): void;
  closed(): boolean;
}

/** What is durable, as readers and watchers see it: the newest state, the past that is kept, and who watches. */
export class View {
  readonly #history = new History();
  readonly #hub = new Hub();
  /** Read in a form that is not the present one. */
  readonly #stale = new Set<string>();
  #state: State = emptyState;
  #compacted = 0;

  constructor(
    readonly codec: ValueCodec,
    readonly retention: Retention = defaultRetention,
    /** What the state begins as where an engine keeps only what comes after it. */
    readonly start?: State,
  ) {
    if (start !== undefined) this.#state = start;
  }

  get state(): State {
    return this.#state;
  }

  get compacted(): number {
    return this.#compacted;
  }

  /** Makes the picture of everything an engine has. Batches at or before the compacted revision only count in sum. */
  async load({ revision, compacted, batches }: Opened, now: number): Promise<void> {
    const base = new Map<string, { value: Value; revision: number }>();
    let state: State | undefined;
    for await (const some of batches)
      for (const batch of some) {
        if (batch.revision > compacted) {
          state ??= this.#base(compacted, base);
          const step = this.step(state, batch, now);
          state = step.state;
          this.#history.push(step);
          continue;
        }
        for (const { key, value } of batch.changes)
          if (value === undefined) base.delete(key);
          else base.set(key, { value, revision: batch.revision });
      }
    state ??= this.#base(compacted, base);
    if (this.start !== undefined) this.#history.push({ state, events: [], bytes: 0, time: now });
    this.#state = { ...state, revision: Math.max(state.revision, revision) };
    this.#compacted = compacted;
  }

  /** Only what still stood at the compacted revision is opened: keys for what was before may be gone. */
  #base(compacted: number, base: ReadonlyMap<string, { value: Value; revision: number }>): State {
    if (this.start !== undefined) return this.start;
    const entries = [...base].map(([key, { value, revision }]) => this.#read(key, value, revision));
    return stateFrom(compacted, entries);
  }

  #read(key: string, value: Value, revision: number): Entry {
    if (this.codec.isCurrent(key, value)) this.#stale.delete(key);
    else this.#stale.add(key);
    return new ReadEntry(parseKey(key), revision, this.codec.open(key, value, revision));
  }

  /** Keys whose value was read in a form it would not be written in now, and may still have. */
  takeStale(): readonly string[] {
    const keys = [...this.#stale];
    this.#stale.clear();
    return keys;
  }

  /** What a batch somebody wrote makes of a state. */
  step(before: State, { revision, time, changes }: Batch, now: number): Step {
    const events: StoreEvent[] = [];
    let state = before;
    let bytes = 0;
    for (const change of changes) {
      const key = parseKey(change.key);
      const old = find(state, key);
      if (change.value === undefined) {
        if (old === undefined) continue;
        state = withoutEntry(state, key);
        events.push(new ReadEvent(revision, key, undefined, old));
        continue;
      }
      const entry = this.#read(change.key, change.value, revision);
      state = withEntry(state, entry);
      bytes += change.value.length;
      events.push(new ReadEvent(revision, key, entry, old));
    }
    return { state: { ...state, revision }, events, bytes, time: time ?? now };
  }

  /** Shows one more durable step to everyone. */
  publish(step: Step): void {
    this.#state = step.state;
    this.#history.push(step);
    for (const event of step.events) this.#hub.dispatch(event);
  }

  /** The revision to compact to when more is kept than should be. */
  excess(now: number): number | undefined {
    return this.#history.excess(this.retention, now);
  }

  forget(revision: number): void {
    this.#compacted = revision;
    this.#history.forget(revision);
  }

  stateAt(revision = this.#state.revision): State {
    if (revision > this.#state.revision) throw new FutureRevisionError(revision, this.#state.revision);
    if (revision === this.#state.revision) return this.#state;
    if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
    const state = this.#history.stateAt(revision);
    // The compacted revision itself is readable only while a commit at or before it is still remembered.
    if (state === undefined) throw new CompactedError(revision, this.#compacted + 1);
    return state;
  }

  revisionAt(time: number): number | undefined {
    return this.#history.revisionAt(time);
  }

  timeOf(revision: number): number | undefined {
    return this.#history.timeOf(revision);
  }

  get oldest(): Moment | undefined {
    const commit = this.#history.oldest;
    return commit && { revision: commit.state.revision, time: commit.time };
  }

  *commitsAfter(after: number): Generator<PastCommit, void, undefined> {
    if (after < this.#compacted) throw new CompactedError(after, this.#compacted);
    for (const { state, time, events } of this.#history.commitsAfter(after))
      yield { revision: state.revision, time, events };
  }

  eventsOf(revision: number): readonly StoreEvent[] {
    return this.#history.eventsOf(revision);
  }

  /** Replays what is retained after `from`, then goes on live. Gives the function that stops it; throws CompactedError. */
  watch(scope: Scope, from: number, watcher: Watcher): () => void {
    if (from < this.#compacted) throw new CompactedError(from, this.#compacted);
    for (const event of this.#history.eventsAfter(from, scope)) {
      if (watcher.closed()) return () => {};
      watcher.next(event);
    }
    const { next, end } = watcher;
    return this.#hub.add({ scope, start: Math.max(from, this.#state.revision), next, end });
  }

  /** Nothing more will be shown: every watcher is told why. */
  end(error: Error): void {
    this.#hub.end(error);
  }
}
