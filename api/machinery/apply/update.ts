import type { KubeObject, ManagedFieldsEntry } from '../object.js';
import { equalJson } from '../patch/structure.js';
import type { Schema } from '../schema/schema.js';
import { allOf, changedFields } from './compare.js';
import { planOf } from './field-plan.js';
import { encodeFieldSet, type FieldSet, type FieldsV1, isEmptySet, unionSets, withoutPrefixes } from './field-set.js';
import {
  capUpdateManagers,
  decodeManagers,
  encodeManagers,
  type Manager,
  type Managers,
  managedEntry,
  managedTime,
  managerKey,
  ownable,
  withManagedFields,
} from './managers.js';
import { disownChanged, resetSet, type WriteContext } from './ownership.js';
import { isShared } from './shared-set.js';

/**
 * The object to store for a create, update or patch, with managed fields that say who set what: the writer owns every field
 * it added or changed, others lose those fields and the ones that vanished. `live` is undefined for a create.
 *
 * A request may replace managed fields, and clears them with an empty list or one empty entry; through a subresource it may
 * not touch them. Objects whose fields are not tracked (cleared ones) stay untracked until something is applied.
 */
export function trackUpdate<T extends KubeObject>(live: T | undefined, next: T, context: WriteContext): T {
  const managers = managersOf(live, next, context);
  if (!live && managers.size === 0) return withManagedFields(next, entriesOfNew(next, context));
  if (managers.size === 0 && live) return withManagedFields(next, undefined);
  const [before, after] = comparable(live ?? nothing, next);
  const updated = capUpdateManagers(recordUpdate(before, after, managers, context));
  const entries = encodeManagers(updated);
  const old = live?.metadata.managedFields;
  return withManagedFields(next, old && sameEntries(old, entries) ? old : entries);
}

/** Who owns what is nothing to compare; where it is the very same, it is not compared anyway. */
const comparable = (live: KubeObject, next: KubeObject): readonly [KubeObject, KubeObject] =>
  live.metadata.managedFields === next.metadata.managedFields
    ? [live, next]
    : [withManagedFields(live, undefined), withManagedFields(next, undefined)];

/** What a new object's creator comes to own depends on which fields there are alone, which are the same in what is made alike. */
interface Owned {
  readonly schema: Schema;
  readonly reset: FieldSet;
  readonly fields: FieldsV1 | undefined;
}

const ownedOfNew = new WeakMap<FieldSet, Owned>();
const nothing = { metadata: {} } as KubeObject;

function entriesOfNew(next: KubeObject, context: WriteContext): readonly ManagedFieldsEntry[] {
  const all = allOf(next, planOf(context.schema));
  const reset = resetSet(context);
  let owned = ownedOfNew.get(all);
  if (owned?.schema !== context.schema || owned.reset !== reset) {
    const { comparison } = disownChanged(nothing, withManagedFields(next, undefined), new Map(), '', context);
    const set = ownable(withoutPrefixes(changedFields(comparison), reset));
    const shared = isShared(all);
    owned = { schema: context.schema, reset, fields: isEmptySet(set) ? undefined : encodeFieldSet(set, shared) };
    if (shared) ownedOfNew.set(all, owned);
  }
  if (!owned.fields) return [];
  return [managedEntry({ ...updaterOf(context), time: managedTime(context.now) }, owned.fields)];
}

const sameEntries = (a: readonly ManagedFieldsEntry[], b: readonly ManagedFieldsEntry[]): boolean =>
  a.length === b.length && a.every((entry, i) => entry === b[i] || equalJson(entry, b[i]));

function managersOf(live: KubeObject | undefined, next: KubeObject, context: WriteContext): Managers {
  const current = decodeManagers(live?.metadata.managedFields) ?? new Map();
  if (context.subresource) return current;
  const given = next.metadata.managedFields;
  if (given !== undefined && given === live?.metadata.managedFields) return current;
  if (isReset(given)) return new Map();
  const decoded = decodeManagers(given);
  return decoded && decoded.size > 0 ? decoded : current;
}

const isReset = (entries: readonly ManagedFieldsEntry[] | undefined | null): boolean =>
  Array.isArray(entries) && (entries.length === 0 || (entries.length === 1 && Object.keys(entries[0]!).length === 0));

const updaterOf = ({ manager, apiVersion, subresource = '' }: WriteContext) => ({
  name: manager || 'unknown',
  operation: 'Update' as const,
  apiVersion,
  subresource,
});

/** The managers after an update by `context.manager`. */
export function recordUpdate(live: KubeObject, next: KubeObject, managers: Managers, context: WriteContext): Managers {
  const outcome = disownChanged(live, next, managers, '', context);
  const set = ownable(withoutPrefixes(changedFields(outcome.comparison), resetSet(context)));
  if (isEmptySet(set)) return outcome.managers;
  const identity = updaterOf(context);
  const key = managerKey(identity);
  const previous = outcome.managers.get(key);
  const self: Manager = {
    ...identity,
    time: managedTime(context.now),
    set: previous ? unionSets(previous.set, set) : set,
    ...(previous?.source ? { source: previous.source } : {}),
  };
  return new Map(outcome.managers).set(key, self);
}

/**
 * Guards against writes that only move a managed field's timestamp: when nothing else differs, `live` itself, so that the
 * store sees no change (kubernetes: IgnoreManagedFieldsTimestampsTransformer).
 */
export function ignoreManagedTimes<T extends KubeObject>(live: T, next: T): T {
  if (live === next) return live;
  const [old, now] = [live.metadata.managedFields ?? [], next.metadata.managedFields ?? []];
  if (old.length !== now.length) return next;
  const timeless = ({ time: _, ...entry }: ManagedFieldsEntry): ManagedFieldsEntry => entry;
  // Times decide the order of entries, so they are matched by what else they say.
  const unmatched = now.filter((entry) => !old.includes(entry));
  for (const entry of old) {
    if (now.includes(entry)) continue;
    const match = unmatched.findIndex((other) => equalJson(timeless(entry), timeless(other)));
    if (match < 0) return next;
    unmatched.splice(match, 1);
  }
  return equalJson(withManagedFields(live, undefined), withManagedFields(next, undefined)) ? live : next;
}
