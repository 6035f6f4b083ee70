import {
  compareQuantities,
  matchesLabels,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  parseQuantity,
  selectorFromObject,
} from '@trimtab/machinery';
import { matchesNodeSelector } from '../scheduler/node-affinity.js';
import { classNameOf } from './names.js';

/** Whether a volume is set apart for this very claim, or for a claim of its name before there was one. */
export function isReservedFor(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const reference = volume.spec?.claimRef;
  if (reference?.name !== claim.metadata.name || reference?.namespace !== claim.metadata.namespace) return false;
  return !reference?.uid || reference.uid === claim.metadata.uid;
}

/** Why a volume cannot serve a claim that asks for it by name, in the binder's words; undefined when it can. */
export function mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (tooSmall(volume, claim)) return 'requested PV is too small';
  if ((classNameOf(volume) ?? '') !== (classNameOf(claim) ?? '')) return 'storageClassName does not match';
  if (modeOf(volume) !== modeOf(claim)) return 'incompatible volumeMode';
  return offersModes(volume, claim) ? undefined : 'incompatible accessMode';
}

/**
 * The volume a claim gets of those there are: one set apart for it, else the smallest available one of its class that
 * satisfies selector, size and modes and, given a node, can be used there. With `reservedOnly` just the former.
 */
export function bestVolume(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  where: { readonly node?: Node; readonly reservedOnly?: boolean } = {},
): PersistentVolume | undefined {
  const usable = volumes.filter(
    (volume) => !volume.metadata.deletionTimestamp && modeOf(volume) === modeOf(claim) && !tooSmall(volume, claim),
  );
  const reserved = usable.find((volume) => isReservedFor(volume, claim));
  if (reserved) return where.node && !isUsableOn(reserved, where.node) ? undefined : reserved;
  if (where.reservedOnly) return undefined;
  const fitting = usable.filter(
    (volume) =>
      !volume.spec?.claimRef &&
      volume.status?.phase === 'Available' &&
      (classNameOf(volume) ?? '') === (classNameOf(claim) ?? '') &&
      selects(claim, volume) &&
      offersModes(volume, claim) &&
      (!where.node || isUsableOn(volume, where.node)),
  );
  return fitting.sort(bySize)[0];
}

/** Whether a volume's node affinity, if it has one, allows a node. */
export const isUsableOn = (volume: PersistentVolume, node: Node): boolean =>
  volume.spec?.nodeAffinity?.required === undefined || matchesNodeSelector(volume.spec.nodeAffinity.required, node);

const modeOf = (object: PersistentVolume | PersistentVolumeClaim): string => object.spec?.volumeMode ?? 'Filesystem';

const capacityOf = (volume: PersistentVolume) => parseQuantity(volume.spec?.capacity?.storage ?? '0');

const tooSmall = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  compareQuantities(parseQuantity(claim.spec?.resources?.requests?.storage ?? '0'), capacityOf(volume)) > 0;

const offersModes = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  (claim.spec?.accessModes ?? []).every((mode) => volume.spec?.accessModes?.includes(mode));

const selects = (claim: PersistentVolumeClaim, volume: PersistentVolume): boolean =>
  !claim.spec?.selector || matchesLabels(selectorFromObject(claim.spec.selector), volume.metadata.labels);

const bySize = (a: PersistentVolume, b: PersistentVolume): number =>
  compareQuantities(capacityOf(a), capacityOf(b)) || (a.metadata.name! < b.metadata.name! ? -1 : 1);
