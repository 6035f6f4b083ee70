import type { WriteOptions } from '@trimtab/client';
import { badRequest, conflict, ignoreManagedTimes, invalid, type KubeObject, notFound } from '@trimtab/machinery';
import { ConflictError, type Operation, type Store, type StoreKey } from '@trimtab/store';
import { firstValueFrom } from 'rxjs';
import type { Reservation } from '../contracts.js';
import { mutate, validate } from './admit.js';
import { type Registry, type RequestContext, resourceName, storeKey, type Target } from './context.js';
import { createObject, placeInNamespace, typed } from './create.js';
import { checkUpdatePreconditions, metadataForUpdate, withGeneration } from './metadata.js';
import { judgedByNewest } from './newest.js';
import { trackUpdate } from './ownership.js';
import type { ServedKind } from './served-kind.js';
import { resetForSubresource } from './subresource-reset.js';
import { isMetadataAsStored, validateMetadata, validateMetadataUpdate } from './validate-metadata.js';

export interface UpdateOptions extends WriteOptions {
  /** The managed fields have been worked out already (server-side apply). */
  readonly applied?: boolean;
  /** Whether to create the object where it is missing; the kind's strategy says so where this does not. */
  readonly createMissing?: boolean;
  /** Operations of other objects that must succeed together with the update. */
  readonly together?: (old: KubeObject) => readonly Operation[];
}

export interface UpdateResult {
  readonly object: KubeObject;
  readonly created: boolean;
}

/**
 * Reads, computes, stores; starts over when somebody else was faster. `compute` gets the object in the served version and
 * gives the one wanted; where that names a resourceVersion, being slower is the caller's Conflict. Writing what is there
 * already changes nothing: no revision, no event.
 */
export function updateObject(
  registry: Registry,
  context: RequestContext,
  target: Target,
  compute: (old: KubeObject | undefined) => KubeObject | Promise<KubeObject>,
  options: UpdateOptions = {},
): Promise<UpdateResult> {
  return judgedByNewest(registry.store, () => updateNext(registry, context, target, compute, options));
}

async function updateNext(
  registry: Registry,
  context: RequestContext,
  target: Target,
  compute: (old: KubeObject | undefined) => KubeObject | Promise<KubeObject>,
  options: UpdateOptions,
): Promise<UpdateResult> {
  const { kind, namespace, name } = target;
  const key = storeKey(kind, namespace, name);
  for (;;) {
    const entry = registry.store.pending(key);
    if (!entry) {
      const creatable = target.subresource === '' && (options.createMissing ?? kind.strategy.allowCreateOnUpdate);
      if (!creatable) throw notFound(resourceName(kind), name);
      const wanted = named(name, await compute(undefined));
      if (wanted.metadata.resourceVersion || wanted.metadata.uid)
        throw conflict(resourceName(kind), name, uidGone(wanted));
      context.authorize?.('create');
      return { object: await createObject(registry, context, kind, namespace, wanted, options), created: true };
    }
    await kind.storage.prepare?.([entry.object], 'served');
    const old = kind.storage.fromStorage(entry.object);
    try {
      const object = await updateOnce(registry, context, target, old, await compute(old), entry.revision, options);
      return { object, created: false };
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if (error.key.name === name && error.key.resource === key.resource) continue;
      if (options.together) throw conflict(resourceName(kind), name);
      await registry.store.latest();
    }
  }
}

function uidGone(wanted: KubeObject): string {
  return wanted.metadata.uid
    ? `Precondition failed: UID in precondition: ${wanted.metadata.uid}, UID in object meta: `
    : 'the object has been modified; please apply your changes to the latest version and try again';
}

async function updateOnce(
  registry: Registry,
  context: RequestContext,
  target: Target,
  old: KubeObject,
  computed: KubeObject,
  revision: number,
  options: UpdateOptions,
): Promise<KubeObject> {
  const { kind, namespace, name, subresource } = target;
  const { strategy } = kind;
  const dryRun = options.dryRun ?? false;
  const wanted = named(name, placeInNamespace(kind, namespace, computed));
  checkUpdatePreconditions(kind, wanted, old);
  if (!wanted.metadata.resourceVersion && strategy.allowUnconditionalUpdate === false)
    throw invalid(kind, name, [
      {
        reason: 'FieldValueInvalid',
        field: 'metadata.resourceVersion',
        message: 'Invalid value: 0x0: must be specified for an update',
      },
    ]);

  const isJudged = (now: KubeObject): boolean =>
    strategy.judged !== undefined &&
    (strategy.judged(now) === strategy.judged(old) || (subresource === 'binding' && !!strategy.placed?.(now, old)));
  const fill = (now: KubeObject): KubeObject => (isJudged(now) ? now : (strategy.default?.(now) ?? now));

  let object = fill(metadataForUpdate(typed(kind, wanted), old));
  object = resetForSubresource(kind, subresource, object, old);
  if (!options.applied)
    object = trackUpdate(kind, old, object, {
      manager: options.fieldManager || context.fieldManager,
      now: registry.clock.now(),
      subresource,
    });
  object = await mutate(registry, context, target, { operation: 'UPDATE', object, oldObject: old, dryRun, options });
  object = resetForSubresource(kind, subresource, object, old);
  object = fill(strategy.prepareForUpdate?.(object, old, subresource) ?? object);

  const reservation: Reservation | undefined = strategy.reserve?.(object, old);
  let stored = false;
  try {
    const reserved = reservation?.object ?? object;
    // To be given a node is not to be wanted otherwise.
    object = subresource === 'binding' ? reserved : withGeneration(kind, reserved, old);
    const judged = isJudged(object);
    const causes = [
      ...(isMetadataAsStored(object, old) ? [] : validateMetadata(kind, object)),
      ...validateMetadataUpdate(object, old),
      ...(judged ? [] : (strategy.validateUpdate?.(object, old, subresource) ?? [])),
    ];
    if (causes.length > 0) throw invalid(kind, name, causes);
    if (subresource !== 'status' && !judged)
      for (const warning of strategy.warnings?.(object) ?? []) context.warn(warning);
    const admitted = await validate(registry, context, target, {
      operation: 'UPDATE',
      object,
      oldObject: old,
      dryRun,
      options,
    });
    if (dryRun) return object;
    const together = [...(options.together?.(old) ?? []), ...admitted, ...(reservation?.together ?? [])];
    const key = storeKey(kind, namespace, name);
    if (ignoreManagedTimes(old, object) === old && together.length === 0) {
      await untilDurable(registry.store, key, revision);
      return old;
    }
    await kind.storage.prepare?.([object], 'storage');
    const write: Operation = isReleased(kind, object)
      ? { type: 'delete', key, expect: revision }
      : { type: 'put', key, object: kind.storage.toStorage(object), expect: revision };
    const commit = await registry.store.commit([write, ...together]);
    stored = true;
    if (write.type === 'delete') return object;
    const written = commit.entries[0]!.object;
    await kind.storage.prepare?.([written], 'served');
    return kind.storage.fromStorage(written);
  } finally {
    reservation?.finish(stored);
  }
}

/** What is answered for must be on disk, also where somebody else wrote it a moment ago. */
async function untilDurable(store: Store, key: StoreKey, revision: number): Promise<void> {
  if (store.revision < revision) await firstValueFrom(store.watch(key, revision - 1), { defaultValue: undefined });
}

/** An update that takes the last finalizer off an object already being deleted deletes it. */
function isReleased(kind: ServedKind, object: KubeObject): boolean {
  const { metadata } = object;
  if (metadata.deletionTimestamp === undefined || metadata.deletionGracePeriodSeconds) return false;
  if ((metadata.finalizers ?? []).length > 0) return false;
  return (kind.strategy.finalizing?.(object) ?? []).length === 0;
}

/** The object under the path's name; a different one in the body is an error. */
function named(name: string, object: KubeObject): KubeObject {
  const own = object.metadata.name;
  if (own === name) return object;
  if (own) throw badRequest(`the name of the object (${own}) does not match the name on the URL (${name})`);
  return { ...object, metadata: { ...object.metadata, name } };
}
