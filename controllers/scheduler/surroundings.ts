import type { Informer, Informers } from '@trimtab/client';
import {
  type KubeObject,
  matchesLabels,
  Namespaces,
  type Pod,
  ReplicaSets,
  ReplicationControllers,
  type Selector,
  Services,
  StatefulSets,
  selectorFromLabels,
  selectorFromObject,
} from '@trimtab/machinery';
import type { Surroundings } from './picture.js';
import type { StorageView } from './volumes.js';

/** What the rules ask about beside nodes and pods, read from caches. */
export class ClusterSurroundings implements Surroundings {
  readonly storage?: StorageView;
  readonly #namespaces;
  readonly #services;
  readonly #sets;
  readonly #controllers;

  constructor(informers: Informers, storage?: StorageView) {
    if (storage) this.storage = storage;
    this.#namespaces = informers.get(Namespaces);
    this.#services = informers.get(Services);
    this.#sets = [informers.get(ReplicaSets), informers.get(StatefulSets)];
    this.#controllers = informers.get(ReplicationControllers);
  }

  whenSynced(): Promise<unknown> {
    const all = [this.#namespaces, this.#services, ...this.#sets, this.#controllers];
    return Promise.all((all as unknown as readonly Informer<KubeObject>[]).map((informer) => informer.whenSynced()));
  }

  readonly namespaceLabels = (namespace: string) => this.#namespaces.get({ name: namespace })?.metadata.labels;

  /** All selectors together must match (kube-scheduler: DefaultSelector). */
  readonly defaultSelector = (pod: Pod): Selector | undefined => {
    const { namespace = '', labels = {}, ownerReferences = [] } = pod.metadata;
    const requirements = this.#services
      .byIndex('namespace', namespace)
      .map(({ spec }) => spec?.selector)
      .filter((selector) => selector && Object.keys(selector).length > 0)
      .map((selector) => selectorFromLabels(selector))
      .filter((selector) => matchesLabels(selector, labels))
      .flatMap((selector) => selector.requirements);
    const owner = ownerReferences.find(({ controller }) => controller);
    if (owner) {
      const key = { namespace, name: owner.name };
      const selector =
        owner.kind === 'ReplicationController'
          ? selectorFromLabels(this.#controllers.get(key)?.spec?.selector)
          : this.#setSelector(owner.kind, key);
      requirements.push(...(selector?.requirements ?? []));
    }
    return requirements.length > 0 ? { requirements } : undefined;
  };

  #setSelector(kind: string, key: { readonly namespace: string; readonly name: string }): Selector | undefined {
    const at = ['ReplicaSet', 'StatefulSet'].indexOf(kind);
    const selector = at < 0 ? undefined : this.#sets[at]!.get(key)?.spec?.selector;
    return selector ? selectorFromObject(selector) : undefined;
  }
}
