import type { LiveReader, View } from '@trimtab/framework';
import {
  isReason,
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumes,
  type StorageClass,
  StorageClasses,
} from '@trimtab/machinery';
import { bestVolume, isReservedFor, mismatch } from '../matching.js';
import { annotationOf, BIND_COMPLETED, classNameOf, SELECTED_NODE } from '../names.js';

/** All that a claim's next step depends on. */
export interface ClaimFacts {
  readonly claim: PersistentVolumeClaim;
  /** It has been bound once; from then on it is lost rather than pending. */
  readonly completed: boolean;
  /** The volume it is, or is to be, bound to. */
  readonly volume: PersistentVolume | undefined;
  /** The volume is nobody else's. */
  readonly free: boolean;
  /** Why the volume it asks for by name cannot be had. */
  readonly unfit: string | undefined;
  readonly className: string;
  readonly storageClass: StorageClass | undefined;
  /** Nothing is bound or made before a pod that uses the claim has been given a node. */
  readonly waitsForConsumer: boolean;
}

/** The volume of a bound claim, asked of the server where no cache has it: losing data is not told on a stale view. */
export async function observeVolume(
  view: View<PersistentVolumeClaim>,
  client: LiveReader,
): Promise<PersistentVolume | undefined> {
  const claim = view.object;
  const name = claim?.spec?.volumeName;
  if (!name || annotationOf(claim, BIND_COMPLETED) === undefined || view.get(PersistentVolumes, { name }))
    return undefined;
  try {
    return await client.get(PersistentVolumes, { name });
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
    return undefined;
  }
}

export function claimFacts(
  view: View<PersistentVolumeClaim>,
  observed: PersistentVolume | undefined,
): ClaimFacts | undefined {
  const claim = view.object;
  if (!claim) return undefined;
  const className = classNameOf(claim) ?? '';
  const storageClass = className ? view.get(StorageClasses, { name: className }) : undefined;
  const delayed = storageClass?.volumeBindingMode === 'WaitForFirstConsumer';
  const completed = annotationOf(claim, BIND_COMPLETED) !== undefined;
  const named = claim.spec?.volumeName;
  const volume = named
    ? (view.get(PersistentVolumes, { name: named }) ?? observed)
    : completed
      ? undefined
      : bestVolume(claim, view.list(PersistentVolumes), { reservedOnly: delayed });
  return {
    claim,
    completed,
    volume,
    free: volume !== undefined && (!volume.spec?.claimRef || isReservedFor(volume, claim)),
    unfit: volume && named && !volume.spec?.claimRef ? mismatch(volume, claim) : undefined,
    className,
    storageClass,
    waitsForConsumer: delayed && annotationOf(claim, SELECTED_NODE) === undefined,
  };
}
