import type { KubeObject } from '../object.js';
import { equalJson } from '../patch/structure.js';
import { badRequest, invalid } from '../status.js';
import { applyConflict } from './conflict.js';
import { differenceSets, type FieldSet, isEmptySet, withoutPrefixes } from './field-set.js';
import { applyFaults, fieldsOf } from './fields-of.js';
import { allowedByLastApplied, migratingManager, refreshLastApplied } from './last-applied.js';
import {
  decodeManagers,
  encodeManagers,
  type Manager,
  type Managers,
  managedTime,
  managerKey,
  ownable,
  withManagedFields,
} from './managers.js';
import { mergeApplied, removeFields } from './merge.js';
import { disownChanged, resetSet, type WriteContext } from './ownership.js';
import { prune } from './prune.js';
import { recordUpdate } from './update.js';

export interface ApplyContext extends WriteContext {
  /** Take fields from their owners instead of failing. */
  readonly force?: boolean;
}

/**
 * Server-side apply. The result holds what `config` says, keeps what others own, and loses what this manager applied before
 * and gives up now, unless someone else owns it too. `live` is undefined when the object does not exist yet; it is returned
 * itself when the apply changes neither a field nor an owner. Defaulting, pruning and validation are the caller's.
 *
 * @throws StatusError 400 for managed fields in the configuration or a wrong version, 422 for a missing field manager or
 *   for elements that lack or repeat their keys, 409 with one cause a field for conflicts.
 */
export function serverSideApply<T extends KubeObject>(
  live: T | undefined,
  config: KubeObject,
  context: ApplyContext,
): T {
  checkRequest(config, context);
  const base: KubeObject = live ?? { apiVersion: config.apiVersion, kind: config.kind, metadata: {} };
  const decoded = decodeManagers(base.metadata.managedFields);
  if (!decoded) throw badRequest('failed to decode managed fields');
  const before = withManagedFields(base, undefined);
  const managers =
    decoded.size > 0 ? decoded : recordUpdate(EMPTY, before, decoded, { ...context, manager: 'before-first-apply' });

  const given = (removeFields(config, resetSet(context), context.schema) ?? {}) as KubeObject;
  const outcome = apply(before, given, managers, context);
  const merged = context.manager === migratingManager ? refreshLastApplied(outcome.object, config) : outcome.object;
  const entries = encodeManagers(outcome.managers);
  if (live && equalJson(before, merged) && equalJson(live.metadata.managedFields ?? [], entries)) return live;
  return withManagedFields(merged, entries) as T;
}

const EMPTY: KubeObject = { metadata: {} };

function checkRequest(config: KubeObject, context: ApplyContext): void {
  if (!context.manager) {
    const cause = {
      reason: 'FieldValueRequired',
      field: 'fieldManager',
      message: 'Required value: is required for apply patch',
    };
    throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [cause]);
  }
  if (config.metadata?.managedFields) throw badRequest('metadata.managedFields must be nil');
  if (config.apiVersion !== context.apiVersion) {
    throw badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${config.apiVersion ?? ''}, expected: ${context.apiVersion}`,
    );
  }
  const faults = applyFaults(config, context.schema);
  if (faults.length > 0) {
    const group = config.apiVersion?.includes('/') ? config.apiVersion.split('/')[0]! : '';
    throw invalid({ group, kind: config.kind ?? '' }, config.metadata?.name ?? '', faults);
  }
}

function apply(
  live: KubeObject,
  config: KubeObject,
  managers: Managers,
  context: ApplyContext,
): { readonly object: KubeObject; readonly managers: Managers } {
  const identity = {
    name: context.manager,
    operation: 'Apply' as const,
    apiVersion: context.apiVersion,
    subresource: context.subresource ?? '',
  };
  const key = managerKey(identity);
  const last = managers.get(key);
  const set = withoutPrefixes(fieldsOf(config, context.schema), resetSet(context));
  const withSelf = new Map(managers).set(key, { ...identity, set: ownable(set) });

  const merged = mergeApplied(live, config, context.schema) as KubeObject;
  // Who gives nothing up has nothing to prune, which is so for nearly every apply.
  const givesUp = last && (last.apiVersion !== context.apiVersion || !isEmptySet(differenceSets(last.set, set)));
  const pruned = givesUp ? prune(merged, last, new Map(withSelf).set(key, { ...identity, set }), context) : merged;
  // Once more, for containers the configuration names as empty and pruning has just emptied.
  const next = pruned === merged ? merged : (mergeApplied(pruned, config, context.schema) as KubeObject);
  const outcome = disownChanged(live, next, withSelf, key, context);
  refuseConflicts(live, outcome.conflicts, context);

  const result = new Map(outcome.managers);
  // Times say when the object last changed by a manager's hand: an apply that only confirms does not move them.
  const time = last?.time !== undefined && equalJson(live, next) ? last.time : managedTime(context.now);
  const self: Manager = { ...identity, set: ownable(set), time, ...(last?.source ? { source: last.source } : {}) };
  if (isEmptySet(self.set)) result.delete(key);
  else result.set(key, self);
  return { object: next, managers: result };
}

function refuseConflicts(
  live: KubeObject,
  conflicts: Parameters<typeof applyConflict>[0],
  context: ApplyContext,
): void {
  if (context.force || conflicts.length === 0) return;
  const allowed = context.manager === migratingManager ? allowedByLastApplied(live, context) : undefined;
  const left = allowed ? conflicts.filter(({ path }) => !has(allowed, path)) : conflicts;
  if (left.length > 0) throw applyConflict(left);
}

function has(set: FieldSet, path: readonly string[]): boolean {
  let at: FieldSet | undefined = set;
  for (const element of path) at = at?.children.get(element);
  return at?.member ?? false;
}
