import type { WriteOptions } from '@trimtab/client';
import {
  alreadyExists,
  apiVersionOf,
  badRequest,
  invalid,
  type KubeObject,
  methodNotAllowed,
  StatusError,
} from '@trimtab/machinery';
import { ConflictError, type StoreKey } from '@trimtab/store';
import type { Reservation } from '../contracts.js';
import { mutate, validate } from './admit.js';
import { type Registry, type RequestContext, resourceName, storeKey, type Target, withMetadata } from './context.js';
import { metadataForCreate } from './metadata.js';
import { generateName } from './names.js';
import { judgedByNewest } from './newest.js';
import { trackUpdate } from './ownership.js';
import type { ServedKind } from './served-kind.js';
import { validateMetadata } from './validate-metadata.js';

const generateAttempts = 8;

export interface CreateOptions extends WriteOptions {
  /** The managed fields have been worked out already (server-side apply). */
  readonly applied?: boolean;
}

/**
 * Creates an object: names it, sets what only the system may set, admits, defaults, validates, and stores it unless it
 * exists. Gives the stored object, or with `dryRun` the one that would have been stored.
 */
export async function createObject(
  registry: Registry,
  context: RequestContext,
  kind: ServedKind,
  namespace: string,
  given: KubeObject,
  options: CreateOptions = {},
): Promise<KubeObject> {
  if (!kind.verbs.includes('create')) throw methodNotAllowed(resourceName(kind), 'create');
  if (given.metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  return judgedByNewest(registry.store, () => createNext(registry, context, kind, namespace, given, options));
}

async function createNext(
  registry: Registry,
  context: RequestContext,
  kind: ServedKind,
  namespace: string,
  given: KubeObject,
  options: CreateOptions,
): Promise<KubeObject> {
  const placed = placeInNamespace(kind, namespace, given);
  const base = placed.metadata.name ? undefined : placed.metadata.generateName;
  for (let attempt = 1; ; attempt++) {
    const name = placed.metadata.name || (base ? generateName(base, registry.random) : '');
    try {
      return await createNamed(registry, context, kind, namespace, placed, name, options);
    } catch (error) {
      if (error instanceof ConflictError) {
        // What admission wanted to write with it has changed meanwhile; it has to look again, at what is there now.
        await registry.store.latest();
        attempt--;
        continue;
      }
      if (!(error instanceof StatusError) || error.reason !== 'AlreadyExists' || !base) throw error;
      if (attempt < generateAttempts) continue;
      throw new StatusError({
        ...error.status,
        message: `${error.message}, the server was not able to generate a unique name for the object`,
        details: { ...error.status.details, retryAfterSeconds: 1 },
      });
    }
  }
}

async function createNamed(
  registry: Registry,
  context: RequestContext,
  kind: ServedKind,
  namespace: string,
  given: KubeObject,
  name: string,
  options: CreateOptions,
): Promise<KubeObject> {
  const { strategy } = kind;
  const now = registry.clock.now();
  const target: Target = { kind, namespace, name, subresource: '' };
  const dryRun = options.dryRun ?? false;
  const key = storeKey(kind, namespace, name);

  let object = metadataForCreate(kind, typed(kind, given), name, now, registry.random);
  object = strategy.default?.(object) ?? object;
  // What admission and the kind add is nobody's, so that no applier takes it away again.
  if (!options.applied)
    object = trackUpdate(kind, undefined, object, {
      manager: options.fieldManager || context.fieldManager,
      now,
      subresource: '',
    });
  object = await mutate(registry, context, target, { operation: 'CREATE', object, dryRun, options });
  object = strategy.prepareForCreate?.(object, { now, user: context.user }) ?? object;
  object = strategy.default?.(object) ?? object;

  const reservation: Reservation | undefined = strategy.reserve?.(object);
  let stored = false;
  try {
    object = reservation?.object ?? object;
    const causes = [...validateMetadata(kind, object), ...(strategy.validate?.(object) ?? [])];
    if (causes.length > 0) throw invalid(kind, name || (given.metadata.generateName ?? ''), causes);
    for (const warning of strategy.warnings?.(object) ?? []) context.warn(warning);
    if (registry.store.pending(key)) throw alreadyExists(resourceName(kind), name);
    const together = await validate(registry, context, target, { operation: 'CREATE', object, dryRun, options });
    if (dryRun) return object;
    await kind.storage.prepare?.([object], 'storage');
    const commit = await registry.store.commit([
      { type: 'put', key, object: kind.storage.toStorage(object), expect: 0 },
      ...together,
      ...(reservation?.together ?? []),
    ]);
    stored = true;
    const written = commit.entries[0]!.object;
    await kind.storage.prepare?.([written], 'served');
    return kind.storage.fromStorage(written);
  } catch (error) {
    if (error instanceof ConflictError && sameKey(error.key, key)) throw alreadyExists(resourceName(kind), name);
    throw error;
  } finally {
    reservation?.finish(stored);
  }
}

const sameKey = (a: StoreKey, b: StoreKey): boolean =>
  a.resource === b.resource && a.namespace === b.namespace && a.name === b.name;

/** The object in the path's namespace; a different one in the body is an error. */
export function placeInNamespace(kind: ServedKind, namespace: string, object: KubeObject): KubeObject {
  const own = object.metadata.namespace;
  if (!kind.namespaced) {
    if (!own) return object;
    const { namespace: _, ...metadata } = object.metadata;
    return { ...object, metadata };
  }
  if (own && own !== namespace)
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
  return own ? object : withMetadata(object, { namespace });
}

/** The object with its type first, as it is printed and stored. */
export function typed(kind: ServedKind, object: KubeObject): KubeObject {
  const apiVersion = apiVersionOf(kind);
  const [first, second] = Object.keys(object);
  const inOrder = first === 'apiVersion' && second === 'kind';
  if (inOrder && object.apiVersion === apiVersion && object.kind === kind.kind) return object;
  const { apiVersion: _, kind: __, ...rest } = object;
  return { apiVersion, kind: kind.kind, ...rest };
}
