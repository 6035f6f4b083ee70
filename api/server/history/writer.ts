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

/** Who made a write, as managed fields tell. */
export interface Writer {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
}

/**
 * Who made `after` of `before`: the manager whose entry is new or of a new time, among several the one that owns what changed.
 * Undefined where managed fields do not say, as for deletions. Pure.
 */
export function writerOf(
  before: KubeObject | undefined,
  after: KubeObject | undefined,
  schema: Schema | undefined,
): Writer | undefined {
  const entries = after?.metadata.managedFields ?? [];
  const earlier = before?.metadata.managedFields ?? [];
  const fresh = entries.filter((entry) => !earlier.some((was) => isSameManager(was, entry) && was.time === entry.time));
  const moved = entries.filter((entry) => !earlier.some((was) => equalJson(was, entry)));
  const pool = fresh.length > 0 ? fresh : moved.length > 0 ? moved : entries;
  if (pool.length === 0) return undefined;
  const [only] = pool.length === 1 ? pool : ownersAmong(pool, before, after!, schema);
  return writer(only ?? pool[0]!);
}

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

const isSameManager = (a: ManagedFieldsEntry, b: ManagedFieldsEntry): boolean =>
  a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource;
