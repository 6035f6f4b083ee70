/**
 * What was worked out of a value, for as long as the value is met again and again: pods of one template have the very same
 * specification, and each is asked the same questions. Keys are told apart by identity and must be immutable. Holds what was
 * met lately, at most twice `size` of it, and nothing of what has gone out of use for long.
 */
export class RecentMap<K, V> {
  readonly #size: number;
  #recent = new Map<K, V>();
  #older: ReadonlyMap<K, V> = new Map();

  constructor(size: number) {
    this.#size = size;
  }

  get(key: K): V | undefined {
    const known = this.#recent.get(key);
    if (known !== undefined) return known;
    const older = this.#older.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: K, value: V): void {
    if (this.#recent.size >= this.#size) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, value);
  }
}

/** The function, which answers a value it was asked of lately as it did then; it must be pure. */
export function remembering<K, V extends NonNullable<unknown>>(answer: (value: K) => V, size = 256): (value: K) => V {
  const known = new RecentMap<K, V>(size);
  return (value) => {
    let found = known.get(value);
    if (found === undefined) {
      found = answer(value);
      known.set(value, found);
    }
    return found;
  };
}
