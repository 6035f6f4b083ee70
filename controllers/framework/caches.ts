import type { Informer, Informers } from '@trimtab/client';
import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import type { ControllerDefinition } from './controller.js';
import { isControlledBy } from './owners.js';
import type { Failure, Reader, View } from './view.js';

const idOf = (type: ResourceType): string => `${type.group}/${type.version}/${type.resource}`;

/** The shared caches one controller has declared, and views made of them. */
export class Caches implements Reader {
  readonly #controller: string;
  readonly #informers = new Map<string, Informer<KubeObject>>();

  constructor(definition: ControllerDefinition, informers: Informers) {
    this.#controller = definition.name;
    const { owns = [], watches = [], reads = [], indexes = [] } = definition;
    for (const type of [definition.for, ...owns, ...watches.map((w) => w.type), ...reads])
      this.#informers.set(idOf(type), informers.get(type));
    for (const index of indexes)
      this.#informers.set(idOf(index.type), informers.get(index.type, { indexes: index.indexes }));
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
    around: { readonly now: number; readonly attempt: number; readonly failure: Failure | undefined },
  ): View<T> {
    const informer = this.informer(type);
    const object = informer.get(key);
    return {
      key,
      object,
      asOf: informer.asOf,
      ...around,
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
