import type {
  CustomResourceColumnDefinition,
  Decoded,
  FieldLabels,
  GroupVersionKind,
  KubeObject,
  ResourceType,
  Schema,
} from '@trimtab/machinery';
import type { Observable } from 'rxjs';
import type { Strategy } from '../contracts.js';
import type { Registry } from './context.js';

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

/**
 * Everything the server knows of one resource at one version. Kinds are data: the generic registry serves any of them, and
 * what is truly a kind's own sits in its {@link Strategy}.
 */
export interface ServedKind extends ResourceType {
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly listKind: string;
  readonly verbs: readonly Verb[];
  readonly schema: Schema;
  /**
   * Reads a body: prunes and reports unknown fields, fills in the schema's defaults, reports wrong types. `defaults: false`
   * is asked for custom kinds only. What the body shares with `known`, an object stored before, need not be read again.
   */
  decode(value: unknown, options?: { readonly defaults?: boolean; readonly known?: KubeObject }): Decoded<KubeObject>;
  readonly storage: KindStorage;
  readonly strategy: Strategy;
  readonly subresources: Readonly<Record<string, Subresource>>;
  /** What a field selector may name. */
  readonly fieldLabels: FieldLabels;
  /** A custom kind: no strategic merge, list items carry their type, `/status` keeps nothing but status. */
  readonly custom: boolean;
  /** `metadata.generation` starts at 1 and grows with the desired state. */
  readonly generation: boolean;
  /** Of a custom kind's version; built-in kinds are printed by machinery's own columns. */
  readonly printerColumns?: readonly CustomResourceColumnDefinition[];
  /** A text for a `Warning` header on every use of a deprecated version. */
  readonly deprecation?: string;
  /** Objects made when they are asked for, and stored nowhere: get and list are all there is of such a kind. */
  readonly live?: LiveObjects;
}

/** `wanted` is asked with the stored object a live one tells of, whose names and labels it has. */
export interface LiveObjects {
  get(registry: Registry, namespace: string, name: string): Promise<KubeObject | undefined>;
  list(registry: Registry, namespace: string, wanted: (object: KubeObject) => boolean): Promise<readonly KubeObject[]>;
}

/**
 * Where and in which form objects lie. Versions and groups that share a resource (`events`) name the same `resource`;
 * conversions give the object itself back where nothing has to change, and keep identity per object otherwise.
 */
export interface KindStorage {
  /** The store's resource: `<group>/<plural>`. */
  readonly resource: string;
  readonly apiVersion: string;
  readonly kind: string;
  /**
   * Present where conversion asks a webhook: makes {@link fromStorage} (`served`) or {@link toStorage} (`storage`) ready for
   * these objects, in one call. Must have resolved before they are used; rejects with the StatusError to answer with.
   */
  prepare?(objects: readonly KubeObject[], to: 'served' | 'storage'): Promise<void>;
  /** From the storage version to the served version. */
  fromStorage(object: KubeObject): KubeObject;
  /** From the served version to the storage version. */
  toStorage(object: KubeObject): KubeObject;
}

/** A subresource and the kind its bodies have. */
export interface Subresource {
  readonly name: string;
  readonly type: GroupVersionKind;
  readonly verbs: readonly ('get' | 'create' | 'update' | 'patch' | 'delete')[];
  /** Absent where bodies have no schema of ours (streams). */
  readonly schema?: Schema;
  /** For `scale`: JSON paths without the leading dot, such as `spec.replicas`. */
  readonly scale?: ScalePaths;
}

export interface ScalePaths {
  readonly specReplicas: string;
  readonly statusReplicas: string;
  /** A LabelSelector object or a selector string. */
  readonly selector?: string;
}

/**
 * A supplier of kinds: the built-in table, and custom resource definitions. `changes` emits after the set has changed; it
 * need not emit at first.
 */
export interface KindSource {
  kinds(): readonly ServedKind[];
  readonly changes: Observable<void>;
  /** Versions of a group, preferred first, where the source knows better than the usual order (stable before beta). */
  preferredVersions?(group: string): readonly string[] | undefined;
}
