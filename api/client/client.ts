import type { KubeList, KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import type { Observable } from 'rxjs';

/**
 * The one interface through which controllers, kubelet and network plugin know the cluster. Two implementations keep it:
 * HTTP against any Kubernetes (`HttpClient`, here) and in process against our own server (`LocalClient`, in api/server).
 * Every failure is a `StatusError`; a broken connection is one with reason `ServiceUnavailable`.
 */
export interface Client {
  get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, options?: GetOptions): Promise<T>;
  list<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Promise<KubeList<T>>;
  /**
   * One server-side watch. Completes when the server ends it, errors with a StatusError (410 `Expired` included).
   * Reflectors, not callers, deal with reconnecting.
   */
  watch<T extends KubeObject>(type: ResourceType<T>, options?: WatchOptions): Observable<WatchEvent<T>>;
  create<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;
  /** PUT; `object.metadata.resourceVersion`, where present, must match the stored one. */
  update<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, patch: Patch, options?: PatchOptions): Promise<T>;
  /** Resolves with the final object or Status the server answers. */
  delete<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, options?: DeleteOptions): Promise<unknown>;
  deleteCollection<T extends KubeObject>(
    type: ResourceType<T>,
    options?: ListOptions & DeleteOptions,
  ): Promise<unknown>;
  /**
   * A subresource that takes or gives another kind (`binding`, `eviction`, `scale`, `token`, reviews…): `verb` create
   * posts `body`, update puts it, get takes none.
   */
  subresource<B, R>(
    type: ResourceType,
    key: ObjectKey,
    subresource: string,
    verb: 'get' | 'create' | 'update',
    body?: B,
    options?: WriteOptions,
  ): Promise<R>;
  /** A GET outside the resource paths (`/version`, `/readyz`, discovery), answered as text. */
  raw(path: string): Promise<string>;
}

/** How what is read is to be represented. In process everything is answered whole, as the stored object. */
export interface ReadOptions {
  /** Sent as it is; what comes back is JSON of whatever shape was asked for. */
  readonly accept?: string;
  /** Only `metadata`, from servers that can leave the rest out (`PartialObjectMetadata`). */
  readonly metadataOnly?: boolean;
}

export interface GetOptions extends ReadOptions {
  readonly subresource?: string;
  readonly resourceVersion?: string;
  /** Of Trimtab's servers: as of a revision (`48213`), a time (`2026-11-21T10:32:00Z`) or a time ago (`5m`). */
  readonly at?: string;
}

export interface ListOptions extends ReadOptions {
  /** Omitted: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan';
  readonly limit?: number;
  readonly continue?: string;
}

export interface WatchOptions extends Omit<ListOptions, 'limit' | 'continue'> {
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
}

export interface WriteOptions {
  readonly fieldManager?: string;
  readonly dryRun?: boolean;
  readonly subresource?: string;
}

export interface PatchOptions extends WriteOptions {
  /** Apply patches only: take over fields other managers own. */
  readonly force?: boolean;
}

export type Patch =
  | { readonly type: 'json'; readonly body: readonly object[] }
  | { readonly type: 'merge'; readonly body: object }
  | { readonly type: 'strategic'; readonly body: object }
  | { readonly type: 'apply'; readonly body: object };

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
}

export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly object: KubeObject };
