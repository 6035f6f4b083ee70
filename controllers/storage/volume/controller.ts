import { type ControllerDefinition, controller, index, type Reader, watch } from '@trimtab/framework';
import {
  type ObjectKey,
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  PersistentVolumes,
} from '@trimtab/machinery';
import { observeClaim } from './facts.js';
import { volumeMachine } from './machine.js';

/** Keeps volumes' phases, and reclaims those whose claim is gone as their policy says. */
export const volumeController: ControllerDefinition = controller({
  name: 'persistentvolume-reclaimer',
  for: PersistentVolumes,
  watches: [watch(PersistentVolumeClaims, volumesOf)],
  indexes: [
    index(PersistentVolumes, {
      claim: ({ spec }) => (spec?.claimRef ? [`${spec.claimRef.namespace}/${spec.claimRef.name}`] : []),
    }),
  ],
  observe: observeClaim,
  machine: volumeMachine,
});

function volumesOf({ metadata }: PersistentVolumeClaim, reader: Reader): readonly ObjectKey[] {
  return reader
    .byIndex(PersistentVolumes, 'claim', `${metadata.namespace}/${metadata.name}`)
    .map((volume: PersistentVolume) => ({ name: volume.metadata.name! }));
}
