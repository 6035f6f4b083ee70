import { badRequest } from '../status.js';
import { equalJson, isRecord, type JsonRecord, own, shareStructure, withFields } from './structure.js';

/** JSON merge patch (RFC 7396): null removes, objects merge, everything else replaces. */

/**
 * Applies a merge patch to an object; `target` stays untouched, and what does not change is shared with it by identity.
 *
 * @throws StatusError 400 when the patch is no object.
 */
export function applyMergePatch<T extends object>(target: T, patch: unknown): T {
  if (!isRecord(patch)) throw badRequest('error decoding patch: a merge patch must be an object');
  return merge(target, patch) as T;
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return shareStructure(target, patch);
  const base: JsonRecord = isRecord(target) ? target : {};
  const changes = new Map<string, unknown>();
  for (const [key, value] of Object.entries(patch)) {
    if (value !== undefined) changes.set(key, value === null ? undefined : merge(own(base, key), value));
  }
  return withFields(base, changes);
}

/**
 * The smallest merge patch that makes `to` of `from`; undefined when they are equal. Nulls inside `to` cannot be expressed
 * and become absence.
 */
export function createMergePatch(from: object, to: object): JsonRecord | undefined {
  const patch = diff(from as JsonRecord, to as JsonRecord);
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function diff(from: JsonRecord, to: JsonRecord): JsonRecord {
  const patch: [string, unknown][] = [];
  for (const key of Object.keys(from)) {
    if (from[key] !== undefined && own(to, key) === undefined) patch.push([key, null]);
  }
  for (const [key, value] of Object.entries(to)) {
    const before = own(from, key);
    if (value === undefined || before === value) continue;
    if (isRecord(before) && isRecord(value)) {
      const inner = diff(before, value);
      if (Object.keys(inner).length > 0) patch.push([key, inner]);
    } else if (!equalJson(before, value)) patch.push([key, value]);
  }
  return Object.fromEntries(patch);
}
