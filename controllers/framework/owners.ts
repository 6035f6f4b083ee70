import type { KubeObject, OwnerReference, ResourceType } from '@trimtab/machinery';
import { apiVersionOf } from '@trimtab/machinery';

/** The reference that makes `owner` the controller of whatever carries it; blocks foreground deletion of the owner. */
export const controllerReference = (type: ResourceType, owner: KubeObject): OwnerReference => ({
  apiVersion: apiVersionOf(type),
  kind: type.kind,
  name: owner.metadata.name!,
  uid: owner.metadata.uid!,
  controller: true,
  blockOwnerDeletion: true,
});

/** The one reference with `controller: true`, if any. */
export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((reference) => reference.controller === true);

export const isControlledBy = (object: KubeObject, owner: KubeObject): boolean =>
  owner.metadata.uid !== undefined && controllerOf(object)?.uid === owner.metadata.uid;

/** Compares group and kind, not version: an owner written by an older client is still the owner. */
export const refersTo = (reference: OwnerReference, type: ResourceType): boolean =>
  reference.kind === type.kind && groupOf(reference.apiVersion) === type.group;

const groupOf = (apiVersion: string): string => apiVersion.slice(0, Math.max(0, apiVersion.lastIndexOf('/')));

export const isDeleting = (object: KubeObject): boolean => object.metadata.deletionTimestamp !== undefined;
