import type { KubeObject, UnknownObject } from '../object.js';
import type { Schema } from '../schema/schema.js';
import { type Comparison, changedFields, compareObjects, ignoringFields, isSame } from './compare.js';
import type { Conflict } from './conflict.js';
import {
  differenceSets,
  emptyFieldSet,
  type FieldSet,
  fieldSetOf,
  intersectSets,
  isEmptySet,
  pathsOf,
} from './field-set.js';
import type { Manager, Managers } from './managers.js';

/** What a write must say of itself so that its fields can be attributed. */
export interface WriteContext {
  readonly schema: Schema;
  /** The field manager: `fieldManager` of the request, or `managerFromUserAgent`. */
  readonly manager: string;
  /** The version the request is made in: `apps/v1`. */
  readonly apiVersion: string;
  readonly subresource?: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /**
   * Fields that this endpoint does not write, as field names from the root. By default the main endpoint does not write
   * `status`, and `status` does not write `spec`.
   */
  readonly resetFields?: readonly (readonly string[])[];
  /**
   * Gives an object, which says its own version, and its schema as a version sees them; undefined when that version is no
   * longer known, which drops its managers. Without it all versions are taken to have the same fields.
   */
  readonly convert?: (
    object: UnknownObject,
    apiVersion: string,
  ) => { object: UnknownObject; schema: Schema } | undefined;
}

/** The fields the endpoint does not write. */
export function resetSet(context: Pick<WriteContext, 'subresource' | 'resetFields'>): FieldSet {
  const { resetFields } = context;
  if (resetFields) {
    let set = resetSets.get(resetFields);
    if (!set) {
      set = fieldSetOf(...resetFields.map((path) => path.map((field) => `f:${field}`)));
      resetSets.set(resetFields, set);
    }
    return set;
  }
  if (!context.subresource) return fieldSetOfStatus;
  return context.subresource === 'status' ? fieldSetOfSpec : emptyFieldSet;
}

const resetSets = new WeakMap<object, FieldSet>();
const fieldSetOfStatus = fieldSetOf(['f:status']);
const fieldSetOfSpec = fieldSetOf(['f:spec']);

/**
 * Works out what a change from `live` to `next` does to everyone but `self`: fields they own that change are conflicts, and
 * leave them; fields that vanish leave them too.
 */
export function disownChanged(
  live: KubeObject,
  next: KubeObject,
  managers: Managers,
  self: string,
  context: WriteContext,
): { readonly comparison: Comparison; readonly managers: Managers; readonly conflicts: readonly Conflict[] } {
  const reset = resetSet(context);
  const comparison = ignoringFields(compareObjects(live, next, context.schema), reset);
  const versions = new Map<string, Comparison | undefined>([[context.apiVersion, comparison]]);
  const compareAt = (apiVersion: string): Comparison | undefined => {
    if (!context.convert) return comparison;
    if (!versions.has(apiVersion)) {
      const before = context.convert(live as UnknownObject, apiVersion);
      const after = context.convert(next as UnknownObject, apiVersion);
      versions.set(
        apiVersion,
        before && after ? ignoringFields(compareObjects(before.object, after.object, after.schema), reset) : undefined,
      );
    }
    return versions.get(apiVersion);
  };

  const result = new Map<string, Manager>();
  const conflicts: Conflict[] = [];
  for (const [key, manager] of managers) {
    if (key === self) {
      result.set(key, manager);
      continue;
    }
    const changes = compareAt(manager.apiVersion);
    if (!changes) continue;
    if (isSame(changes)) {
      result.set(key, manager);
      continue;
    }
    const taken = intersectSets(manager.set, changedFields(changes));
    for (const path of pathsOf(taken)) conflicts.push({ manager, path });
    const set = differenceSets(differenceSets(manager.set, taken), changes.removed);
    if (!isEmptySet(set)) result.set(key, set === manager.set ? manager : { ...manager, set });
  }
  return { comparison, managers: result, conflicts };
}
