import type { Schema } from '../schema/schema.js';
import { badRequest } from '../status.js';
import { unprocessablePatch } from './errors.js';
import { deleteEntries, mergeOrder, scalarText } from './strategic-lists.js';
import { isRecord, type JsonRecord, own, setOwn, shareStructure, withFields } from './structure.js';

/**
 * Strategic merge patch (kubernetes/apimachinery pkg/util/strategicpatch): a merge patch in which lists merge by the keys the
 * schema declares, with the directives `$patch`, `$retainKeys`, `$setElementOrder/…` and `$deleteFromPrimitiveList/…`.
 */

const DELETE_LIST = '$deleteFromPrimitiveList/';
const SET_ORDER = '$setElementOrder/';

/**
 * Applies a strategic merge patch; `original` stays untouched, and what does not change is shared with it by identity.
 * Fields the schema does not know merge as objects and are replaced as lists.
 *
 * @throws StatusError 400 for a malformed patch, 422 for one that does not fit the object (a missing merge key, say).
 */
export function applyStrategicMergePatch<T extends object>(original: T, patch: unknown, schema: Schema): T {
  if (!isRecord(patch)) throw badRequest('invalid JSON document');
  return mergeMap(original as unknown as JsonRecord, patch, schema) as T;
}

/** The schema of a field, whether the object has known fields or free keys. */
export function fieldSchema(schema: Schema | undefined, field: string): Schema | undefined {
  if (!schema) return undefined;
  const properties = schema.properties;
  return properties && Object.hasOwn(properties, field) ? properties[field] : schema.values;
}

function mergeMap(original: JsonRecord, patch: JsonRecord, schema: Schema | undefined): JsonRecord {
  const directive = own(patch, '$patch');
  if (directive !== undefined) return followDirective(directive, original, patch);

  const changes = new Map<string, unknown>();
  retainKeys(original, patch, changes);
  const current = (field: string): unknown => (changes.has(field) ? changes.get(field) : own(original, field));
  const ordered = new Set<string>();
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(SET_ORDER)) continue;
    const field = key.slice(SET_ORDER.length);
    if (own(patch, field) === null) continue;
    ordered.add(field);
    const list = setElementOrder(field, current(field), own(patch, field), order, fieldSchema(schema, field));
    if (list) changes.set(field, list);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined || key === '$retainKeys' || key.startsWith(SET_ORDER) || ordered.has(key)) continue;
    if (key.startsWith(DELETE_LIST)) continue;
    changes.set(key, mergeField(current(key), value, fieldSchema(schema, key)));
  }
  for (const [key, value] of Object.entries(patch)) {
    if (!key.startsWith(DELETE_LIST)) continue;
    const field = key.slice(DELETE_LIST.length);
    if (!Array.isArray(value)) throw badRequest('invalid patch format of primitive list');
    const list = current(field);
    if (Array.isArray(list)) changes.set(field, deleteEntries(list, value));
  }
  return withFields(original, changes);
}

function followDirective(directive: unknown, original: JsonRecord, patch: JsonRecord): JsonRecord {
  if (directive === 'replace') {
    const { $patch: _, ...rest } = patch;
    return shareStructure(original, clean(rest) as JsonRecord);
  }
  if (directive === 'delete') return {};
  throw unknownDirective(directive);
}

const unknownDirective = (directive: unknown): Error => unprocessablePatch(`unknown patch type: ${String(directive)}`);

function retainKeys(original: JsonRecord, patch: JsonRecord, changes: Map<string, unknown>): void {
  const list = own(patch, '$retainKeys');
  if (list === undefined) return;
  if (!Array.isArray(list)) throw badRequest('invalid patch format of retainKeys');
  const retained = new Set<unknown>(list);
  for (const [key, value] of Object.entries(patch)) {
    const plain = !key.startsWith('$');
    if (plain && value !== null && !retained.has(key)) throw badRequest('invalid patch format of retainKeys');
  }
  for (const key of Object.keys(original)) if (!retained.has(key)) changes.set(key, undefined);
}

function mergeField(original: unknown, patch: unknown, schema: Schema | undefined): unknown {
  if (patch === null) return undefined;
  if (isRecord(original) && isRecord(patch)) {
    if (schema?.patchStrategy?.includes('replace')) return shareStructure(original, clean(patch));
    return mergeMap(original, patch, schema);
  }
  if (Array.isArray(original) && Array.isArray(patch)) return mergeList(original, patch, schema);
  return shareStructure(original, clean(patch));
}

/** A patch value taken as it is: without nulls in objects, and without whatever carries a directive. */
function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => !hasDirective(item)).map(clean);
  if (!isRecord(value)) return value;
  if (hasDirective(value)) return undefined;
  const kept: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const item = value[key];
    if (item === null || item === undefined || isDirectiveKey(key)) continue;
    const cleaned = clean(item);
    if (cleaned !== undefined) setOwn(kept, key, cleaned);
  }
  return kept;
}

const hasDirective = (value: unknown): boolean => isRecord(value) && Object.hasOwn(value, '$patch');
const isDirectiveKey = (key: string): boolean =>
  key === '$retainKeys' || key.startsWith(SET_ORDER) || key.startsWith(DELETE_LIST);

const merges = (schema: Schema | undefined): boolean => schema?.patchStrategy?.includes('merge') ?? false;

function mergeList(
  original: readonly unknown[],
  patch: readonly unknown[],
  schema: Schema | undefined,
): readonly unknown[] {
  if (!merges(schema)) return shareStructure(original, clean(patch) as readonly unknown[]);
  if (![...original, ...patch].some(isRecord)) {
    const union = [...new Set([...original, ...patch])];
    return shareStructure(
      original,
      mergeOrder(union, patch, original, (item) => item),
    );
  }
  const mergeKey = schema?.patchMergeKey;
  if (mergeKey === undefined)
    throw unprocessablePatch(`cannot merge lists without merge key for ${schema?.items?.name ?? ''}`);
  const keyOf = (item: unknown): unknown => mergeKeyOf(item, mergeKey);

  const additions: JsonRecord[] = [];
  const removed = new Set<unknown>();
  let replace = false;
  for (const item of patch) {
    if (!isRecord(item)) throw unprocessablePatch('list element types are not identical');
    const directive = own(item, '$patch');
    if (directive === undefined) additions.push(item);
    else if (directive === 'delete') removed.add(keyOf(item));
    else if (directive === 'replace') replace = true;
    else if (directive === 'merge') throw unprocessablePatch('merging lists cannot yet be specified in the patch');
    else throw unknownDirective(directive);
  }
  if (replace) return shareStructure(original, clean(additions) as readonly unknown[]);

  const merged: unknown[] = original.filter((item) => !removed.has(keyOf(item)));
  for (const item of additions) {
    const key = keyOf(item);
    const at = merged.findIndex((each) => keyOf(each) === key);
    if (at < 0) merged.push(clean(item));
    else merged[at] = mergeMap(merged[at] as JsonRecord, item, schema?.items);
  }
  return unchanged(original, mergeOrder(merged, additions, original, keyOf));
}

/** The list itself when its elements are the same in the same places. */
const unchanged = (original: readonly unknown[], next: readonly unknown[]): readonly unknown[] =>
  next.length === original.length && next.every((item, i) => item === original[i]) ? original : next;

function mergeKeyOf(item: unknown, mergeKey: string): unknown {
  if (!isRecord(item)) throw unprocessablePatch('list element types are not identical');
  const value = own(item, mergeKey);
  if (value === undefined) {
    throw unprocessablePatch(`map: ${scalarText(item)} does not contain declared merge key: ${mergeKey}`);
  }
  return value;
}

function setElementOrder(
  field: string,
  original: unknown,
  patch: unknown,
  order: unknown,
  schema: Schema | undefined,
): readonly unknown[] | undefined {
  if (!Array.isArray(order)) throw badRequest('invalid patch format of setElementOrder list');
  if ((original !== undefined && !Array.isArray(original)) || (patch !== undefined && !Array.isArray(patch))) {
    throw unprocessablePatch(`${SET_ORDER}${field} needs a list`);
  }
  if (!original && !patch) return undefined;
  const mergeKey = schema?.patchMergeKey;
  const keyOf = (item: unknown): unknown => (mergeKey === undefined ? item : mergeKeyOf(item, mergeKey));
  if (patch) checkOrder(patch, order, keyOf);
  const merged = !patch ? original! : mergeList(original ?? [], patch, schema);
  return unchanged(original ?? [], mergeOrder(merged, order, serverOrder(original ?? [], merged, keyOf), keyOf));
}

/**
 * The order in which the server has the elements. As in Kubernetes, elements that are new take the places of deleted ones,
 * at the end: so a replaced element comes after those that only the server knows.
 */
function serverOrder(
  original: readonly unknown[],
  merged: readonly unknown[],
  keyOf: (item: unknown) => unknown,
): readonly unknown[] {
  const left = new Set(merged.map(keyOf));
  const kept = original.filter((item) => left.has(keyOf(item)));
  if (kept.length === original.length) return original;
  const before = new Set(original.map(keyOf));
  const added = merged.filter((item) => !before.has(keyOf(item)));
  return [...kept, ...added.slice(0, original.length - kept.length)];
}

/** The elements a patch brings must stand in its order list, in the same relative order. */
function checkOrder(patch: readonly unknown[], order: readonly unknown[], keyOf: (item: unknown) => unknown): void {
  const expected = order.map(keyOf);
  let at = -1;
  for (const item of patch.filter((each) => !hasDirective(each))) {
    at = expected.indexOf(keyOf(item), at + 1);
    if (at < 0) {
      throw unprocessablePatch(
        `The order in patch list:\n${scalarText(patch)}\n doesn't match $setElementOrder list:\n${scalarText(order)}\n`,
      );
    }
  }
}
