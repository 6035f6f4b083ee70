import { change, controllerOf, controllerReference, type Effect, isDeleting } from '@trimtab/framework';
import {
  type OwnerReference,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  type Pod,
  Pods,
  type StatefulSet,
  StatefulSets,
} from '@trimtab/machinery';

/**
 * `persistentVolumeClaimRetentionPolicy`: a claim that is to go with the set is owned by it, one that is to go with a pod
 * beyond the wanted number by that pod; the garbage collector does the rest.
 */
export function retain(
  set: StatefulSet,
  pod: Pod,
  claim: PersistentVolumeClaim,
  condemned: boolean,
): readonly Effect[] {
  if (isDeleting(claim)) return [];
  const { whenDeleted, whenScaled } = set.spec?.persistentVolumeClaimRetentionPolicy ?? {};
  const withPod = condemned && whenScaled === 'Delete';
  const withSet = whenDeleted === 'Delete' && !withPod;
  const present = claim.metadata.ownerReferences ?? [];
  const kept = present.filter(
    (reference) =>
      (reference.uid !== set.metadata.uid || withSet) &&
      (!isPodReference(reference, pod) || (withPod && reference.uid === pod.metadata.uid)),
  );
  const has = (uid: string | undefined) => kept.some((reference) => reference.uid === uid);
  const wanted = [
    ...kept,
    ...(withSet && !has(set.metadata.uid) ? [referenceTo(StatefulSets, set, kept)] : []),
    ...(withPod && !has(pod.metadata.uid) ? [referenceTo(Pods, pod, kept)] : []),
  ];
  if (wanted.length === present.length && kept.length === present.length) return [];
  return change(PersistentVolumeClaims, claim, (draft) => {
    draft.metadata.ownerReferences = wanted.length > 0 ? wanted : undefined;
  });
}

/** One that is going, or that goes with a pod that is not the one there now: nothing new may be built on it. */
export const isStale = (claim: PersistentVolumeClaim, podName: string): boolean =>
  isDeleting(claim) ||
  (claim.metadata.ownerReferences ?? []).some((reference) => reference.kind === 'Pod' && reference.name === podName);

const isPodReference = (reference: OwnerReference, pod: Pod): boolean =>
  reference.kind === 'Pod' && reference.name === pod.metadata.name;

function referenceTo(
  type: typeof StatefulSets | typeof Pods,
  owner: StatefulSet | Pod,
  others: readonly OwnerReference[],
): OwnerReference {
  const reference = controllerReference(type, owner);
  if (!controllerOf({ metadata: { ownerReferences: others } })) return reference;
  // There is a controller already: an owner without that role serves as well.
  const { controller: _, ...plain } = reference;
  return plain;
}
