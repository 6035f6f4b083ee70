import type { Clock, KubeObject } from '@trimtab/machinery';
import { Observable } from 'rxjs';
import type { Engine, EngineRecord } from './engine/engine.js';
import { OPERATIONS, recordNumber, revisionOf } from './engine/engine.js';
import { defaultRetention, History, type Retention } from './history.js';
import { Hub, inScope } from './hub.js';
import { emptyState, find, type State, type StoredEntry, snapshotOf, withEntry, withoutEntry } from './state.js';
import {
  type Commit,
  CompactedError,
  ConflictError,
  type Entry,
  FutureRevisionError,
  type Operation,
  type Scope,
  type Snapshot,
  type Store,
  type StoreEvent,
  StoreFailedError,
  type StoreKey,
} from './store.js';

export interface StoreOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly retention?: Retention;
}

/** Opens the store on an engine and reads back everything it holds. Rejects with StoreFailedError on damage. */
export async function openStore({ engine, clock, retention = defaultRetention }: StoreOptions): Promise<Store> {
  const store = new RevisionStore(engine, clock, retention);
  await store.load();
  return store;
}

/** In each of two generations. */
const TEXTS = 128;
const LONGEST_TEXT = 64 * 1024;

/** A commit accepted but not yet durable. */
interface Accepted {
  readonly commit: Commit;
  readonly state: State;
  readonly events: readonly StoreEvent[];
  readonly superseded: readonly number[];
  readonly records: readonly EngineRecord[];
  readonly resolve: (commit: Commit) => void;
  readonly reject: (error: Error) => void;
}

class RevisionStore implements Store {
  readonly #history = new History();
  readonly #hub = new Hub();
  #durable: State = emptyState;
  #accepted: State = emptyState;
  #compacted = 0;
  #queue: Accepted[] = [];
  #flushing: Promise<void> | undefined;
  #closed = false;
  /** Answers and watch events follow a commit closely, and far fewer of them are under way at once than this. */
  #texts = new Map<KubeObject, string>();
  #olderTexts: ReadonlyMap<KubeObject, string> = new Map();

  constructor(
    readonly engine: Engine,
    readonly clock: Clock,
    readonly retention: Retention,
  ) {}

  get revision(): number {
    return this.#durable.revision;
  }

  get compacted(): number {
    return this.#compacted;
  }

  async load(): Promise<void> {
    const { meta, records } = await this.engine.load();
    const now = this.clock.now();
    let state = emptyState;
    let pending: { revision: number; events: StoreEvent[]; superseded: number[]; bytes: number } | undefined;
    const finish = () => {
      if (pending === undefined) return;
      state = { ...state, revision: pending.revision };
      this.#history.push({ state, time: now, ...pending });
      pending = undefined;
    };
    for (const record of records) {
      const revision = revisionOf(record.number);
      if (pending !== undefined && pending.revision !== revision) finish();
      const key = parseKey(record.key);
      const before = find(state, key);
      const object = record.value === undefined ? before?.object : (JSON.parse(record.value) as KubeObject);
      if (record.value === undefined) state = withoutEntry(state, key);
      else state = withEntry(state, { key, object: object!, revision, record: record.number });
      if (revision <= meta.compacted) continue;
      pending ??= { revision, events: [], superseded: [], bytes: 0 };
      pending.bytes += record.value?.length ?? 0;
      pending.superseded.push(...supersededBy(before, record));
      if (object !== undefined)
        pending.events.push(eventOf(record.value === undefined ? 'delete' : 'put', revision, key, object, before));
    }
    finish();
    this.#durable = { ...state, revision: Math.max(state.revision, meta.revision) };
    this.#accepted = this.#durable;
    this.#compacted = meta.compacted;
  }

  snapshot(revision?: number): Snapshot {
    return snapshotOf(this.#stateAt(revision));
  }

  pending(key: StoreKey): Entry | undefined {
    return find(this.#accepted, key);
  }

  text(object: KubeObject): string | undefined {
    return this.#texts.get(object) ?? this.#olderTexts.get(object);
  }

  #remember(object: KubeObject, text: string): void {
    if (this.#texts.size >= TEXTS) {
      this.#olderTexts = this.#texts;
      this.#texts = new Map();
    }
    if (text.length <= LONGEST_TEXT) this.#texts.set(object, text);
  }

  commit(operations: readonly Operation[]): Promise<Commit> {
    if (this.#closed) return Promise.reject(new StoreFailedError('the store is closed'));
    if (operations.length > OPERATIONS)
      return Promise.reject(
        new RangeError(`a commit holds at most ${OPERATIONS} operations, not ${operations.length}`),
      );
    return new Promise((resolve, reject) => {
      const accepted = this.#accept(operations, resolve, reject);
      if (accepted === undefined) return;
      this.#accepted = accepted.state;
      this.#queue.push(accepted);
      this.#flushing ??= this.#flush();
    });
  }

  watch(scope: Scope, from: number): Observable<StoreEvent> {
    return new Observable((subscriber) => {
      if (from < this.#compacted) return subscriber.error(new CompactedError(from, this.#compacted));
      for (const event of this.#history.eventsAfter(from)) {
        if (subscriber.closed) return;
        if (inScope(scope, event)) subscriber.next(event);
      }
      return this.#hub.add({
        scope,
        start: Math.max(from, this.#durable.revision),
        next: (event) => subscriber.next(event),
      });
    });
  }

  async compact(revision: number): Promise<void> {
    const target = Math.min(revision, this.#durable.revision);
    if (target <= this.#compacted) return;
    this.#compacted = target;
    const records = this.#history.forget(target);
    await this.engine.forget(records, { compacted: target, revision: this.#durable.revision });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#flushing;
    await this.engine.close();
  }

  #stateAt(revision = this.#durable.revision): State {
    if (revision >= this.#durable.revision) {
      if (revision > this.#durable.revision) throw new FutureRevisionError(revision, this.#durable.revision);
      return this.#durable;
    }
    if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
    const state = this.#history.stateAt(revision);
    // The compacted revision itself is readable only while a commit at or before it is still remembered.
    if (state === undefined) throw new CompactedError(revision, this.#compacted + 1);
    return state;
  }

  /** Checks every expectation, then computes the next state; answers at once when nothing would change. */
  #accept(
    operations: readonly Operation[],
    resolve: (commit: Commit) => void,
    reject: (error: Error) => void,
  ): Accepted | undefined {
    for (const operation of operations) {
      const actual = find(this.#accepted, operation.key)?.revision ?? 0;
      if (operation.expect !== undefined && operation.expect !== actual) {
        reject(new ConflictError(operation.key, operation.expect, actual));
        return undefined;
      }
    }
    const revision = this.#accepted.revision + 1;
    const events: StoreEvent[] = [];
    const superseded: number[] = [];
    const records: EngineRecord[] = [];
    let state = this.#accepted;
    const entries = operations.map((operation, index): Entry | undefined => {
      const before = find(state, operation.key);
      if (operation.type === 'check') return before;
      if (operation.type === 'delete' && before === undefined) return undefined;
      const source = operation.type === 'put' ? operation.object : before!.object;
      const object = stamp(source, revision);
      const number = recordNumber(revision, index);
      const value = operation.type === 'put' ? JSON.stringify(object) : undefined;
      if (value !== undefined) this.#remember(object, value);
      const record = { number, key: formatKey(operation.key), value };
      const entry: StoredEntry = { key: operation.key, object, revision, record: number };
      state = operation.type === 'put' ? withEntry(state, entry) : withoutEntry(state, operation.key);
      records.push(record);
      superseded.push(...supersededBy(before, record));
      events.push(eventOf(operation.type, revision, operation.key, object, before));
      return entry;
    });
    if (records.length === 0) {
      resolve({ revision: this.#durable.revision, entries });
      return undefined;
    }
    return {
      commit: { revision, entries },
      state: { ...state, revision },
      events,
      superseded,
      records,
      resolve,
      reject,
    };
  }

  /** One write in flight; whatever arrives meanwhile is the next batch. Nothing is visible before it is durable. */
  async #flush(): Promise<void> {
    // Lets every commit of this turn of the event loop into the first batch.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      try {
        await this.engine.append(batch.flatMap((accepted) => accepted.records));
      } catch (error) {
        this.#refuse([...batch, ...this.#queue], error);
        break;
      }
      for (const accepted of batch) this.#publish(accepted);
    }
    this.#flushing = undefined;
    const excess = this.#history.excess(this.retention, this.clock.now());
    // A failed compaction loses nothing: its records are found again, and forgotten, after the next load.
    if (excess !== undefined) await this.compact(excess).catch(() => {});
  }

  /** A write failed: nothing of it, nor of what was built on it, happened. The store goes on from what is durable. */
  #refuse(refused: readonly Accepted[], error: unknown): void {
    this.#queue = [];
    this.#accepted = this.#durable;
    const failure = error instanceof StoreFailedError ? error : new StoreFailedError(String(error), { cause: error });
    for (const { reject } of refused) reject(failure);
  }

  #publish({ state, events, superseded, records, commit, resolve }: Accepted): void {
    const bytes = records.reduce((sum, record) => sum + (record.value?.length ?? 0), 0);
    this.#durable = state;
    this.#history.push({ state, events, superseded, bytes, time: this.clock.now() });
    for (const event of events) this.#hub.dispatch(event);
    resolve(commit);
  }
}

/** Records that are garbage once the change is no longer history: the version before, and a tombstone itself. */
function supersededBy(before: StoredEntry | undefined, record: EngineRecord): number[] {
  const records = before === undefined ? [] : [before.record];
  return record.value === undefined ? [...records, record.number] : records;
}

function eventOf(
  type: 'put' | 'delete',
  revision: number,
  key: StoreKey,
  object: KubeObject,
  before: StoredEntry | undefined,
): StoreEvent {
  const stamped = object.metadata.resourceVersion === String(revision) ? object : stamp(object, revision);
  return { type, revision, key, object: stamped, ...(before === undefined ? {} : { previous: before.object }) };
}

function stamp(object: KubeObject, revision: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}

const formatKey = ({ resource, namespace, name }: StoreKey): string => `${resource}\0${namespace}\0${name}`;

function parseKey(key: string): StoreKey {
  const [resource = '', namespace = '', name = ''] = key.split('\0');
  return { resource, namespace, name };
}
