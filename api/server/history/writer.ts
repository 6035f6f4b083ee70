import {
  changedFields,
  compareObjects,
  decodeFieldSet,
  equalJson,
  intersectSets,
  isEmptySet,
  type KubeObject,
  type ManagedFieldsEntry,
  type Schema,
} from '@trimtab/machinery';
import { isSameManager } from './owners.js';

/** Who made a write, as managed fields tell. */
export interface Writer {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
}

/** Who takes writes back leaves no entry of their own: everybody owns again what they owned before. */
const undo: Writer = { manager: 'trimtab-undo', operation: 'Undo' };

/** Entries have seconds, and a write takes its time until it is committed. */
const LATE_MS = 3_000;

/**
 * Who made `after` of `before` at `time` (Unix milliseconds): the manager whose entry is new or of a new time, among several the
 * one that owns what changed. Undefined where managed fields do not say, as for deletions. Pure.
 */
export function writerOf(
  before: KubeObject | undefined,
  after: KubeObject | undefined,
  schema: Schema | undefined,
  time: number | undefined,
): Writer | undefined {
  const entries = after?.metadata.managedFields ?? [];
  const earlier = before?.metadata.managedFields ?? [];
  const newest = earlier.reduce((latest, { time: wrote = '' }) => (wrote > latest ? wrote : latest), '');
  const isRecent = ({ time: wrote }: ManagedFieldsEntry) =>
    wrote === undefined || (wrote >= newest && (time === undefined || time - Date.parse(wrote) < LATE_MS));
  const recent = before ? entries.filter(isRecent) : entries;
  const fresh = recent.filter((entry) => !earlier.some((was) => isSameManager(was, entry) && was.time === entry.time));
  const moved = recent.filter((entry) => !earlier.some((was) => equalJson(was, entry)));
  const same = sameOwners(earlier, entries);
  const pool = [fresh, moved, same ? recent : []].find(({ length }) => length > 0);
  if (pool === undefined) return same || entries.length === 0 ? undefined : undo;
  const [only] = pool.length === 1 ? pool : ownersAmong(pool, before, after!, schema);
  return writer(only ?? pool[0]!);
}

const sameOwners = (a: readonly ManagedFieldsEntry[], b: readonly ManagedFieldsEntry[]): boolean =>
  a.length === b.length && b.every((entry) => a.some((was) => equalJson(was, entry)));

/** Everybody who has written between two states and is still seen in it. Pure. */
export function writersOf(before: KubeObject | undefined, after: KubeObject | undefined): readonly Writer[] {
  const earlier = before?.metadata.managedFields ?? [];
  const moved = (after?.metadata.managedFields ?? []).filter((entry) => !earlier.some((was) => equalJson(was, entry)));
  return moved.map(writer);
}

const writer = ({ manager = '', operation, subresource }: ManagedFieldsEntry): Writer => ({
  manager,
  operation: operation ?? '',
  ...(subresource ? { subresource } : {}),
});

/** The newest first. */
function ownersAmong(
  pool: readonly ManagedFieldsEntry[],
  before: KubeObject | undefined,
  after: KubeObject,
  schema: Schema | undefined,
): readonly ManagedFieldsEntry[] {
  const changed = changedFields(compareObjects(before ?? { metadata: {} }, after, schema));
  const owners = pool.filter(({ fieldsV1 }) => !isEmptySet(intersectSets(decodeFieldSet(fieldsV1), changed)));
  return [...(owners.length > 0 ? owners : pool)].sort((a, b) => ((a.time ?? '') < (b.time ?? '') ? 1 : -1));
}
