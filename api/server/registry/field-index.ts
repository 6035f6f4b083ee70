import type { FieldExtractor } from '@trimtab/machinery';
import type { Entry, Snapshot, Store, StoreEvent, StoreKey } from '@trimtab/store';
import { Observable } from 'rxjs';
import type { Selection } from './selection.js';
import type { ServedKind } from './served-kind.js';

/** Field labels by which lists and watches find their objects without looking at any other. */
const indexedFields: Readonly<Record<string, string>> = { '/pods': 'spec.nodeName' };

/** The indexes of a store, each made when first asked for. */
export class FieldIndexes {
  readonly #byResource = new Map<string, FieldIndex>();
  constructor(readonly store: Store) {}

  /** The index that answers this selection, with the value wanted; undefined where there is none. */
  find(kind: ServedKind, selection: Selection): { readonly index: FieldIndex; readonly value: string } | undefined {
    const { resource } = kind.storage;
    const field = indexedFields[resource];
    const value = field === undefined ? undefined : selection.demands?.(field);
    const read = field === undefined ? undefined : kind.fieldLabels.get(field);
    if (value === undefined || !read) return undefined;
    let index = this.#byResource.get(resource);
    if (!index) {
      index = new FieldIndex(this.store, resource, read);
      this.#byResource.set(resource, index);
    }
    return { index, value };
  }
}

type Next = (event: StoreEvent) => void;
interface Watcher {
  readonly start: number;
  readonly next: Next;
}

const place = ({ namespace, name }: Pick<StoreKey, 'namespace' | 'name'>): string => `${namespace}\0${name}`;

/** Which objects of a resource have which value of a field, and who watches a value; kept by the store's events. */
export class FieldIndex {
  readonly #keys = new Map<string, Map<string, StoreKey>>();
  readonly #watchers = new Map<string, Set<Watcher>>();

  constructor(
    readonly store: Store,
    readonly resource: string,
    readonly read: FieldExtractor,
  ) {
    const snapshot = store.snapshot();
    for (const { key, object } of snapshot.range({ resource })) this.#put(read(object), key);
    store.watch({ resource }, snapshot.revision).subscribe((event) => this.#take(event));
  }

  /**
   * The entries with this value in key order, in one namespace or all. Undefined for any but the newest state, which is the
   * only one the index knows.
   */
  entries(
    snapshot: Snapshot,
    value: string,
    namespace: string | undefined,
    after?: Pick<StoreKey, 'namespace' | 'name'>,
  ): readonly Entry[] | undefined {
    if (snapshot.revision !== this.store.revision) return undefined;
    const from = after && place(after);
    return [...(this.#keys.get(value) ?? [])]
      .filter(([at, key]) => (namespace === undefined || key.namespace === namespace) && !(from && at <= from))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, key]) => snapshot.get(key))
      .filter((entry) => entry !== undefined);
  }

  /** What {@link Store.watch} gives of the whole resource, less the events of objects that neither have nor had the value. */
  watch(value: string, from: number): Observable<StoreEvent> {
    return new Observable((subscriber) => {
      const replay = this.store.watch({ resource: this.resource }, from).subscribe({
        next: (event) => {
          if (this.#values(event).includes(value)) subscriber.next(event);
        },
        error: (error: unknown) => subscriber.error(error),
      });
      replay.unsubscribe();
      if (subscriber.closed) return;
      const watcher: Watcher = {
        start: Math.max(from, this.store.revision),
        next: (event) => subscriber.next(event),
      };
      const others = this.#watchers.get(value) ?? new Set();
      this.#watchers.set(value, others.add(watcher));
      return () => {
        others.delete(watcher);
        if (others.size === 0 && this.#watchers.get(value) === others) this.#watchers.delete(value);
      };
    });
  }

  #values({ object, previous }: StoreEvent): readonly string[] {
    const now = this.read(object);
    const before = previous === undefined ? now : this.read(previous);
    return before === now ? [now] : [before, now];
  }

  #take(event: StoreEvent): void {
    const values = this.#values(event);
    if (values.length > 1 || event.type === 'delete') this.#remove(values[0]!, event.key);
    if (event.type !== 'delete') this.#put(values.at(-1)!, event.key);
    for (const value of values)
      for (const watcher of this.#watchers.get(value) ?? []) if (event.revision > watcher.start) watcher.next(event);
  }

  #put(value: string, key: StoreKey): void {
    const keys = this.#keys.get(value) ?? new Map<string, StoreKey>();
    this.#keys.set(value, keys.set(place(key), key));
  }

  #remove(value: string, key: StoreKey): void {
    const keys = this.#keys.get(value);
    keys?.delete(place(key));
    if (keys?.size === 0) this.#keys.delete(value);
  }
}
