/**
 * Helpers over plain JSON values that are treated as immutable. Keys are only ever read as own properties and written as own
 * data properties, so a hostile `__proto__` in a request body is an ordinary key that pruning drops.
 */

export type JsonRecord = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The own field of an object, or undefined. */
export function own(object: JsonRecord, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Sets an own field, whatever it is called. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  else object[key] = value;
}

/** Structural equality of JSON values; object fields holding undefined count as absent. Identical subtrees cost nothing. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]));
  }
  if (!isRecord(a) || !isRecord(b)) return false;
  const keys = Object.keys(a).filter((key) => a[key] !== undefined);
  const count = Object.keys(b).filter((key) => b[key] !== undefined).length;
  return keys.length === count && keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key], b[key]));
}

/**
 * A value equal to `next` that is `previous` itself, and holds `previous`' own subtrees, wherever the two are equal. Lists are
 * compared place by place.
 */
export function shareStructure<T>(previous: unknown, next: T): T {
  if (previous === next) return next;
  if (Array.isArray(next)) {
    if (!Array.isArray(previous)) return next;
    const items = next.map((item, i) => shareStructure(previous[i], item));
    const same = items.length === previous.length && items.every((item, i) => item === previous[i]);
    return (same ? previous : items) as T;
  }
  if (!isRecord(next) || !isRecord(previous)) return next;
  const keys = Object.keys(next);
  let same = keys.length === Object.keys(previous).length;
  let changed: Record<string, unknown> | undefined;
  for (const key of keys) {
    const before = own(previous, key);
    const value = next[key];
    const shared = before === value ? value : shareStructure(before, value);
    if (shared !== value) {
      changed ??= { ...next };
      setOwn(changed, key, shared);
    }
    if (shared !== before || (before === undefined && !Object.hasOwn(previous, key))) same = false;
  }
  return (same ? previous : (changed ?? next)) as T;
}

/** `object` with these fields set (undefined removes); the same object when nothing changes by identity. */
export function withFields(object: JsonRecord, changes: ReadonlyMap<string, unknown>): JsonRecord {
  let changed = false;
  for (const [key, value] of changes) {
    if (Object.hasOwn(object, key) ? object[key] !== value : value !== undefined) changed = true;
  }
  if (!changed) return object;
  const made: Record<string, unknown> = {};
  for (const key of Object.keys(object)) {
    const value = changes.has(key) ? changes.get(key) : object[key];
    if (value !== undefined) setOwn(made, key, value);
  }
  for (const [key, value] of changes) if (value !== undefined && !Object.hasOwn(object, key)) setOwn(made, key, value);
  return made;
}
