import type { LiveReader, View } from '@trimtab/framework';
import {
  isReason,
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
} from '@trimtab/machinery';
import { annotationOf, BOUND_BY_CONTROLLER, LOCAL_PROVISIONER, PROVISIONED_BY } from '../names.js';

/** All that a volume's next step depends on. */
export interface VolumeFacts {
  readonly volume: PersistentVolume;
  /** The very claim the volume is set apart for; undefined once that is gone. */
  readonly claim: PersistentVolumeClaim | undefined;
  /** Set apart for a claim of which nothing but the name is known. */
  readonly reserved: boolean;
  readonly phase: string;
  readonly policy: string;
  /** Its data can be deleted with it. */
  readonly ours: boolean;
  /** Somebody else made it and will reclaim it. */
  readonly foreign: boolean;
  readonly boundByController: boolean;
}

const claimKey = ({ spec }: PersistentVolume) => ({
  namespace: spec?.claimRef?.namespace,
  name: spec?.claimRef?.name ?? '',
});

/** The volume's claim, asked of the server before a cache that lacks it makes us give its data up. */
export async function observeClaim(
  view: View<PersistentVolume>,
  client: LiveReader,
): Promise<PersistentVolumeClaim | undefined> {
  const volume = view.object;
  if (!volume?.spec?.claimRef?.uid) return undefined;
  const key = claimKey(volume);
  const cached = view.get(PersistentVolumeClaims, key);
  if (cached?.metadata.uid === volume.spec.claimRef.uid) return cached;
  try {
    return await client.get(PersistentVolumeClaims, key);
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
    return undefined;
  }
}

export function volumeFacts(
  view: View<PersistentVolume>,
  observed: PersistentVolumeClaim | undefined,
): VolumeFacts | undefined {
  const volume = view.object;
  if (!volume) return undefined;
  const reference = volume.spec?.claimRef;
  const provisionedBy = annotationOf(volume, PROVISIONED_BY);
  return {
    volume,
    claim: observed?.metadata.uid === reference?.uid ? observed : undefined,
    reserved: reference !== undefined && !reference.uid,
    phase: volume.status?.phase ?? 'Pending',
    policy: volume.spec?.persistentVolumeReclaimPolicy ?? 'Retain',
    ours: provisionedBy === LOCAL_PROVISIONER,
    foreign: provisionedBy !== undefined && provisionedBy !== LOCAL_PROVISIONER,
    boundByController: annotationOf(volume, BOUND_BY_CONTROLLER) !== undefined,
  };
}
