import {
  decodeFieldSet,
  differenceSets,
  emptyFieldSet,
  encodeFieldSet,
  equalSets,
  type FieldSet,
  isEmptySet,
  type KubeObject,
  type ManagedFieldsEntry,
  unionSets,
} from '@trimtab/machinery';

/** One write as its object knew it. */
interface OwnedWrite {
  readonly before: KubeObject | undefined;
  readonly after: KubeObject | undefined;
}

/**
 * The managed fields of an object whose writes (oldest first) are taken back: each manager loses what it gained by them and has
 * again what it lost, and whoever takes them back owns nothing by that. Pure.
 */
export function ownersWithout(
  present: readonly ManagedFieldsEntry[] = [],
  writes: readonly OwnedWrite[],
): readonly ManagedFieldsEntry[] {
  return writes.toReversed().reduce(withoutWrite, present);
}

function withoutWrite(
  present: readonly ManagedFieldsEntry[],
  { before, after }: OwnedWrite,
): readonly ManagedFieldsEntry[] {
  const earlier = before?.metadata.managedFields ?? [];
  const later = after?.metadata.managedFields ?? [];
  const find = (among: readonly ManagedFieldsEntry[], entry: ManagedFieldsEntry) =>
    among.find((other) => isSameManager(other, entry));
  const gone = earlier.filter((entry) => !find(present, entry));
  return [...present, ...gone].flatMap((entry): ManagedFieldsEntry[] => {
    const [was, became] = [find(earlier, entry), find(later, entry)];
    const own = gone.includes(entry) ? emptyFieldSet : setOf(entry);
    const back = unionSets(
      differenceSets(own, differenceSets(setOf(became), setOf(was))),
      differenceSets(setOf(was), setOf(became)),
    );
    if (isEmptySet(back)) return [];
    if (was && equalSets(back, setOf(was))) return [was];
    return equalSets(back, own) ? [entry] : [{ ...entry, fieldsV1: encodeFieldSet(back) }];
  });
}

/** Whether two entries are of one writer: what the API server tells them apart by. */
export const isSameManager = (a: ManagedFieldsEntry, b: ManagedFieldsEntry): boolean =>
  a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource;

const setOf = (entry: ManagedFieldsEntry | undefined): FieldSet =>
  entry?.fieldsV1 ? decodeFieldSet(entry.fieldsV1) : emptyFieldSet;
