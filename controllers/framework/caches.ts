import type { Indexes, Informer, Informers } from '@trimtab/client';
import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import type { ClusteredType } from './clusters.js';
import type { CachingDefinition, ControllerDefinition } from './controller.js';
import { isControlledBy } from './owners.js';
import type { Failure, Reader, View } from './view.js';

const idOf = (type: ResourceType): string =>
  `${(type as Partial<ClusteredType>).cluster ?? ''}/${type.group}/${type.version}/${type.resource}`;

/** The shared caches one controller has declared, and views made of them. */
export class Caches implements Reader {
  readonly #controller: string;
  readonly #informers = new Map<string, Informer<KubeObject>>();
  readonly #shared: Informers;
  readonly #caching: ReadonlyMap<string, Omit<CachingDefinition, 'type'>>;

  constructor(definition: ControllerDefinition, informers: Informers) {
    this.#controller = definition.name;
    this.#shared = informers;
    this.#caching = new Map((definition.caching ?? []).map(({ type, ...caching }) => [idOf(type), caching]));
    const { owns = [], watches = [], reads = [], indexes = [] } = definition;
    for (const type of [definition.for, ...owns, ...watches.map((w) => w.type), ...reads]) this.add(type);
    for (const index of indexes) this.add(index.type, index.indexes);
  }

  /** Also while running: the cache is there once it has synced. */
  add(type: ResourceType, indexes: Indexes<KubeObject> = {}): Informer<KubeObject> {
    const informer = this.#shared.get(type, { ...this.#caching.get(idOf(type)), indexes });
    this.#informers.set(idOf(type), informer);
    return informer;
  }

  remove(type: ResourceType): void {
    this.#informers.delete(idOf(type));
  }

  informer<O extends KubeObject>(type: ResourceType<O>): Informer<O> {
    const informer = this.#informers.get(idOf(type));
    if (!informer)
      throw new Error(`${this.#controller} reads ${type.resource} without declaring it (owns, watches or reads)`);
    return informer as unknown as Informer<O>;
  }

  all(): readonly Informer<KubeObject>[] {
    return [...this.#informers.values()];
  }

  get<O extends KubeObject>(type: ResourceType<O>, key: ObjectKey): O | undefined {
    return this.informer(type).get(key);
  }

  list<O extends KubeObject>(type: ResourceType<O>, namespace?: string): readonly O[] {
    return this.informer(type).list(namespace);
  }

  byIndex<O extends KubeObject>(type: ResourceType<O>, index: string, value: string): readonly O[] {
    return this.informer(type).byIndex(index, value);
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
    const object = informer.get(key);
    const { externals, ...rest } = around;
    return {
      key,
      object,
      asOf: informer.asOf,
      ...rest,
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
}
