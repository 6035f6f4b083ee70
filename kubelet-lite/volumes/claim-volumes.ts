import { basename } from 'node:path';
import type { Node, NodeSelector, PersistentVolume, PersistentVolumeClaim, Volume } from '@trimtab/machinery';
import { matchesRequirement, type RequirementOperator, requirement } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';

/** What binder, provisioner and kubelet agree on. */
export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';
export const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';
export const LOCAL_PROVISIONER = 'trimtab.dev/local';
export const LOCAL_VOLUME = 'trimtab.dev/local-volume';
export const LOCAL_VOLUMES_DIR = 'trimtab.dev/local-volumes-dir';
export const PV_PROTECTION = 'kubernetes.io/pv-protection';

/** The claim a volume of a pod stands on; undefined for volumes of other types. */
export function claimNameOf(pod: Pod, volume: Volume): string | undefined {
  return (
    volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : undefined)
  );
}

/** Whether all mounts of a pod's volume are read-only, whatever they say themselves. */
export const isReadOnly = (pod: Pod, name: string): boolean =>
  pod.spec.volumes?.find((volume) => volume.name === name)?.persistentVolumeClaim?.readOnly ?? false;

/** Why a pod may not use a claim (yet); undefined when it may. */
export function claimRefusal(pod: Pod, volume: Volume, claim: PersistentVolumeClaim): string | undefined {
  const { namespace, name, deletionTimestamp, ownerReferences, annotations } = claim.metadata;
  if (volume.ephemeral && !ownerReferences?.some((o) => o.controller && o.uid === pod.metadata.uid))
    return `PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`;
  const of = `error processing PVC ${namespace}/${name}: `;
  if (deletionTimestamp) return `${of}can't start pod because PVC is being deleted`;
  if (claim.status?.phase === 'Lost') return `${of}PVC is lost: its volume "${claim.spec?.volumeName}" is gone`;
  const bound = claim.spec?.volumeName && annotations?.[BIND_COMPLETED] !== undefined;
  return bound ? undefined : `${of}PVC is not bound`;
}

/** A persistent volume as something of this node that can be mounted. */
export interface Place {
  /** `made`: a directory of ours, made when it is missing. `local`: has to be there. `hostPath`: by its type. */
  readonly kind: 'made' | 'local' | 'hostPath';
  readonly path: string;
  readonly type?: string;
}

/** Where a claim's volume is on this node. Throws an Error that says why it cannot be mounted here. */
export function placeOf(volume: PersistentVolume, claim: PersistentVolumeClaim, node: Node, volumesDir: string): Place {
  const { metadata, spec = {} } = volume;
  const name = metadata.name;
  if (spec.claimRef?.uid !== claim.metadata.uid)
    throw new Error(`persistent volume "${name}" is not bound to the claim that names it`);
  if (metadata.deletionTimestamp) throw new Error(`persistent volume "${name}" is being deleted`);
  if (spec.volumeMode === 'Block')
    throw new Error(`persistent volume "${name}" has volumeMode Block and cannot be mounted`);
  if (spec.mountOptions?.length)
    throw new Error(`mountOptions of persistent volume "${name}" do not apply: it is mounted as it is`);
  const required = spec.nodeAffinity?.required;
  if (required && !matchesNode(required, node))
    throw new Error(`node affinity of persistent volume "${name}" does not match node "${node.metadata.name}"`);
  if (spec.hostPath) {
    const { path, type } = spec.hostPath;
    return { kind: 'hostPath', path, ...(type ? { type } : {}) };
  }
  if (spec.local) return { kind: isMade(volume, volumesDir) ? 'made' : 'local', path: spec.local.path };
  const kind = Object.keys(spec).find((key) => !COMMON.has(key)) ?? 'unknown';
  throw new Error(`persistent volume "${name}" is of type ${kind}; this node offers local and hostPath`);
}

const COMMON = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

/** True for a directory that this node's kubelet makes and removes: one right below its own, whatever the object says. */
export function isMade({ metadata, spec }: PersistentVolume, volumesDir: string): boolean {
  const path = spec?.local?.path ?? '';
  const name = basename(path);
  return (
    metadata.annotations?.[PROVISIONED_BY] === LOCAL_PROVISIONER &&
    path === `${volumesDir}/${name}` &&
    !name.startsWith('.')
  );
}

/** Whether a volume that is to go waits for a node, given by its host name, to remove what is in it. */
export function awaitsRemoval({ metadata, spec }: PersistentVolume, isHere: (hostname: string) => boolean): boolean {
  const hosts = spec?.nodeAffinity?.required?.nodeSelectorTerms
    .flatMap((term) => term.matchExpressions ?? [])
    .filter(({ key }) => key === 'kubernetes.io/hostname')
    .flatMap(({ values }) => values ?? []);
  const finalizers = metadata.finalizers ?? [];
  return (
    metadata.deletionTimestamp !== undefined &&
    finalizers.includes(LOCAL_VOLUME) &&
    !finalizers.includes(PV_PROTECTION) &&
    hosts?.length === 1 &&
    isHere(hosts[0]!)
  );
}

const OPERATORS: Readonly<Record<string, RequirementOperator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
  Gt: 'gt',
  Lt: 'lt',
};

function matchesNode({ nodeSelectorTerms }: NodeSelector, { metadata }: Node): boolean {
  return nodeSelectorTerms.some(({ matchExpressions = [], matchFields = [] }) => {
    if (matchExpressions.length + matchFields.length === 0) return false;
    const named = matchFields.every(
      ({ operator, values = [] }) => values.includes(metadata.name ?? '') === (operator === 'In'),
    );
    return (
      named &&
      matchExpressions.every(({ key, operator, values = [] }) => {
        const known = OPERATORS[operator];
        return known !== undefined && matchesRequirement(requirement(key, known, values), metadata.labels);
      })
    );
  });
}
