import type { KubeObject } from '@trimtab/machinery';
import type { AdmissionPlugin } from '../contracts.js';
import { concerns } from './attributes.js';

const finalizers = [
  ['/persistentvolumes', 'kubernetes.io/pv-protection'],
  ['/persistentvolumeclaims', 'kubernetes.io/pvc-protection'],
] as const;

/** Volumes and claims are not gone before nobody uses them (kubernetes: StorageObjectInUseProtection). */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  mutate(attributes) {
    const { object } = attributes;
    const found = finalizers.find(([resource]) => concerns(attributes, resource, 'CREATE'));
    if (!found || !object) return object;
    return withFinalizer(object, found[1]);
  },
};

function withFinalizer(object: KubeObject, finalizer: string): KubeObject {
  const own = object.metadata.finalizers ?? [];
  if (own.includes(finalizer)) return object;
  return { ...object, metadata: { ...object.metadata, finalizers: [...own, finalizer] } };
}
