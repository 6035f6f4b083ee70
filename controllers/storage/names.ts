import type { KubeObject, PersistentVolume, PersistentVolumeClaim, Pod } from '@trimtab/machinery';

/** Annotations, finalizers and names that storage controllers, scheduler and kubelets agree on. */

export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';
export const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';
export const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';
export const STORAGE_PROVISIONER = 'volume.kubernetes.io/storage-provisioner';
export const BETA_STORAGE_PROVISIONER = 'volume.beta.kubernetes.io/storage-provisioner';
export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
const BETA_STORAGE_CLASS = 'volume.beta.kubernetes.io/storage-class';

export const PVC_PROTECTION = 'kubernetes.io/pvc-protection';
export const PV_PROTECTION = 'kubernetes.io/pv-protection';

export const LOCAL_PROVISIONER = 'trimtab.dev/local';
/** On volumes whose directory a kubelet has yet to remove. */
export const LOCAL_VOLUME = 'trimtab.dev/local-volume';
/** On nodes: the absolute path under which the kubelet keeps directories of local volumes. */
export const LOCAL_VOLUMES_DIR = 'trimtab.dev/local-volumes-dir';

export const NO_PROVISIONER = 'kubernetes.io/no-provisioner';

export const annotationOf = (object: KubeObject, name: string): string | undefined =>
  object.metadata.annotations?.[name];

/** The class a claim or volume names; undefined where it names none, empty where it asks for none. */
export const classNameOf = (object: PersistentVolume | PersistentVolumeClaim): string | undefined =>
  annotationOf(object, BETA_STORAGE_CLASS) ?? object.spec?.storageClassName;

/** The claim a pod's volume stands on, and whether it was made for this pod alone. */
export interface ClaimUse {
  readonly volume: string;
  readonly claim: string;
  readonly ephemeral: boolean;
}

export function claimsOf(pod: Pod): readonly ClaimUse[] {
  return (pod.spec?.volumes ?? []).flatMap((volume): readonly ClaimUse[] => {
    if (volume.persistentVolumeClaim)
      return [{ volume: volume.name, claim: volume.persistentVolumeClaim.claimName, ephemeral: false }];
    return volume.ephemeral
      ? [{ volume: volume.name, claim: `${pod.metadata.name}-${volume.name}`, ephemeral: true }]
      : [];
  });
}

export const volumeNameFor = (claim: PersistentVolumeClaim): string => `pvc-${claim.metadata.uid}`;
