import { type ControllerDefinition, controller, index, type Reader, watch } from '@trimtab/framework';
import {
  type ObjectKey,
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  PersistentVolumes,
  type StorageClass,
  StorageClasses,
} from '@trimtab/machinery';
import { annotationOf, BIND_COMPLETED, classNameOf } from '../names.js';
import { observeVolume } from './facts.js';
import { claimMachine } from './machine.js';

/**
 * Binds claims to volumes that are there, and hands those that need a new one to the provisioner of their class
 * (kubernetes: pkg/controller/volume/persistentvolume).
 */
export const claimController: ControllerDefinition = controller({
  name: 'persistentvolume-controller',
  for: PersistentVolumeClaims,
  watches: [watch(PersistentVolumes, claimsFor), watch(StorageClasses, pendingOf, { on: ['added', 'updated'] })],
  indexes: [
    index(PersistentVolumeClaims, {
      unboundOfClass: (claim) => (annotationOf(claim, BIND_COMPLETED) === undefined ? [classNameOf(claim) ?? ''] : []),
      volume: (claim) => (claim.spec?.volumeName ? [claim.spec.volumeName] : []),
    }),
  ],
  observe: observeVolume,
  machine: claimMachine,
});

function claimsFor(volume: PersistentVolume, reader: Reader): readonly ObjectKey[] {
  const { namespace, name } = volume.spec?.claimRef ?? {};
  const asking = reader.byIndex(PersistentVolumeClaims, 'volume', volume.metadata.name!).map(keyed);
  if (name) return [...asking, { namespace, name }];
  return [...asking, ...reader.byIndex(PersistentVolumeClaims, 'unboundOfClass', classNameOf(volume) ?? '').map(keyed)];
}

function pendingOf(storageClass: StorageClass, reader: Reader): readonly ObjectKey[] {
  return reader.byIndex(PersistentVolumeClaims, 'unboundOfClass', storageClass.metadata.name!).map(keyed);
}

const keyed = ({ metadata }: PersistentVolumeClaim): ObjectKey => ({
  namespace: metadata.namespace,
  name: metadata.name!,
});
