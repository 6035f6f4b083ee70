import type { Schema } from '../schema/schema.js';
import { fieldSchema } from './strategic.js';
import { equalJson, isRecord, type JsonRecord, own } from './structure.js';

/**
 * The strategic merge patch that makes `to` of `from`, undefined when they are equal. What others added meanwhile to lists
 * that merge by key stays. Lists whose elements lack or repeat their merge key are replaced as a whole.
 */
export function createStrategicMergePatch(from: object, to: object, schema: Schema): JsonRecord | undefined {
  const patch = diffMaps(from as JsonRecord, to as JsonRecord, schema, false);
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** `retain`: the object is a union whose other members must go, so the patch names the fields to keep. */
function diffMaps(from: JsonRecord, to: JsonRecord, schema: Schema | undefined, retain: boolean): JsonRecord {
  const patch: (readonly [string, unknown])[] = [];
  for (const key of Object.keys(from)) {
    if (from[key] !== undefined && own(to, key) === undefined) patch.push([key, null]);
  }
  for (const [key, value] of Object.entries(to)) {
    const before = own(from, key);
    if (value === undefined || equalJson(before, value)) continue;
    const field = fieldSchema(schema, key);
    if (isRecord(before) && isRecord(value) && !field?.patchStrategy?.includes('replace')) {
      patch.push([key, diffMaps(before, value, field, retains(field))]);
    } else if (Array.isArray(before) && Array.isArray(value) && field?.patchStrategy?.includes('merge')) {
      patch.push(...diffLists(key, before, value, field));
    } else patch.push([key, value]);
  }
  if (patch.length > 0 && retain) {
    patch.push([
      '$retainKeys',
      Object.keys(to)
        .filter((key) => to[key] !== undefined)
        .sort(),
    ]);
  }
  return Object.fromEntries(patch);
}

const retains = (field: Schema | undefined): boolean => field?.patchStrategy?.includes('retainKeys') ?? false;

function diffLists(
  field: string,
  from: readonly unknown[],
  to: readonly unknown[],
  schema: Schema,
): readonly (readonly [string, unknown])[] {
  if (![...from, ...to].some((item) => typeof item === 'object')) return diffScalars(field, from, to);
  const mergeKey = schema.patchMergeKey;
  const before = mergeKey === undefined ? undefined : byKey(from, mergeKey);
  const after = mergeKey === undefined ? undefined : byKey(to, mergeKey);
  if (mergeKey === undefined || !before || !after) return [[field, [...to, { $patch: 'replace' }]]];

  const elements: JsonRecord[] = [];
  for (const [key, item] of after) {
    const old = before.get(key);
    if (!old) elements.push(item);
    else {
      const inner = diffMaps(old, item, schema.items, retains(schema));
      if (Object.keys(inner).length > 0) elements.push({ ...inner, [mergeKey]: key });
    }
  }
  for (const key of before.keys()) if (!after.has(key)) elements.push({ [mergeKey]: key, $patch: 'delete' });
  const order = [...after.keys()].map((key) => ({ [mergeKey]: key }));
  return [[`$setElementOrder/${field}`, order], ...(elements.length > 0 ? [[field, elements] as const] : [])];
}

function diffScalars(
  field: string,
  from: readonly unknown[],
  to: readonly unknown[],
): readonly (readonly [string, unknown])[] {
  const added = to.filter((item) => !from.includes(item));
  const removed = from.filter((item) => !to.includes(item));
  return [
    [`$setElementOrder/${field}`, to],
    ...(added.length > 0 ? [[field, added] as const] : []),
    ...(removed.length > 0 ? [[`$deleteFromPrimitiveList/${field}`, removed] as const] : []),
  ];
}

/** The elements by their merge key, in order; undefined where a key is missing or stands twice. */
function byKey(list: readonly unknown[], mergeKey: string): ReadonlyMap<unknown, JsonRecord> | undefined {
  const map = new Map<unknown, JsonRecord>();
  for (const item of list) {
    const key = isRecord(item) ? own(item, mergeKey) : undefined;
    if (key === undefined || map.has(key)) return undefined;
    map.set(key, item as JsonRecord);
  }
  return map;
}
