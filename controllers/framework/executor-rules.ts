import { joinKey, type ObjectKey, type ResourceType, StatusError } from '@trimtab/machinery';
import type { ClusteredType } from './clusters.js';

/** Own patches, by object: where one left the object, the next goes on from there. */
export interface Moves {
  readonly moved: ReadonlyMap<string, { readonly from: string | undefined; readonly to: string | undefined }>;
}

export const typeId = (type: ResourceType): string =>
  `${(type as Partial<ClusteredType>).cluster ?? ''}/${type.group}/${type.resource}`;

export const idOf = (resource: ResourceType, key: ObjectKey): string => `${typeId(resource)}/${joinKey(key)}`;

/** The revision an object must be at: the one decided from, or where this run's own patches have brought it since. */
export function expectedOf(
  { moved: movedSoFar }: Moves,
  id: string,
  decidedFrom: string | undefined,
): string | undefined {
  const moved = movedSoFar.get(id);
  return moved && moved.from === decidedFrom ? moved.to : decidedFrom;
}

export const isObject = (value: unknown): value is object => value !== null && typeof value === 'object';

/** The write may or may not have happened. */
export const isAmbiguous = (error: unknown): boolean =>
  error instanceof StatusError && [500, 503, 504].includes(error.code);
