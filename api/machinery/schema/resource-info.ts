import type { GroupVersionKind, ResourceType } from '../object.js';

/** A subresource and the kind its requests and answers carry, which may be of another group (`Scale`, `Eviction`). */
export interface SubresourceInfo extends GroupVersionKind {
  readonly name: string;
  readonly verbs: readonly string[];
}

/** One resource of one group-version, as discovery describes it and the registry installs it. */
export interface ResourceInfo {
  readonly type: ResourceType;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** In alphabetical order, as discovery lists them. */
  readonly verbs: readonly string[];
  readonly subresources: readonly SubresourceInfo[];
  /** The group's versions order as Kubernetes orders them (v2, v1, v1beta1, …); this is the foremost of this resource. */
  readonly preferred: boolean;
  /** Kubernetes serves beta and alpha versions only where asked; those are false here. */
  readonly enabledByDefault: boolean;
  /** Where objects are kept: types with an equal storage type are versions of the same objects. */
  readonly storage: ResourceType;
  /** All types with the same storage, this one included, storage first. */
  readonly versions: readonly ResourceType[];
}
