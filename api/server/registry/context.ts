import type { Clock, KubeObject, Logger, Random } from '@trimtab/machinery';
import type { Store, StoreKey } from '@trimtab/store';
import type { AdmissionPlugin, CreateOnlyHandlers, UserInfo } from '../contracts.js';
import type { Tally } from '../tally/tally.js';
import type { FieldIndexes } from './field-index.js';
import type { KindTable } from './kind-table.js';
import type { ServedKind } from './served-kind.js';

/** What every registry operation works with. */
export interface Registry {
  readonly store: Store;
  readonly kinds: KindTable;
  readonly indexes: FieldIndexes;
  readonly admission: readonly AdmissionPlugin[];
  readonly handlers: CreateOnlyHandlers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly tally: Tally;
}

/** One caller's request, as far as the registry cares. */
export interface RequestContext {
  readonly user: UserInfo;
  /** The field manager where the request names none: the client's name, at most 128 characters. */
  readonly fieldManager: string;
  /** A text for a `Warning` header. */
  warn(message: string): void;
  /** Adds to the request's audit event, where there is one. */
  annotate?(key: string, value: string): void;
  /** Whether the caller may do this verb on the object at hand as well; for writes that turn into creates. */
  authorize?(verb: string): void;
  /** Told of the milliseconds that somebody else was waited for: a webhook. */
  waited?: (ms: number) => void;
}

/** The object an operation is about. */
export interface Target {
  readonly kind: ServedKind;
  readonly namespace: string;
  readonly name: string;
  /** `""` for the object itself. */
  readonly subresource: string;
}

export function storeKey(kind: ServedKind, namespace: string, name: string): StoreKey {
  return { resource: kind.storage.resource, namespace: kind.namespaced ? namespace : '', name };
}

/** The name errors use: the plural, and the kind for `Invalid`. */
export function resourceName(kind: ServedKind) {
  return { group: kind.group, resource: kind.resource, kind: kind.kind };
}

export function resourceVersionOf(object: KubeObject): number {
  return Number(object.metadata.resourceVersion ?? 0);
}

/** The object with other metadata; the rest is shared. */
export function withMetadata<T extends KubeObject>(object: T, metadata: Partial<KubeObject['metadata']>): T {
  return { ...object, metadata: { ...object.metadata, ...metadata } };
}
