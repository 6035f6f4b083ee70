import type { Clock, KubeObject, Logger, ObjectKey, Random, ResourceType } from '@trimtab/machinery';
import {
  apiVersionOf,
  compileFieldSelector,
  fieldLabels,
  joinKey,
  keyOf,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from '@trimtab/machinery';
import { Observable } from 'rxjs';
import { Cache, type Indexes, type IndexFunction } from './cache.js';
import { type Change, type ChangeHandler, Delivery } from './change.js';
import type { Client, WatchEvent } from './client.js';
import { ALL_BUT_METADATA, type Dropped, droppedBetween } from './dropped.js';
import { OwnWrites } from './own-writes.js';
import { Reflector, type ReflectorStats, type ServerTraits } from './reflector.js';
import type { Scope } from './reflector-machine.js';
import { compareResourceVersions } from './resource-version.js';

export interface InformerOptions<T extends KubeObject> {
  readonly client: Client;
  readonly type: ResourceType<T>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What of the collection is cached; default everything. */
  readonly scope?: Scope;
  /** Beside `namespace`, `owner` (owner uid) and `node` (spec.nodeName). */
  readonly indexes?: Indexes<T>;
  /** Run once on every object before it is stored; must be idempotent. An object it throws on is left out, loudly. */
  readonly transform?: (object: T) => T;
  /** Of transforms of one name one is as good as the other; those without are told apart by identity. */
  readonly transformName?: string;
  /** What `transform` leaves out, where that is the same for every object. */
  readonly dropped?: Dropped;
  /** Notes of every object what `transform` has left out of it, for {@link Informer.droppedOf}. For tests and development. */
  readonly checked?: boolean;
  /** Only metadata is asked for and kept until somebody calls {@link Informer.widen}. */
  readonly narrow?: boolean;
  /** Tells every cached object again as an update, this often (1 s at least); no server traffic. Default never. */
  readonly resyncMs?: number;
  readonly traits?: ServerTraits;
}

export interface Registration {
  /** True once everything of the first list has been handled by this handler. */
  hasSynced(): boolean;
  remove(): void;
}

const MIN_RESYNC_MS = 1_000;

/** Whether an own write belongs into a scope; by a field selector nobody knows here, nothing new does. */
function selectedBy(type: ResourceType, scope: Scope): (object: KubeObject) => boolean {
  const labels = parseLabelSelector(scope.labelSelector ?? '');
  const fields = parseFieldSelector(scope.fieldSelector ?? '');
  const known = fieldLabels(type.group, type.resource);
  if (!fields.requirements.every(({ field }) => known.has(field))) return () => false;
  const selected = compileFieldSelector(fields, known);
  return (object) => matchesLabels(labels, object.metadata.labels) && selected(object);
}

/**
 * A cache of one collection that follows the server, shared by everyone who reads or listens. Guarantees: the cache and
 * its indexes change before handlers are told; per object, changes come in order; own writes recorded with
 * {@link recordWrite} and {@link recordDelete} are visible at once and never undone by older news.
 */
export class Informer<T extends KubeObject> {
  readonly type: ResourceType<T>;
  readonly #options: InformerOptions<T>;
  readonly #selected: (object: KubeObject) => boolean;
  readonly #cache: Cache<T>;
  readonly #own = new OwnWrites();
  readonly #deliveries = new Set<Delivery<T>>();
  readonly #reflector: Reflector<T>;
  readonly #waiting: (() => void)[] = [];
  readonly #wanting: (() => void)[] = [];
  /** What objects lack, where they lack something. */
  readonly #partial = new WeakMap<KubeObject, Dropped>();
  #scope: Scope;
  #narrow: boolean;
  #widening = false;
  #asOf = '';
  #synced = false;
  #dropped = 0;
  #cancelResync: () => void = () => {};

  constructor(options: InformerOptions<T>) {
    if (options.resyncMs !== undefined && options.resyncMs < MIN_RESYNC_MS)
      throw new Error(`resyncMs is ${options.resyncMs}; the least is ${MIN_RESYNC_MS}`);
    this.type = options.type;
    this.#options = options;
    this.#narrow = options.narrow === true && !options.scope?.metadataOnly;
    this.#scope = { ...options.scope, ...(this.#narrow ? { metadataOnly: true } : {}) };
    this.#selected = selectedBy(options.type, this.#scope);
    this.#cache = new Cache<T>(options.indexes);
    this.#reflector = new Reflector<T>({
      ...options,
      scope: this.#scope,
      sink: {
        replace: (items, revision) => this.#replace(items, revision),
        apply: (event) => this.#apply(event),
        progress: (revision) => this.#progress(revision),
      },
    });
  }

  /** Idempotent. */
  start(): void {
    this.#reflector.start();
    this.#cancelResync();
    this.#armResync();
  }

  /** Final for everything outstanding; the cache stays readable. */
  stop(): void {
    this.#reflector.stop();
    this.#cancelResync();
  }

  /** True once the first list is in the cache. */
  hasSynced(): boolean {
    return this.#synced;
  }

  whenSynced(): Promise<void> {
    return this.#synced ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The revision the cache is known to be complete up to; empty before the first list. */
  get asOf(): string {
    return this.#asOf;
  }

  /** Milliseconds since the server was last heard of; Infinity before the first answer. */
  staleness(): number {
    return this.#options.clock.now() - this.#reflector.lastContactAt;
  }

  /** What of the collection is cached. */
  get scope(): Scope {
    return this.#scope;
  }

  /** True while only metadata is kept of objects that can be had whole. */
  get isNarrow(): boolean {
    return this.#narrow;
  }

  /**
   * Whole objects from now on, for good. Not synced until a list of them, no older than what is known here, is in the cache;
   * handlers are then told of all of them once more, as additions of the initial list.
   */
  widen(): void {
    if (!this.#narrow) return;
    this.#narrow = false;
    this.#widening = true;
    this.#synced = false;
    this.#scope = this.#options.scope ?? {};
    this.#reflector.rescope(this.#scope, this.#own.newest());
    for (const resolve of this.#wanting.splice(0)) resolve();
  }

  /** Resolves once whole objects are in the cache: of a narrow one that nobody widens, never. */
  async whenWhole(): Promise<void> {
    if (this.#narrow) await new Promise<void>((resolve) => this.#wanting.push(resolve));
    return this.whenSynced();
  }

  /** False when every object is cached whole: then nothing in the cache lacks anything, only what was told of it before may. */
  get keepsParts(): boolean {
    return this.#narrow || this.#widening || this.#scope.metadataOnly === true || this.#options.transform !== undefined;
  }

  /** What a cached object lacks; undefined for one that is whole, or whose transform nobody {@link InformerOptions.checked checks}. */
  droppedOf(object: KubeObject): Dropped | undefined {
    return this.#partial.get(object);
  }

  get stats(): ReflectorStats & { readonly objects: number; readonly dropped: number } {
    return { ...this.#reflector.stats, objects: this.#cache.size, dropped: this.#dropped };
  }

  get(key: ObjectKey | string): T | undefined {
    return this.#cache.get(typeof key === 'string' ? key : joinKey(key));
  }

  list(namespace?: string): readonly T[] {
    return this.#cache.list(namespace);
  }

  /** Throws for an index that was not declared. */
  byIndex(index: string, value: string): readonly T[] {
    return this.#cache.byIndex(index, value);
  }

  addIndex(name: string, fn: IndexFunction<T>): void {
    this.#cache.addIndex(name, fn);
  }

  hasIndex(name: string): boolean {
    return this.#cache.hasIndex(name);
  }

  /** A handler that comes late is told what is there as additions of the initial list. */
  addHandler(handler: ChangeHandler<T>): Registration {
    const { logger } = this.#options;
    const delivery = new Delivery<T>(handler, logger.child({ resource: this.type.resource }));
    this.#deliveries.add(delivery);
    const present = (this.#widening ? [] : this.#cache.list()).map(
      (object) => ({ type: 'added', object, inInitialList: true }) as const,
    );
    delivery.push(this.#synced ? [...present, 'synced'] : present);
    return {
      hasSynced: () => delivery.synced,
      remove: () => {
        delivery.close();
        this.#deliveries.delete(delivery);
      },
    };
  }

  /** What is there, then every change, until unsubscribed. Never errors, never completes. */
  changes(): Observable<Change<T>> {
    return new Observable((subscriber) => {
      const registration = this.addHandler((change) => subscriber.next(change));
      return () => registration.remove();
    });
  }

  /** Takes the server's answer to an own create, update or patch into the cache; older news will not undo it. */
  recordWrite(answer: T): void {
    if (!(this.#synced || this.#widening) || this.#own.isDeleted(answer.metadata.uid)) return;
    // The watch was quicker; it may even have shown the deletion that followed.
    if ((compareResourceVersions(answer.metadata.resourceVersion, this.#asOf) ?? 1) <= 0) return;
    const stored = this.#cache.get(keyOf(answer));
    if (!this.#belongs(answer, stored)) return;
    const object = this.#transformed(answer);
    if (!object) return;
    this.#own.wrote(object);
    this.#publish(this.#put(object));
  }

  /** Takes a finished own deletion into the cache; late news of that uid is ignored. */
  recordDelete(key: ObjectKey, uid: string): void {
    const name = joinKey(key);
    this.#own.deleted(name, uid);
    const stored = this.#cache.get(name);
    if (stored?.metadata.uid !== uid) return;
    this.#cache.delete(name);
    this.#publish([{ type: 'deleted', object: stored, finalStateUnknown: false }]);
  }

  #belongs(object: T, stored: T | undefined): boolean {
    const { namespace } = this.#scope;
    if (namespace !== undefined && namespace !== object.metadata.namespace) return false;
    // One that leaves the selector stays until the watch tells of it, as its deletion.
    return stored !== undefined || this.#selected(object);
  }

  #replace(items: readonly T[], revision: string): void {
    const before = this.#narrow;
    const listed = new Set<string>();
    const changes: Change<T>[] = [];
    for (const item of items) {
      const key = keyOf(item);
      listed.add(key);
      if (this.#own.isDeleted(item.metadata.uid) || this.#own.isNewerThan(key, revision)) continue;
      const object = this.#transformed(item, before);
      if (object) changes.push(...this.#put(object));
    }
    for (const object of this.#cache.list()) {
      const key = keyOf(object);
      if (listed.has(key) || this.#own.isNewerThan(key, revision)) continue;
      this.#cache.delete(key);
      changes.push({ type: 'deleted', object, finalStateUnknown: true });
    }
    this.#own.seen(revision);
    this.#asOf = revision;
    // An index has wanted more of what is being put in: that comes with the next list.
    if (before && !this.#narrow) {
      this.#publish(changes);
      return;
    }
    const first = !this.#synced;
    this.#synced = true;
    this.#widening = false;
    this.#publish(first ? [...changes, 'synced'] : changes);
    if (first) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #apply(event: Exclude<WatchEvent<T>, { type: 'BOOKMARK' }>): void {
    this.#asOf = event.object.metadata.resourceVersion ?? this.#asOf;
    if (this.#own.supersedes(event)) return;
    if (event.type !== 'DELETED') {
      const object = this.#transformed(event.object);
      if (object) this.#publish(this.#put(object));
      return;
    }
    const key = keyOf(event.object);
    const stored = this.#cache.get(key);
    if (!stored) return;
    this.#cache.delete(key);
    const same = stored.metadata.uid === event.object.metadata.uid;
    this.#publish([{ type: 'deleted', object: same ? event.object : stored, finalStateUnknown: !same }]);
  }

  #progress(revision: string): void {
    this.#asOf = revision;
    this.#own.seen(revision);
  }

  #put(object: T): readonly Change<T>[] {
    const stored = this.#cache.get(keyOf(object));
    if (stored && stored.metadata.uid === object.metadata.uid) {
      const same = stored.metadata.resourceVersion === object.metadata.resourceVersion;
      if (same && !this.#widening) return [];
      this.#cache.set(object);
      if (!this.#widening) return [{ type: 'updated', object, previous: stored, resync: false }];
      return [{ type: 'added', object, inInitialList: true }];
    }
    this.#cache.set(object);
    const added: Change<T> = { type: 'added', object, inInitialList: !this.#synced };
    return stored ? [{ type: 'deleted', object: stored, finalStateUnknown: true }, added] : [added];
  }

  /** Lists leave kind and version out of their items; whoever reads the cache need not know. */
  #transformed(received: T, narrow = this.#narrow): T | undefined {
    const { type, transform, dropped, checked = false } = this.#options;
    const own = { apiVersion: apiVersionOf(type), kind: type.kind };
    if (narrow || this.#scope.metadataOnly) {
      // A server that cannot leave the rest out sends it; it is not kept.
      const object = { ...own, metadata: received.metadata } as T;
      this.#partial.set(object, ALL_BUT_METADATA);
      // What is made for whole objects cannot be asked of parts.
      return narrow ? object : this.#through(transform, object);
    }
    const object = received.kind ? received : { ...received, ...own };
    const kept = this.#through(transform, object);
    const lacks = kept && transform ? (dropped ?? (checked ? droppedBetween(object, kept) : undefined)) : undefined;
    if (lacks) this.#partial.set(kept!, lacks);
    return kept;
  }

  #through(transform: ((object: T) => T) | undefined, object: T): T | undefined {
    if (!transform) return object;
    try {
      return transform(object);
    } catch (error) {
      this.#dropped++;
      this.#options.logger.error({ key: keyOf(object), error: String(error) }, 'transform failed; object left out');
      return undefined;
    }
  }

  #publish(changes: readonly (Change<T> | 'synced')[]): void {
    if (changes.length > 0) for (const delivery of [...this.#deliveries]) delivery.push(changes);
  }

  #armResync(): void {
    const { resyncMs, clock } = this.#options;
    if (resyncMs === undefined) return;
    this.#cancelResync = clock.after(resyncMs, () => {
      this.#armResync();
      this.#publish(
        this.#cache.list().map((object) => ({ type: 'updated', object, previous: object, resync: true }) as const),
      );
    });
  }
}
