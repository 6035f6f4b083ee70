import type { DeleteOptions, ListOptions } from '@trimtab/client';
import { conflict, isReason, type KubeObject, notFound, type Status, timestamp } from '@trimtab/machinery';
import { ConflictError } from '@trimtab/store';
import { admit } from './admit.js';
import { type Registry, type RequestContext, resourceName, storeKey, type Target, withMetadata } from './context.js';
import { judgedByNewest } from './newest.js';
import { listObjects } from './read.js';
import type { ServedKind } from './served-kind.js';

const orphanFinalizer = 'orphan';
const foregroundFinalizer = 'foregroundDeletion';
const collectionPage = 500;

export interface DeleteRequest extends DeleteOptions {
  readonly orphanDependents?: boolean;
}

export interface DeleteResult {
  /** The object as it stays behind, or as it was when it went. */
  readonly object: KubeObject;
  /** False: it stays, waiting for its finalizers or its grace period. */
  readonly gone: boolean;
}

/**
 * Deletes at once, or marks for deletion where finalizers, the propagation policy or a grace period hold it up. A grace
 * period already running can only be shortened.
 */
export function deleteObject(
  registry: Registry,
  context: RequestContext,
  target: Target,
  options: DeleteRequest = {},
): Promise<DeleteResult> {
  return judgedByNewest(registry.store, () => deleteNext(registry, context, target, options));
}

async function deleteNext(
  registry: Registry,
  context: RequestContext,
  target: Target,
  options: DeleteRequest,
): Promise<DeleteResult> {
  const { kind, namespace, name } = target;
  const key = storeKey(kind, namespace, name);
  const dryRun = options.dryRun ?? false;
  for (;;) {
    const entry = registry.store.pending(key);
    if (!entry) throw notFound(resourceName(kind), name);
    await kind.storage.prepare?.([entry.object], 'served');
    const old = kind.storage.fromStorage(entry.object);
    checkPreconditions(kind, old, options);
    await admit(registry, context, target, { operation: 'DELETE', object: undefined, oldObject: old, dryRun, options });
    const marked = markForDeletion(kind, old, options, registry.clock.now());
    if (dryRun) return { object: marked ?? old, gone: marked === undefined };
    if (marked === old) return { object: old, gone: false };
    if (marked) await kind.storage.prepare?.([marked], 'storage');
    try {
      const commit = await registry.store.commit([
        marked
          ? { type: 'put', key, object: kind.storage.toStorage(marked), expect: entry.revision }
          : { type: 'delete', key, expect: entry.revision },
      ]);
      const after = commit.entries[0]?.object ?? entry.object;
      await kind.storage.prepare?.([after], 'served');
      return { object: kind.storage.fromStorage(after), gone: marked === undefined };
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}

function checkPreconditions(kind: ServedKind, object: KubeObject, { preconditions }: DeleteRequest): void {
  const { uid, resourceVersion, name = '' } = object.metadata;
  if (preconditions?.uid !== undefined && preconditions.uid !== uid)
    throw conflict(
      resourceName(kind),
      name,
      `Precondition failed: UID in precondition: ${preconditions.uid}, UID in object meta: ${uid}`,
    );
  if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion)
    throw conflict(
      resourceName(kind),
      name,
      `Precondition failed: ResourceVersion in precondition: ${preconditions.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`,
    );
}

/** The object as it has to stay behind (the very same where nothing changes), or undefined when it can go. */
export function markForDeletion(
  kind: ServedKind,
  old: KubeObject,
  options: DeleteRequest,
  now: number,
): KubeObject | undefined {
  const finalizers = finalizersFor(kind, old, options);
  const grace = Math.max(0, kind.strategy.gracePeriod?.(old, options.gracePeriodSeconds) ?? 0);
  const held = finalizers.length > 0 || (kind.strategy.finalizing?.(old) ?? []).length > 0;
  if (grace === 0 && !held) return undefined;

  const { metadata } = old;
  const running = metadata.deletionTimestamp === undefined ? undefined : (metadata.deletionGracePeriodSeconds ?? 0);
  const seconds = running === undefined ? grace : Math.min(running, grace);
  const changed = finalizers !== (metadata.finalizers ?? none) || running !== seconds;
  if (!changed) return old;
  const since = running === undefined ? now : Date.parse(metadata.deletionTimestamp!) - running * 1000;
  const marked = withMetadata(old, {
    deletionTimestamp: timestamp(since + seconds * 1000),
    deletionGracePeriodSeconds: seconds,
    ...(finalizers.length > 0 || metadata.finalizers ? { finalizers } : {}),
    ...(running === undefined && metadata.generation !== undefined ? { generation: metadata.generation + 1 } : {}),
  });
  return kind.strategy.markDeleted?.(marked) ?? marked;
}

const none: readonly string[] = [];

/** The finalizers with those of the propagation policy; the same array where nothing changes. */
function finalizersFor(kind: ServedKind, object: KubeObject, options: DeleteRequest): readonly string[] {
  const has = object.metadata.finalizers ?? none;
  const explicit =
    options.propagationPolicy ??
    (options.orphanDependents === undefined ? undefined : options.orphanDependents ? 'Orphan' : 'Background');
  const inherited = has.includes(orphanFinalizer)
    ? 'Orphan'
    : has.includes(foregroundFinalizer)
      ? 'Foreground'
      : (kind.strategy.defaultPropagation ?? 'Background');
  const policy = explicit ?? inherited;
  const wanted = [
    ...has.filter((f) => f !== orphanFinalizer && f !== foregroundFinalizer),
    ...(policy === 'Orphan' ? [orphanFinalizer] : []),
    ...(policy === 'Foreground' ? [foregroundFinalizer] : []),
  ];
  return wanted.length === has.length && wanted.every((f) => has.includes(f)) ? has : wanted;
}

/** Deletes everything selected, one by one, page by page; objects that vanish meanwhile do not matter. */
export async function deleteCollection(
  registry: Registry,
  context: RequestContext,
  kind: ServedKind,
  namespace: string,
  selection: ListOptions,
  options: DeleteRequest,
): Promise<readonly KubeObject[]> {
  const deleted: KubeObject[] = [];
  let token: string | undefined;
  do {
    const page = await listObjects(registry, kind, namespace, {
      ...selection,
      limit: selection.limit || collectionPage,
      ...(token ? { continue: token, resourceVersion: undefined } : {}),
    });
    for (let at = 0; at < page.items.length; at += DELETED_AT_ONCE) {
      const group = page.items.slice(at, at + DELETED_AT_ONCE);
      const results = await Promise.all(group.map((object) => deleteItem(registry, context, kind, object, options)));
      deleted.push(...results.filter((object) => object !== undefined));
    }
    token = page.continue;
  } while (token && !selection.limit);
  return deleted;
}

/** Enough for one flush of the store to carry many, few enough to leave others their turn. */
const DELETED_AT_ONCE = 32;

/** Undefined for an object that somebody else has deleted meanwhile. */
async function deleteItem(
  registry: Registry,
  context: RequestContext,
  kind: ServedKind,
  { metadata }: KubeObject,
  options: DeleteRequest,
): Promise<KubeObject | undefined> {
  const target: Target = { kind, namespace: metadata.namespace ?? '', name: metadata.name ?? '', subresource: '' };
  try {
    return (await deleteObject(registry, context, target, options)).object;
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
    return undefined;
  }
}

/** What a client is told when the object is gone. */
export function deletedStatus(kind: ServedKind, object: KubeObject): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name: object.metadata.name,
      ...(kind.group ? { group: kind.group } : {}),
      kind: kind.resource,
      uid: object.metadata.uid,
    },
    code: 200,
  };
}
