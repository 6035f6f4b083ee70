import { isControlledBy, isDeleting } from '@trimtab/framework';
import type { Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '@trimtab/machinery';
import { bestVolume, isUsableOn } from '../storage/matching.js';
import {
  annotationOf,
  BIND_COMPLETED,
  type ClaimUse,
  claimsOf,
  classNameOf,
  LOCAL_PROVISIONER,
  LOCAL_VOLUMES_DIR,
  NO_PROVISIONER,
  SELECTED_NODE,
} from '../storage/names.js';
import { matchesTopology } from '../storage/topology.js';
import { isTerminal } from '../workloads/pods.js';

/** Claims, volumes and classes as filters see them: with what has been promised and is not yet written. */
export interface StorageView {
  claim(namespace: string, name: string): PersistentVolumeClaim | undefined;
  volume(name: string): PersistentVolume | undefined;
  volumes(): readonly PersistentVolume[];
  storageClass(name: string): StorageClass | undefined;
  /** Pods with a node that use the claim. */
  users(namespace: string, claim: string): readonly Pod[];
}

/** What is to be written before a pod can go to its node; the pod then waits until all its claims are bound. */
export interface VolumePlan {
  readonly node: string;
  /** Volumes that are there, set apart for claims. */
  readonly reserve: readonly { readonly volume: PersistentVolume; readonly claim: PersistentVolumeClaim }[];
  /** Claims for which a volume is made on the node. */
  readonly provision: readonly PersistentVolumeClaim[];
  /** Keys of all claims not bound yet. */
  readonly unbound: readonly { readonly namespace: string; readonly name: string }[];
}

export const isBound = (claim: PersistentVolumeClaim): boolean =>
  Boolean(claim.spec?.volumeName) && annotationOf(claim, BIND_COMPLETED) !== undefined;

/** Why a pod's claims keep it from every node, in kube-scheduler's words. */
export function claimsRefusal(pod: Pod, storage: StorageView): string | undefined {
  for (const use of claimsOf(pod)) {
    const refusal = claimRefusal(pod, use, storage);
    if (refusal) return refusal;
  }
  return undefined;
}

function claimRefusal(pod: Pod, { claim: name, ephemeral }: ClaimUse, storage: StorageView): string | undefined {
  const namespace = pod.metadata.namespace ?? '';
  const claim = storage.claim(namespace, name);
  if (!claim)
    return ephemeral
      ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
      : `persistentvolumeclaim "${name}" not found`;
  if (claim.status?.phase === 'Lost')
    return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName}"`;
  if (isDeleting(claim)) return `persistentvolumeclaim "${name}" is being deleted`;
  if (ephemeral && !isControlledBy(claim, pod))
    return `PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`;
  const others = storage.users(namespace, name).filter((o) => o.metadata.uid !== pod.metadata.uid && !isTerminal(o));
  if (claim.spec?.accessModes?.includes('ReadWriteOncePod') && others.length > 0)
    return 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode';
  return isBound(claim) || waitsForConsumer(claim, storage)
    ? undefined
    : 'pod has unbound immediate PersistentVolumeClaims';
}

function waitsForConsumer(claim: PersistentVolumeClaim, storage: StorageView): boolean {
  const name = classNameOf(claim);
  return Boolean(name) && storage.storageClass(name!)?.volumeBindingMode === 'WaitForFirstConsumer';
}

/** How a pod's claims would be met on a node, or why they cannot. */
export function planVolumes(pod: Pod, node: Node, storage: StorageView): VolumePlan | { readonly refusal: string } {
  const namespace = pod.metadata.namespace ?? '';
  const claims = [...new Set(claimsOf(pod).map(({ claim }) => claim))].flatMap(
    (name) => storage.claim(namespace, name) ?? [],
  );
  const reserve: { volume: PersistentVolume; claim: PersistentVolumeClaim }[] = [];
  const provision: PersistentVolumeClaim[] = [];
  for (const claim of claims) {
    if (isBound(claim)) {
      const volume = storage.volume(claim.spec!.volumeName!);
      if (!volume) return { refusal: 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)' };
      if (!isUsableOn(volume, node)) return { refusal: 'node(s) had volume node affinity conflict' };
      continue;
    }
    const chosen = annotationOf(claim, SELECTED_NODE);
    const taken = new Set(reserve.map(({ volume }) => volume));
    const volume = chosen
      ? undefined
      : bestVolume(
          claim,
          storage.volumes().filter((candidate) => !taken.has(candidate)),
          { node },
        );
    if (volume) reserve.push({ volume, claim });
    else if (chosen ? chosen === node.metadata.name : canProvision(claim, node, storage)) provision.push(claim);
    else return { refusal: "node(s) didn't find available persistent volumes to bind" };
  }
  const unbound = [...reserve.map(({ claim }) => claim), ...provision].map(({ metadata }) => ({
    namespace: metadata.namespace ?? '',
    name: metadata.name!,
  }));
  return { node: node.metadata.name!, reserve, provision, unbound };
}

function canProvision(claim: PersistentVolumeClaim, node: Node, storage: StorageView): boolean {
  const storageClass = storage.storageClass(classNameOf(claim) ?? '');
  if (!storageClass || claim.spec?.volumeName || storageClass.provisioner === NO_PROVISIONER) return false;
  if (storageClass.provisioner === LOCAL_PROVISIONER && !annotationOf(node, LOCAL_VOLUMES_DIR)) return false;
  return matchesTopology(storageClass.allowedTopologies, node);
}
