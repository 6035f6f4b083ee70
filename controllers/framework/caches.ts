import { ALL_BUT_METADATA, type Change, type Indexes, type Informer, type Informers } from '@trimtab/client';
import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import type { ClusteredType } from './clusters.js';
import type { CachingDefinition, ControllerDefinition } from './controller.js';
import { DroppedField, guarded, NeedsWhole } from './guarded.js';
import { isControlledBy } from './owners.js';
import type { ProjectedType } from './projection.js';
import { retryConditionOf } from './retries.js';
import type { Failure, Freshness, Reader, View } from './view.js';

const idOf = (type: ResourceType): string =>
  `${(type as Partial<ClusteredType>).cluster ?? ''}/${type.group}/${type.version}/${type.resource}`;

/** A projected type and the whole one are two caches. */
const cacheOf = (type: ResourceType): unknown => (type as Partial<ProjectedType>).projection?.transform ?? idOf(type);

/**
 * The shared caches one controller has declared, and views made of them. Nothing it is handed has fields that are silently
 * undefined because they were left out: reading one is an error, or, where the whole objects can be had, gets them.
 */
export class Caches implements Reader {
  readonly #controller: string;
  readonly #informers = new Map<unknown, Informer<KubeObject>>();
  readonly #shared: Informers;
  readonly #caching: ReadonlyMap<string, Omit<CachingDefinition, 'type'>>;
  readonly #guarded = new WeakMap<KubeObject, KubeObject>();
  /** Caches of metadata of which something has been handed out. */
  readonly #handed = new Set<Informer<KubeObject>>();
  readonly #whole = new Set<string>();
  readonly #faults = new Map<string, Error>();

  constructor(definition: ControllerDefinition, informers: Informers) {
    this.#controller = definition.name;
    this.#shared = informers;
    this.#caching = new Map((definition.caching ?? []).map(({ type, ...caching }) => [idOf(type), caching]));
    const { owns = [], watches = [], reads = [], indexes = [] } = definition;
    // What is written down of retries is read of every object at the start.
    if (retryConditionOf(definition) !== undefined) this.#whole.add(idOf(definition.for));
    for (const type of [definition.for, ...owns, ...watches.map((w) => w.type), ...reads]) this.add(type);
    for (const index of indexes) this.add(index.type, index.indexes);
  }

  /** Also while running: the cache is there once it has synced. */
  add(type: ResourceType, indexes: Indexes<KubeObject> = {}): Informer<KubeObject> {
    const { projection } = type as Partial<ProjectedType>;
    const asked = { ...this.#caching.get(idOf(type)), ...projection, narrow: !this.#whole.has(idOf(type)) };
    const informer = this.#shared.get(type, asked);
    this.#informers.set(cacheOf(type), informer);
    for (const [name, fn] of Object.entries(indexes))
      if (!informer.hasIndex(name)) informer.addIndex(name, this.#safe(informer, name, fn));
    return informer;
  }

  remove(type: ResourceType): void {
    this.#informers.delete(cacheOf(type));
  }

  informer<O extends KubeObject>(type: ResourceType<O>): Informer<O> {
    const informer = this.#informers.get(cacheOf(type));
    if (!informer)
      throw new Error(`${this.#controller} reads ${type.resource} without declaring it (owns, watches or reads)`);
    return informer as unknown as Informer<O>;
  }

  all(): readonly Informer<KubeObject>[] {
    return [...this.#informers.values()];
  }

  /** False when all that is cached is cached whole. */
  get keepsParts(): boolean {
    for (const informer of this.#informers.values()) if (informer.keepsParts) return true;
    return false;
  }

  /** True when every cache has what is wanted of it: nothing waits for a first list, or for the rest of its objects. */
  get complete(): boolean {
    for (const informer of this.#informers.values()) if (!informer.hasSynced()) return false;
    return true;
  }

  async whenComplete(): Promise<void> {
    while (!this.complete) await Promise.all(this.all().map((informer) => informer.whenSynced()));
  }

  /** Gets the whole of everything that was handed out as metadata alone; false when nothing was. */
  widen(): boolean {
    const any = this.#handed.size > 0;
    for (const informer of this.#handed) informer.widen();
    this.#handed.clear();
    return any;
  }

  get<O extends KubeObject>(type: ResourceType<O>, key: ObjectKey): O | undefined {
    const informer = this.informer(type);
    const object = informer.get(key);
    return object && this.#safely(informer, object);
  }

  list<O extends KubeObject>(type: ResourceType<O>, namespace?: string): readonly O[] {
    const informer = this.informer(type);
    return this.#all(informer, informer.list(namespace));
  }

  byIndex<O extends KubeObject>(type: ResourceType<O>, index: string, value: string): readonly O[] {
    const informer = this.informer(type);
    const fault = this.#faults.get(`${informer.type.resource} ${index}`);
    if (fault) throw fault;
    // Of metadata there is no node to be found by.
    if (index === 'node' && informer.isNarrow) this.#missing(informer as unknown as Informer<KubeObject>);
    return this.#all(informer, informer.byIndex(index, value));
  }

  /** A change as predicates and mappings are told of it. */
  told(informer: Informer<KubeObject>, change: Change<KubeObject>): Change<KubeObject> {
    const object = this.#safely(informer, change.object);
    if (change.type !== 'updated') return object === change.object ? change : { ...change, object };
    const previous = change.previous === change.object ? object : this.#safely(informer, change.previous);
    return object === change.object && previous === change.previous ? change : { ...change, object, previous };
  }

  view<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    around: {
      readonly now: number;
      readonly attempt: number;
      readonly failure: Failure | undefined;
      readonly externals?: ReadonlyMap<string, unknown>;
    },
  ): View<T> {
    const informer = this.informer(type);
    const object = this.get(type, key);
    const { now, attempt, failure, externals } = around;
    return {
      key,
      object,
      asOf: informer.asOf,
      now,
      attempt,
      failure,
      freshness: (t = type as ResourceType) => this.#freshness(t),
      external: <V>(name: string) => externals?.get(name) as V | undefined,
      get: (t, k) => this.get(t, k),
      list: (t, namespace) => this.list(t, namespace),
      byIndex: (t, index, value) => this.byIndex(t, index, value),
      owned: (t) =>
        object?.metadata.uid
          ? this.byIndex(t, 'owner', object.metadata.uid).filter((o) => isControlledBy(o, object))
          : [],
    };
  }

  #freshness(type: ResourceType): Freshness {
    const informer = this.informer(type);
    return { asOf: informer.asOf, ageMs: informer.staleness() };
  }

  #all<O extends KubeObject>(informer: Informer<O>, objects: readonly O[]): readonly O[] {
    return informer.keepsParts ? objects.map((object) => this.#safely(informer, object)) : objects;
  }

  #safely<O extends KubeObject>(informer: Informer<O>, object: O): O {
    const lacks = informer.droppedOf(object);
    if (!lacks) return object;
    const of = informer as unknown as Informer<KubeObject>;
    const extensible = lacks === ALL_BUT_METADATA && (of.isNarrow || !of.scope.metadataOnly);
    if (of.isNarrow) this.#handed.add(of);
    const known = this.#guarded.get(object) as O | undefined;
    if (known) return known;
    const made = guarded(
      object,
      lacks,
      (path) => {
        if (extensible) return this.#missing(of);
        throw new DroppedField(this.#controller, informer.type.resource, path, object);
      },
      extensible,
    );
    this.#guarded.set(object, made);
    return made;
  }

  #missing(informer: Informer<KubeObject>): never {
    informer.widen();
    throw new NeedsWhole(`${this.#controller} reads more of ${informer.type.resource} than their metadata`);
  }

  /** An index must not fail: what it lacks is got, or said when the index is read. */
  #safe(informer: Informer<KubeObject>, name: string, fn: (object: KubeObject) => readonly string[]) {
    return (object: KubeObject): readonly string[] => {
      try {
        return fn(this.#safely(informer, object));
      } catch (error) {
        if (!informer.keepsParts || (!(error instanceof NeedsWhole) && !(error instanceof DroppedField))) throw error;
        if (error instanceof DroppedField) this.#faults.set(`${informer.type.resource} ${name}`, error);
        return [];
      }
    };
  }
}
