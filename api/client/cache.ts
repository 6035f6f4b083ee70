import type { KubeObject } from '@trimtab/machinery';
import { keyOf } from '@trimtab/machinery';

/** The values an object is found under; none for not at all. Pure. */
export type IndexFunction<T extends KubeObject> = (object: T) => readonly string[];
export type Indexes<T extends KubeObject> = Readonly<Record<string, IndexFunction<T>>>;

/** Indexes every cache has. */
export const builtinIndexes: Indexes<KubeObject> = {
  namespace: (object) => [object.metadata.namespace ?? ''],
  /** By the uid of every owner. */
  owner: (object) => (object.metadata.ownerReferences ?? []).map((reference) => reference.uid),
  /** By `spec.nodeName`, where set. */
  node: (object) => {
    const name = (object as { readonly spec?: { readonly nodeName?: unknown } }).spec?.nodeName;
    return typeof name === 'string' && name !== '' ? [name] : [];
  },
};

/** Keys by value: an object that changes in nothing an index looks at leaves it as it is. */
type Index = Map<string, Set<string>>;

/** Objects by key, with indexes that are always in step. Iteration is in order of first insertion. */
export class Cache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #functions = new Map<string, IndexFunction<T>>();
  readonly #indexes = new Map<string, Index>();

  constructor(indexes: Indexes<T> = {}) {
    for (const [name, fn] of Object.entries({ ...builtinIndexes, ...indexes })) this.addIndex(name, fn);
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): readonly T[] {
    return namespace === undefined ? [...this.#objects.values()] : this.byIndex('namespace', namespace);
  }

  keys(): Iterable<string> {
    return this.#objects.keys();
  }

  /** Throws for an index nobody declared: an empty answer would be a silent lie. */
  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`no index "${name}"; declared are ${[...this.#indexes.keys()].join(', ')}`);
    const found: T[] = [];
    for (const key of index.get(value) ?? []) found.push(this.#objects.get(key)!);
    return found;
  }

  hasIndex(name: string): boolean {
    return this.#indexes.has(name);
  }

  /** Replaces an index of the same name. */
  addIndex(name: string, fn: IndexFunction<T>): void {
    this.#functions.set(name, fn);
    const index: Index = new Map();
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) insert(index, fn(object), key);
  }

  set(object: T): void {
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    this.#objects.set(key, object);
    for (const [name, fn] of this.#functions) {
      const index = this.#indexes.get(name)!;
      const values = fn(object);
      const before = previous ? fn(previous) : [];
      if (before.length === values.length && values.every((value, i) => value === before[i])) continue;
      const stale = before.filter((value) => !values.includes(value));
      remove(index, stale, key);
      insert(index, values, key);
    }
  }

  delete(key: string): void {
    const previous = this.#objects.get(key);
    if (!previous) return;
    this.#objects.delete(key);
    for (const [name, fn] of this.#functions) remove(this.#indexes.get(name)!, fn(previous), key);
  }
}

function insert(index: Index, values: readonly string[], key: string): void {
  for (const value of values) {
    const bucket = index.get(value);
    if (bucket) bucket.add(key);
    else index.set(value, new Set([key]));
  }
}

function remove(index: Index, values: readonly string[], key: string): void {
  for (const value of values) {
    const bucket = index.get(value);
    bucket?.delete(key);
    if (bucket?.size === 0) index.delete(value);
  }
}
