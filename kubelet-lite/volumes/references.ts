import type { Pod } from '../pod/api.js';
import { containersOf } from '../pod/plan.js';
import { ALL_BUNDLES, type Reference } from './object-tracker.js';

/** The config maps, secrets and trust bundles a pod refers to in volumes and environment. Pure. */
export function referencesOf(pod: Pod): readonly Reference[] {
  const namespace = pod.metadata.namespace ?? '';
  const found = new Map<string, Reference>();
  const add = (kind: Reference['kind'], name: string | undefined): void => {
    if (name) found.set(`${kind}/${name}`, { kind, namespace, name });
  };
  const bundles = (pod.spec.volumes ?? []).some((v) => v.projected?.sources?.some((s) => s.clusterTrustBundle));
  for (const volume of pod.spec.volumes ?? []) {
    add('ConfigMap', volume.configMap?.name);
    add('Secret', volume.secret?.secretName);
    for (const source of volume.projected?.sources ?? []) {
      add('ConfigMap', source.configMap?.name);
      add('Secret', source.secret?.name);
    }
  }
  for (const container of containersOf(pod.spec)) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      add('ConfigMap', configMapRef?.name);
      add('Secret', secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add('ConfigMap', valueFrom?.configMapKeyRef?.name);
      add('Secret', valueFrom?.secretKeyRef?.name);
    }
  }
  return [...found.values(), ...(bundles ? [ALL_BUNDLES] : [])];
}
