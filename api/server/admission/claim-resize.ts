import { compareQuantities, type PersistentVolumeClaim, parseQuantity, type StorageClass } from '@trimtab/machinery';
import type { AdmissionPlugin, ObjectReader } from '../contracts.js';
import { concerns, refuse } from './attributes.js';

/** Claims grow only where their class says that its volumes do (kubernetes: PersistentVolumeClaimResize). */
export const persistentVolumeClaimResize = (reader: ObjectReader): AdmissionPlugin => ({
  name: 'PersistentVolumeClaimResize',
  validate(attributes) {
    if (!concerns(attributes, '/persistentvolumeclaims', 'UPDATE')) return;
    const { spec } = attributes.object as PersistentVolumeClaim;
    if (
      !spec?.volumeName ||
      compareQuantities(asked(spec), asked((attributes.oldObject as PersistentVolumeClaim).spec)) <= 0
    )
      return;
    const name = spec.storageClassName ?? '';
    const found = reader.get('storage.k8s.io/storageclasses', '', name) as StorageClass | undefined;
    if (found?.allowVolumeExpansion) return;
    throw refuse(
      attributes,
      'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
    );
  },
});

const asked = (spec: PersistentVolumeClaim['spec']) => parseQuantity(spec?.resources?.requests?.storage ?? '0');
