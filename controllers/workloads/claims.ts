import {
  change,
  confirm,
  controllerOf,
  controllerReference,
  type Effect,
  isControlledBy,
  isDeleting,
} from '@trimtab/framework';
import type { KubeObject, LabelSelector, OwnerReference, ResourceType, Selector } from '@trimtab/machinery';
import { matchesLabels, selectNothing, selectorFromObject } from '@trimtab/machinery';

/** Which candidates an owner has, takes in, and lets go (kubernetes: pkg/controller ControllerRefManager). */
export interface Claims<O extends KubeObject> {
  /** Controlled by the owner from now on, those just adopted included. */
  readonly owned: readonly O[];
  readonly adopted: readonly O[];
  readonly released: readonly O[];
}

/** A selector that cannot be read, or an empty one, selects nothing: a workload never takes in everything there is. */
export function workloadSelector(selector: LabelSelector | undefined): Selector {
  if (!selector) return selectNothing;
  try {
    const read = selectorFromObject(selector);
    return read.requirements.length === 0 ? selectNothing : read;
  } catch {
    return selectNothing;
  }
}

export function claim<O extends KubeObject>(
  owner: KubeObject,
  selector: Selector,
  candidates: readonly O[],
): Claims<O> {
  const owned: O[] = [];
  const adopted: O[] = [];
  const released: O[] = [];
  for (const candidate of candidates) {
    const matches = matchesLabels(selector, candidate.metadata.labels);
    const controller = controllerOf(candidate);
    if (controller) {
      if (!isControlledBy(candidate, owner)) continue;
      if (matches || isDeleting(owner)) owned.push(candidate);
      else if (!isDeleting(candidate)) released.push(candidate);
      else owned.push(candidate);
    } else if (matches && !isDeleting(owner) && !isDeleting(candidate)) {
      owned.push(candidate);
      adopted.push(candidate);
    }
  }
  return { owned, adopted, released };
}

/** The writes that make the claims true. */
export function claimEffects<O extends KubeObject>(
  ownerType: ResourceType,
  owner: KubeObject,
  type: ResourceType<O>,
  claims: Claims<O>,
): readonly Effect[] {
  return [
    // Adopting for an owner that is gone would hand the adopted to the garbage collector.
    ...(claims.adopted.length > 0 ? [confirm(ownerType, owner)] : []),
    ...claims.adopted.flatMap((object) =>
      change(type as ResourceType, object as KubeObject, (draft) => {
        const references: OwnerReference[] = [...(object.metadata.ownerReferences ?? [])];
        draft.metadata.ownerReferences = [...references, controllerReference(ownerType, owner)];
      }),
    ),
    ...claims.released.flatMap((object) =>
      change(type as ResourceType, object as KubeObject, (draft) => {
        const others = (object.metadata.ownerReferences ?? []).filter((r) => r.uid !== owner.metadata.uid);
        draft.metadata.ownerReferences = others.length > 0 ? [...others] : undefined;
      }),
    ),
  ];
}
