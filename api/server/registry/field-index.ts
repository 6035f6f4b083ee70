import type { KubeObject } from '@trimtab/machinery';
import type { Entry, Snapshot, Store, StoreEvent, StoreKey } from '@trimtab/store';
import { Observable, type Subscription } from 'rxjs';
import type { Selection } from './selection.js';
import type { ServedKind } from './served-kind.js';

/** Field labels by which lists and watches find their objects without looking at any other. */
const indexedFields: Readonly<Record<string, string>> = { '/pods': 'spec.nodeName' };
/** Watchers that want one value of a label each, from which on an index of it is worth its memory. */
const WORTH = 8;

export interface Found {
  readonly index: FieldIndex;
  readonly value: string;
}

interface Labels {
  /** Who watches with a value of it. */
  watchers: number;
  index: FieldIndex | undefined;
}

/** The indexes of a store: of fields, each made when first asked for, and of labels by which many watch, for as long as they do. */
export class FieldIndexes {
  readonly #byResource = new Map<string, FieldIndex>();
  readonly #byLabel = new Map<string, Labels>();
  constructor(
    readonly store: Store,
    readonly worth = WORTH,
  ) {}

  /** The index that answers this selection, with the value wanted; undefined where there is none. */
  find(kind: ServedKind, selection: Selection): Found | undefined {
    const { resource } = kind.storage;
    const field = indexedFields[resource];
    const value = field === undefined ? undefined : selection.demands?.(field);
    const read = field === undefined ? undefined : kind.fieldLabels.get(field);
    if (value === undefined || !read) return this.#labelled(kind, selection);
    let index = this.#byResource.get(resource);
    if (!index) {
      index = new FieldIndex(this.store, resource, read);
      this.#byResource.set(resource, index);
    }
    return { index, value };
  }

  /** Counts somebody who begins to watch with a selection; gives the function that says it has ended. */
  watching(kind: ServedKind, selection: Selection): () => void {
    const counted = indexable(kind, selection).map(({ key }) => this.#watched(kind.storage.resource, key));
    return () => {
      for (const leave of counted.splice(0)) leave();
    };
  }

  #watched(resource: string, key: string): () => void {
    const name = `${resource}\0${key}`;
    const labels = this.#byLabel.get(name) ?? { watchers: 0, index: undefined };
    this.#byLabel.set(name, labels);
    if (++labels.watchers >= this.worth)
      labels.index ??= new FieldIndex(this.store, resource, ({ metadata }) =>
        metadata.labels && Object.hasOwn(metadata.labels, key) ? metadata.labels[key] : undefined,
      );
    return () => {
      if (--labels.watchers > 0) return;
      labels.index?.close();
      this.#byLabel.delete(name);
    };
  }

  /** Of several labels the one that fewest objects carry with the value. */
  #labelled(kind: ServedKind, selection: Selection): Found | undefined {
    let found: Found | undefined;
    for (const { key, value } of indexable(kind, selection)) {
      const index = this.#byLabel.get(`${kind.storage.resource}\0${key}`)?.index;
      if (index && (!found || index.count(value) < found.index.count(found.value))) found = { index, value };
    }
    return found;
  }
}

/** What a webhook converts may have other labels in another version. */
function indexable(kind: ServedKind, { labels }: Selection): NonNullable<Selection['labels']> {
  return labels && !kind.storage.prepare && !kind.live ? labels : [];
}

type Next = (event: StoreEvent) => void;
interface Watcher {
  readonly start: number;
  readonly next: Next;
  readonly end: (error: unknown) => void;
}

const place = ({ namespace, name }: Pick<StoreKey, 'namespace' | 'name'>): string => `${namespace}\0${name}`;

/** Which objects of a resource have which value of a field or label, and who watches a value; kept by the store's events. */
export class FieldIndex {
  readonly #keys = new Map<string, Map<string, StoreKey>>();
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #fed: Subscription;

  constructor(
    readonly store: Store,
    readonly resource: string,
    /** Undefined of objects that have no value. */
    readonly read: (object: KubeObject) => string | undefined,
  ) {
    const snapshot = store.snapshot();
    for (const { key, object } of snapshot.range({ resource })) this.#put(read(object), key);
    this.#fed = store.watch({ resource }, snapshot.revision).subscribe({
      next: (event) => this.#take(event),
      error: (error: unknown) => {
        for (const watchers of [...this.#watchers.values()]) for (const watcher of [...watchers]) watcher.end(error);
      },
    });
  }

  /** Nobody is told of anything any more. */
  close(): void {
    this.#fed.unsubscribe();
  }

  /** How many objects have the value. */
  count(value: string): number {
    return this.#keys.get(value)?.size ?? 0;
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
        end: (error) => subscriber.error(error),
      };
      const others = this.#watchers.get(value) ?? new Set();
      this.#watchers.set(value, others.add(watcher));
      return () => {
        others.delete(watcher);
        if (others.size === 0 && this.#watchers.get(value) === others) this.#watchers.delete(value);
      };
    });
  }

  #values({ object, previous }: StoreEvent): readonly (string | undefined)[] {
    const now = this.read(object);
    const before = previous === undefined ? now : this.read(previous);
    return before === now ? [now] : [before, now];
  }

  #take(event: StoreEvent): void {
    const values = this.#values(event);
    if (values.length > 1 || event.type === 'delete') this.#remove(values[0], event.key);
    if (event.type !== 'delete') this.#put(values.at(-1), event.key);
    for (const value of values) {
      if (value === undefined) continue;
      for (const watcher of this.#watchers.get(value) ?? []) if (event.revision > watcher.start) watcher.next(event);
    }
  }

  #put(value: string | undefined, key: StoreKey): void {
    if (value === undefined) return;
    const keys = this.#keys.get(value) ?? new Map<string, StoreKey>();
    this.#keys.set(value, keys.set(place(key), key));
  }

  #remove(value: string | undefined, key: StoreKey): void {
    if (value === undefined) return;
    const keys = this.#keys.get(value);
    keys?.delete(place(key));
    if (keys?.size === 0) this.#keys.delete(value);
  }
}
