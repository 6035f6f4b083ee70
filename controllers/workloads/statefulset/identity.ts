import { controllerReference } from '@trimtab/framework';
import {
  type PersistentVolumeClaim,
  type Pod,
  type PodTemplateSpec,
  type StatefulSet,
  StatefulSets,
} from '@trimtab/machinery';
import { REVISION_HASH } from '../controller-revisions.js';

/** What stays the same of a replica however often its pod is made anew (kubernetes: stateful_set_utils). */

export const POD_NAME_LABEL = 'statefulset.kubernetes.io/pod-name';
const POD_INDEX_LABEL = 'apps.kubernetes.io/pod-index';

export const podNameOf = (set: StatefulSet, ordinal: number): string => `${set.metadata.name}-${ordinal}`;

/** Undefined for a pod that cannot be one of this set. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const match = /^(.*)-(\d+)$/.exec(pod.metadata.name ?? '');
  return match && match[1] === set.metadata.name ? Number(match[2]) : undefined;
}

export const revisionOf = (pod: Pod): string | undefined => pod.metadata.labels?.[REVISION_HASH];

export const startOf = (set: StatefulSet): number => set.spec?.ordinals?.start ?? 0;
export const isMonotonic = (set: StatefulSet): boolean => set.spec?.podManagementPolicy !== 'Parallel';
export const isRolling = (set: StatefulSet): boolean => set.spec?.updateStrategy?.type !== 'OnDelete';

/** Pods below it keep the revision before the update. */
export const partitionOf = (set: StatefulSet): number => set.spec?.updateStrategy?.rollingUpdate?.partition ?? 0;

export const claimNameOf = (template: PersistentVolumeClaim, podName: string): string =>
  `${template.metadata.name}-${podName}`;

/** @param revision its name is what pods carry. */
export function statefulPod(set: StatefulSet, ordinal: number, template: PodTemplateSpec, revision: string): Pod {
  const name = podNameOf(set, ordinal);
  const { metadata, spec } = template;
  const claims = set.spec?.volumeClaimTemplates ?? [];
  const own = new Set(claims.map((claim) => claim.metadata.name));
  const volumes = [
    ...claims.map((claim) => ({
      name: claim.metadata.name!,
      persistentVolumeClaim: { claimName: claimNameOf(claim, name) },
    })),
    ...(spec?.volumes ?? []).filter((volume) => !own.has(volume.name)),
  ];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: set.metadata.namespace,
      labels: {
        ...metadata?.labels,
        [REVISION_HASH]: revision,
        [POD_NAME_LABEL]: name,
        [POD_INDEX_LABEL]: String(ordinal),
      },
      ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
      ...(metadata?.finalizers ? { finalizers: metadata.finalizers } : {}),
      ownerReferences: [controllerReference(StatefulSets, set)],
    },
    spec: {
      ...(spec ?? { containers: [] }),
      hostname: name,
      ...(set.spec?.serviceName ? { subdomain: set.spec.serviceName } : {}),
      ...(volumes.length > 0 ? { volumes } : {}),
    },
  };
}

/** The claims of a replica, as they are made with its first pod. They outlive pods, and by default the set. */
export function claimsOf(set: StatefulSet, ordinal: number): readonly PersistentVolumeClaim[] {
  return (set.spec?.volumeClaimTemplates ?? []).map(({ metadata, spec }) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claimNameOf({ metadata }, podNameOf(set, ordinal)),
      namespace: set.metadata.namespace,
      labels: { ...metadata.labels, ...set.spec?.selector.matchLabels },
      ...(metadata.annotations ? { annotations: metadata.annotations } : {}),
    },
    ...(spec ? { spec } : {}),
  }));
}
