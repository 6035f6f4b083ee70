/**
 * The shapes every Kubernetes object shares. Objects are plain JSON values and are treated as immutable everywhere:
 * whoever wants a changed object makes a new one (a draft, a patch, a spread) and leaves the old one as it was.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A reference from a dependent to its owner; the garbage collector acts on `uid`, never on `name` alone. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** One owner's set of fields, as server-side apply keeps it. */
export interface ManagedFieldsEntry {
  readonly manager?: string;
  readonly operation?: 'Apply' | 'Update';
  readonly apiVersion?: string;
  readonly time?: string;
  readonly fieldsType?: 'FieldsV1';
  readonly fieldsV1?: { readonly [path: string]: Json };
  readonly subresource?: string;
}

/** Times are RFC 3339 strings with second precision; `resourceVersion` is opaque to clients and a decimal to us. */
export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string | null;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: { readonly [key: string]: string };
  readonly annotations?: { readonly [key: string]: string };
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  readonly managedFields?: readonly ManagedFieldsEntry[];
  readonly selfLink?: string;
}

export interface TypeMeta {
  readonly apiVersion?: string;
  readonly kind?: string;
}

/** Any object with metadata. Kinds with a generated type extend this structurally. */
export interface KubeObject extends TypeMeta {
  readonly metadata: ObjectMeta;
}

/** An object whose fields beyond metadata are looked at without a static type. */
export interface UnknownObject extends KubeObject {
  readonly [field: string]: unknown;
}

export interface ListMeta {
  readonly resourceVersion?: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

export interface KubeList<T = KubeObject> extends TypeMeta {
  readonly metadata: ListMeta;
  readonly items: readonly T[];
}

/** Where an object lives within its resource. Cluster-scoped objects have no namespace. */
export interface ObjectKey {
  readonly namespace?: string;
  readonly name: string;
}

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** What a client must know of a kind to address it; generated for built-in kinds, read from discovery for others. */
export interface ResourceType<_T extends KubeObject = KubeObject> extends GroupVersionKind {
  /** The plural, lower-case name used in paths. */
  readonly resource: string;
  readonly namespaced: boolean;
}

/** `""`+`v1` gives `v1`; `apps`+`v1` gives `apps/v1`. */
export function apiVersionOf(gv: { readonly group: string; readonly version: string }): string {
  return gv.group === '' ? gv.version : `${gv.group}/${gv.version}`;
}

/** The inverse of {@link apiVersionOf}. */
export function parseApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** `namespace/name`, or `name` for cluster-scoped objects: the key of queues and informer caches. */
export function keyOf(object: { readonly metadata: ObjectMeta }): string {
  return joinKey({ namespace: object.metadata.namespace, name: object.metadata.name ?? '' });
}

export function joinKey(key: ObjectKey): string {
  return key.namespace ? `${key.namespace}/${key.name}` : key.name;
}

export function splitKey(key: string): ObjectKey {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
