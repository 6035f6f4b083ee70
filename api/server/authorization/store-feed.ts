import type { KubeObject } from '@trimtab/machinery';
import type { Store } from '@trimtab/store';
import type { ObjectReader } from '../contracts.js';

/** The store's newest durable state as an {@link ObjectReader}; a call sees everything acknowledged before it. */
export function storeReader(store: Pick<Store, 'snapshot'>): ObjectReader {
  const lists = new Map<string, { readonly identity: object; readonly objects: readonly KubeObject[] }>();
  return {
    get: (resource, namespace, name) => store.snapshot().get({ resource, namespace, name })?.object,
    list(resource, namespace) {
      const snapshot = store.snapshot();
      const identity = snapshot.identity?.(resource);
      const key = namespace === undefined ? resource : `${resource}\0${namespace}`;
      const known = lists.get(key);
      if (known !== undefined && known.identity === identity) return known.objects;
      const scope = namespace === undefined ? { resource } : { resource, namespace };
      const objects = Array.from(snapshot.range(scope), (entry) => entry.object);
      if (lists.size >= MOST_LISTS) lists.clear();
      if (identity !== undefined && snapshot.count({ resource }) <= FEW) lists.set(key, { identity, objects });
      return objects;
    },
  };
}

/** Of resources with few objects (quotas, limits, priorities) every write asks for the same list again. */
const FEW = 256;
const MOST_LISTS = 1024;

/** One object's new state; `object` is absent once it is gone. `key` is `namespace/name`, or `/name`. */
export interface ObjectChange {
  readonly resource: string;
  readonly key: string;
  readonly object?: KubeObject;
  /** The state before; absent for what is new, and for what was there when following began. */
  readonly previous?: KubeObject;
}

/**
 * Tells `apply` of everything there is of these resources, then of every change, synchronously as it becomes durable: an index
 * fed so is current whenever a write has been acknowledged. Gives the function that ends it.
 */
export function followStore(
  store: Pick<Store, 'snapshot' | 'watch'>,
  resources: readonly string[],
  apply: (change: ObjectChange) => void,
): () => void {
  const start = store.snapshot();
  const subscriptions = resources.map((resource) => {
    for (const { key, object } of start.range({ resource }))
      apply({ resource, key: `${key.namespace}/${key.name}`, object });
    return followChanges(store, resource, start.revision, apply);
  });
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe();
  };
}

/** The same without what there is already: only changes after the revision. */
export function followChanges(
  store: Pick<Store, 'watch'>,
  resource: string,
  after: number,
  apply: (change: ObjectChange) => void,
): () => void {
  const subscription = store.watch({ resource }, after).subscribe((event) =>
    apply({
      resource,
      key: `${event.key.namespace}/${event.key.name}`,
      ...(event.type === 'put' ? { object: event.object } : {}),
      previous: event.previous,
    }),
  );
  return () => subscription.unsubscribe();
}
