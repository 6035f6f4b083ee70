import { type Clock, type KubeObject, objectText } from '@trimtab/machinery';
import { Observable } from 'rxjs';
import {
  type Batch,
  type Change,
  CompareFailedError,
  type Engine,
  type Follower,
  OPERATIONS,
  StoreFailedError,
} from './engine/engine.js';
import { overlayEngine } from './engine/overlay.js';
import { formatKey, parseKey, stamp } from './entry.js';
import { CommitFigures } from './figures.js';
import type { Retention } from './history.js';
import { find, type State, snapshotOf, stateOf, withEntry, withoutEntry } from './state.js';
import {
  type Commit,
  ConflictError,
  type Entry,
  type Moment,
  type Operation,
  type PastCommit,
  type Scope,
  type Snapshot,
  type Store,
  type StoreEvent,
  type StoreHealth,
  type StoreKey,
  type WriteFigures,
} from './store.js';
import { Texts } from './texts.js';
import { plainCodec, type ValueCodec } from './value-codec.js';
import { type Step, View } from './view.js';

export interface StoreOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly retention?: Retention;
  /** Nothing more will come of the engine (see {@link Follower.ended}); what is seen stays as it is. Only a new store helps. */
  readonly ended?: (error: Error) => void;
  /** Encryption at rest; without, objects are stored as their JSON. */
  readonly codec?: ValueCodec;
  /** Seconds that objects of a resource are wanted at least; the engine may remove them after (see {@link Change.ttlSeconds}). */
  readonly ttlOf?: (resource: string) => number | undefined;
}

/** Opens the store on an engine and reads back everything it holds. Rejects with StoreFailedError on damage. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { codec = plainCodec, retention } = options;
  return loaded({ ...options, codec }, new View(codec, retention));
}

/**
 * A store that begins as this snapshot of another and goes its own way, in memory: it shares every object nobody changes, and
 * forking costs the same however many there are. Revisions go on from the snapshot's.
 */
export function forkStore(
  from: Snapshot,
  { clock, retention }: Pick<StoreOptions, 'clock' | 'retention'>,
): Promise<Store> {
  const view = new View(plainCodec, retention, stateOf(from));
  return loaded({ engine: overlayEngine(from.revision), clock, codec: plainCodec }, view);
}

type Parts = Omit<StoreOptions, 'retention'> & { readonly codec: ValueCodec };

async function loaded(parts: Parts, view: View): Promise<Store> {
  const { engine } = parts;
  const store = new RevisionStore(parts, view);
  try {
    await store.load();
  } catch (error) {
    await engine.close().catch(() => {});
    throw error;
  }
  return store;
}

/** A commit the engine has accepted and not yet told; where this process is the only writer. */
interface Accepted {
  readonly revision: number;
  readonly step: Step;
}

class RevisionStore implements Store {
  readonly #texts = new Texts();
  readonly #figures = new CommitFigures();
  /** What the state will be once everything accepted is durable. */
  #accepted: State;
  readonly #queue: Accepted[] = [];
  #closed = false;
  #failure: Error | undefined;

  readonly engine: Engine;
  readonly clock: Clock;
  readonly codec: ValueCodec;
  readonly ended: (error: Error) => void;
  readonly ttlOf: (resource: string) => number | undefined;

  constructor(
    { engine, clock, codec, ended = () => {}, ttlOf = () => undefined }: Parts,
    readonly view: View,
  ) {
    this.engine = engine;
    this.clock = clock;
    this.codec = codec;
    this.ended = ended;
    this.ttlOf = ttlOf;
    this.#accepted = view.state;
  }

  get revision(): number {
    return this.view.state.revision;
  }

  get shared(): boolean {
    return this.engine.next === undefined;
  }

  get compacted(): number {
    return this.view.compacted;
  }

  figures(): Iterable<WriteFigures> {
    return this.#figures.all();
  }

  get health(): StoreHealth {
    return this.#failure === undefined ? this.engine.health : { writable: false, reason: this.#failure.message };
  }

  async load(): Promise<void> {
    const early: Batch[] = [];
    let next = (batch: Batch): void => {
      early.push(batch);
    };
    const follower: Follower = {
      next: (batch) => next(batch),
      refused: () => {
        this.#queue.length = 0;
        this.#accepted = this.view.state;
      },
      ended: (error) => {
        this.#failure = error;
        this.view.end(error);
        this.ended(error);
      },
    };
    await this.view.load(await this.engine.open(follower), this.clock.now());
    this.#accepted = this.view.state;
    for (const batch of early) this.#follow(batch);
    next = (batch) => this.#follow(batch);
  }

  snapshot(revision?: number): Snapshot {
    return snapshotOf(this.view.stateAt(revision));
  }

  pending(key: StoreKey): Entry | undefined {
    return find(this.#accepted, key);
  }

  text(object: KubeObject): string | undefined {
    return this.#texts.get(object);
  }

  async commit(operations: readonly Operation[]): Promise<Commit> {
    if (this.#closed) throw new StoreFailedError('the store is closed');
    if (this.#failure !== undefined) throw this.#failure;
    if (operations.length > OPERATIONS)
      throw new RangeError(`a commit holds at most ${OPERATIONS} operations, not ${operations.length}`);
    const begun = this.clock.now();
    let failed = false;
    try {
      return await (this.engine.next === undefined
        ? this.#commitAmongOthers(operations)
        : this.#commitAlone(operations, this.engine.next));
    } catch (error) {
      failed = !(error instanceof ConflictError);
      throw error;
    } finally {
      this.#figures.note(operations, this.clock.now() - begun, failed);
    }
  }

  watch(scope: Scope, from: number): Observable<StoreEvent> {
    return new Observable((subscriber): (() => void) | undefined => {
      try {
        if (this.#failure !== undefined) throw this.#failure;
        return this.view.watch(scope, from, {
          next: (event) => subscriber.next(event),
          end: (error) => subscriber.error(error),
          closed: () => subscriber.closed,
        });
      } catch (error) {
        subscriber.error(error);
        return undefined;
      }
    });
  }

  async compact(revision: number): Promise<void> {
    const target = Math.min(revision, this.revision);
    if (target <= this.compacted) return;
    this.view.forget(target);
    await this.engine.compact(target);
  }

  async latest(): Promise<number> {
    return this.engine.next === undefined ? this.engine.confirm() : this.revision;
  }

  async rewriteStale(): Promise<number> {
    const stale = this.view.takeStale();
    let written = 0;
    for (const name of stale) {
      const key = parseKey(name);
      const entry = this.pending(key);
      if (entry === undefined) continue;
      const { object, revision } = entry;
      const done = this.commit([{ type: 'put', key, object, expect: revision }]);
      await done.then(
        () => written++,
        (error: unknown) => {
          if (!(error instanceof ConflictError)) throw error;
        },
      );
    }
    if (stale.length > 0) {
      await this.compact(this.revision);
      await this.engine.purge?.();
    }
    return written;
  }

  revisionAt(time: number): number | undefined {
    return this.view.revisionAt(time);
  }

  timeOf(revision: number): number | undefined {
    return this.view.timeOf(revision);
  }

  get oldest(): Moment | undefined {
    return this.view.oldest;
  }

  commitsAfter(after: number): Iterable<PastCommit> {
    return this.view.commitsAfter(after);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.engine.close();
  }

  /** The only writer knows what it has accepted: expectations are settled, and the next state made, before anything is written. */
  async #commitAlone(operations: readonly Operation[], revision: number): Promise<Commit> {
    for (const operation of operations) {
      const actual = find(this.#accepted, operation.key)?.revision ?? 0;
      if (operation.expect === undefined || operation.expect === actual) continue;
      // Nobody may learn of what a crash can still undo.
      await this.#settled();
      throw new ConflictError(operation.key, operation.expect, actual);
    }
    const events: StoreEvent[] = [];
    const changes: Change[] = [];
    let bytes = 0;
    let state = this.#accepted;
    const touched = new Set<string>();
    const entries = operations.map((operation): Entry | undefined => {
      const { key } = operation;
      const before = find(state, key);
      if (operation.type === 'check') return before;
      if (operation.type === 'delete' && before === undefined) return undefined;
      const object = stamp(operation.type === 'put' ? operation.object : before!.object, revision);
      const entry: Entry = { key, object, revision };
      const name = formatKey(key);
      if (touched.has(name)) throw twice(key);
      touched.add(name);
      if (operation.type === 'put') {
        state = withEntry(state, entry);
        if (this.engine.fleeting) changes.push({ key: name, value: '' });
        else {
          const text = objectText(object);
          this.#texts.remember(object, text);
          bytes += text.length;
          changes.push({ key: name, value: this.codec.seal(name, text) });
        }
      } else {
        state = withoutEntry(state, key);
        changes.push({ key: name, value: undefined });
      }
      events.push({ type: operation.type, revision, key, object, previous: before?.object });
      return entry;
    });
    if (changes.length === 0) return { revision: await this.#settled(), entries };
    state = { revision, resources: state.resources };
    const time = this.clock.now();
    const done = this.engine.transact({ compares: [], changes, time });
    // An engine that refuses at once has not moved on.
    if (this.engine.next !== revision) {
      this.#accepted = state;
      this.#queue.push({ revision, step: { state, events, bytes, time } });
    }
    await done;
    return { revision, entries };
  }

  /** Everything accepted so far is durable; rejects where it is refused. */
  #settled(): Promise<number> {
    if (this.#queue.length === 0) return Promise.resolve(this.revision);
    return this.engine.transact({ compares: [], changes: [], time: 0 });
  }

  /** With other writers only the engine can judge expectations, and the revision is known when it is done. */
  async #commitAmongOthers(operations: readonly Operation[]): Promise<Commit> {
    const names = operations.map(({ key }) => formatKey(key));
    const compares = operations.flatMap(({ expect }, i) =>
      expect === undefined ? [] : [{ key: names[i]!, revision: expect }],
    );
    const changes = operations.flatMap((operation, i): Change[] => {
      const key = names[i]!;
      if (operation.type === 'check') return [];
      if (operation.type === 'delete') return [{ key, value: undefined }];
      const value = this.codec.seal(key, objectText(withoutVersion(operation.object)));
      const ttlSeconds = this.ttlOf(operation.key.resource);
      return [{ key, value, ...(ttlSeconds === undefined ? {} : { ttlSeconds }) }];
    });
    const several = changes.find(({ key }, i) => changes.findIndex((other) => other.key === key) !== i);
    if (several !== undefined) throw twice(parseKey(several.key));
    const revision = await this.engine.transact({ compares, changes, time: this.clock.now() }).catch(asConflict);
    const events = new Map(this.view.eventsOf(revision).map((event) => [formatKey(event.key), event.object]));
    const entries = operations.map((operation, i): Entry | undefined => {
      const { key, type } = operation;
      if (type === 'check') return find(this.view.state, key);
      const object = events.get(names[i]!) ?? (type === 'put' ? stamp(operation.object, revision) : undefined);
      return object && { key, object, revision };
    });
    return { revision, entries };
  }

  #follow(batch: Batch): void {
    if (this.#queue[0]?.revision === batch.revision) this.view.publish(this.#queue.shift()!.step);
    else this.view.publish(this.view.step(this.view.state, batch, this.clock.now()));
    if (this.#queue.length === 0) this.#accepted = this.view.state;
    const excess = this.view.excess(this.clock.now());
    // What cannot be compacted now is found again, and compacted, later.
    if (excess !== undefined) this.compact(excess).catch(() => {});
  }
}

const twice = ({ resource, namespace, name }: StoreKey): RangeError =>
  new RangeError(`a commit changes ${resource} ${namespace}/${name} twice; one operation a key`);

/** The version is the revision, which nobody knows yet. */
function withoutVersion(object: KubeObject): KubeObject {
  const { resourceVersion: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function asConflict(error: unknown): never {
  if (!(error instanceof CompareFailedError)) throw error;
  throw new ConflictError(parseKey(error.compare.key), error.compare.revision, error.actual);
}
