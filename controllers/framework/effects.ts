import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import type { Operation } from 'fast-json-patch';

/**
 * Everything a controller can ask for, as data. The runner carries effects out one after the other, stops at the first
 * that fails, and evaluates the object again with backoff; so an effect must be safe to repeat.
 */
export type Effect =
  | CreateEffect
  | ApplyEffect
  | PatchEffect
  | DeleteEffect
  | DeleteAllEffect
  | PostEffect
  | PutEffect
  | ConfirmEffect
  | EventEffect
  | CallEffect
  | DoneEffect
  | BatchEffect
  | RequeueAfterEffect;

/** `metadata.generateName` is completed by the runner, so that a lost answer can be looked up by its name. */
export interface CreateEffect {
  readonly type: 'create';
  readonly resource: ResourceType;
  readonly object: KubeObject;
  /** One that is there already is left as it is, and that is well. */
  readonly ifMissing?: boolean;
  readonly announce?: Announcement;
}

/** Server-side apply with the controller's name as field manager, taking over conflicting fields. */
export interface ApplyEffect {
  readonly type: 'apply';
  readonly resource: ResourceType;
  readonly object: KubeObject;
}

/** A JSON patch that fails with a conflict unless the object is still the one (uid) and at the revision it was made for. */
export interface PatchEffect {
  readonly type: 'patch';
  readonly resource: ResourceType;
  readonly key: ObjectKey;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly subresource?: string;
  readonly operations: readonly Operation[];
  readonly announce?: Announcement;
}

/** Deletes this very object; one that is gone already, or replaced by another of its name, counts as deleted. */
export interface DeleteEffect {
  readonly type: 'delete';
  readonly resource: ResourceType;
  readonly key: ObjectKey;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  readonly gracePeriodSeconds?: number;
  readonly announce?: Announcement;
}

/** Deletes everything of a kind in a namespace; a kind that is not served (any more) has nothing left. */
export interface DeleteAllEffect {
  readonly type: 'deleteAll';
  readonly resource: ResourceType;
  readonly namespace: string;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
}

/** POST to a subresource that takes another kind: `binding`, `eviction`, `token`. */
export interface PostEffect {
  readonly type: 'post';
  readonly resource: ResourceType;
  readonly key: ObjectKey;
  readonly subresource: string;
  readonly body: object;
  readonly announce?: Announcement;
}

/** PUT of the object to one of its subresources that no patch reaches (`finalize`), at the revision it was made from. */
export interface PutEffect {
  readonly type: 'put';
  readonly resource: ResourceType;
  readonly object: KubeObject;
  readonly subresource: string;
}

/**
 * A live read: fails unless the server still has this very object and it is not being deleted. For decisions that a cache
 * which is behind would make harmful, such as adopting dependents for an owner that is gone.
 */
export interface ConfirmEffect {
  readonly type: 'confirm';
  readonly resource: ResourceType;
  readonly key: ObjectKey;
  readonly uid: string;
}

/** Calls a handler the operator was given under this name: the way to systems outside the cluster. Must be repeatable. */
export interface CallEffect {
  readonly type: 'call';
  readonly handler: string;
  readonly argument: unknown;
}

/** Of a cleanup: there is nothing left to clean up; the finalizer comes off after everything before has succeeded. */
export interface DoneEffect {
  readonly type: 'done';
}

/** Recorded best-effort, aggregated; never fails the reconciliation. */
export interface EventEffect {
  readonly type: 'event';
  readonly event: EventRecord;
}

/** Carried out concurrently; `slowStart` in groups of 1, 2, 4, …, stopping after the first group with a failure. */
export interface BatchEffect {
  readonly type: 'batch';
  readonly slowStart: boolean;
  readonly effects: readonly Effect[];
}

/** Evaluates the object again after `ms` at the latest; of several the earliest counts. */
export interface RequeueAfterEffect {
  readonly type: 'requeueAfter';
  readonly ms: number;
}

export interface EventRecord {
  readonly regarding: KubeObject;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Events that tell how a write went. `{name}` stands for the written object's name, `{error}` for what went wrong. */
export interface Announcement {
  readonly regarding: KubeObject;
  readonly done?: { readonly reason: string; readonly message: string };
  readonly failed?: { readonly reason: string; readonly message: string };
}

export const create = <T extends KubeObject>(
  resource: ResourceType<T>,
  object: T,
  announce?: Announcement,
  options: Pick<CreateEffect, 'ifMissing'> = {},
): CreateEffect => ({ type: 'create', resource, object, ...options, ...(announce ? { announce } : {}) });

export const apply = <T extends KubeObject>(resource: ResourceType<T>, object: T): ApplyEffect => ({
  type: 'apply',
  resource,
  object,
});

/** Deletes exactly the object seen; with a `resourceVersion` only as long as it is at that, and a conflict otherwise. */
export const remove = (
  resource: ResourceType,
  object: KubeObject,
  options: Pick<DeleteEffect, 'resourceVersion' | 'propagationPolicy' | 'gracePeriodSeconds' | 'announce'> = {},
): DeleteEffect => ({
  type: 'delete',
  resource,
  key: { namespace: object.metadata.namespace, name: object.metadata.name! },
  uid: object.metadata.uid,
  ...options,
});

export const removeAll = (
  resource: ResourceType,
  namespace: string,
  options: Pick<DeleteAllEffect, 'propagationPolicy'> = {},
): DeleteAllEffect => ({ type: 'deleteAll', resource, namespace, ...options });

export const put = (resource: ResourceType, object: KubeObject, subresource: string): PutEffect => ({
  type: 'put',
  resource,
  object,
  subresource,
});

export const post = (
  resource: ResourceType,
  key: ObjectKey,
  subresource: string,
  body: object,
  announce?: Announcement,
): PostEffect => ({ type: 'post', resource, key, subresource, body, ...(announce ? { announce } : {}) });

export const confirm = (resource: ResourceType, object: KubeObject): ConfirmEffect => ({
  type: 'confirm',
  resource,
  key: { namespace: object.metadata.namespace, name: object.metadata.name! },
  uid: object.metadata.uid!,
});

export const event = (
  regarding: KubeObject,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
): EventEffect => ({ type: 'event', event: { regarding, type, reason, message } });

export const call = (handler: string, argument?: unknown): CallEffect => ({ type: 'call', handler, argument });

export const done = (): DoneEffect => ({ type: 'done' });

export const requeueAfter = (ms: number): RequeueAfterEffect => ({ type: 'requeueAfter', ms });

/** Concurrently, but starting slowly, so that a quota or a broken admission rule costs few requests. */
export const slowStart = (effects: readonly Effect[]): readonly Effect[] =>
  effects.length === 0 ? [] : [{ type: 'batch', slowStart: true, effects }];

export const concurrently = (effects: readonly Effect[]): readonly Effect[] =>
  effects.length === 0 ? [] : [{ type: 'batch', slowStart: false, effects }];
