import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import type { Client, DeleteOptions, PatchOptions, WriteOptions } from './client.js';
import type { Informers } from './informers.js';

/**
 * The same client, whose successful writes are at once visible in `informers`: read-your-own-writes without asking for it.
 * Dry runs and writes to subresources that answer another kind are not recorded.
 */
export function recordingClient(client: Client, informers: Informers): Client {
  const record = <T extends KubeObject>(type: ResourceType<T>, answer: T, options?: WriteOptions): T => {
    if (!options?.dryRun && isObjectOf(type, answer)) informers.recordWrite(type, answer);
    return answer;
  };
  return {
    get: (type, key, options) => client.get(type, key, options),
    list: (type, options) => client.list(type, options),
    watch: (type, options) => client.watch(type, options),
    raw: (path) => client.raw(path),
    deleteCollection: (type, options) => client.deleteCollection(type, options),
    subresource: (type, key, subresource, verb, body, options) =>
      client.subresource(type, key, subresource, verb, body, options),
    create: async (type, object, options) => record(type, await client.create(type, object, options), options),
    update: async (type, object, options) => record(type, await client.update(type, object, options), options),
    patch: async <T extends KubeObject>(
      type: ResourceType<T>,
      key: ObjectKey,
      patch: Parameters<Client['patch']>[2],
      options?: PatchOptions,
    ) => record(type, await client.patch(type, key, patch, options), options),
    delete: async (type, key, options) => {
      const answer = await client.delete(type, key, options);
      if (!options?.dryRun) recordDeletion(informers, type, key, answer, options);
      return answer;
    },
  };
}

interface DeletionAnswer {
  readonly kind?: string;
  readonly metadata?: KubeObject['metadata'];
  readonly details?: { readonly uid?: string };
}

/** A deletion that still waits (finalizers, grace) is an update; a finished one answers a Status or the last object. */
function recordDeletion<T extends KubeObject>(
  informers: Informers,
  type: ResourceType<T>,
  key: ObjectKey,
  answer: unknown,
  options: DeleteOptions | undefined,
): void {
  const { kind, metadata, details } = (answer ?? {}) as DeletionAnswer;
  if (kind === 'Status' || !metadata?.uid) {
    const uid = details?.uid ?? options?.preconditions?.uid;
    if (uid) informers.recordDelete(type, key, uid);
    return;
  }
  const waits = (metadata.finalizers?.length ?? 0) > 0 || (metadata.deletionGracePeriodSeconds ?? 0) > 0;
  if (waits && metadata.deletionTimestamp) informers.recordWrite(type, answer as T);
  else informers.recordDelete(type, key, metadata.uid);
}

const isObjectOf = (type: ResourceType, answer: KubeObject): boolean =>
  answer.kind === undefined || answer.kind === type.kind;
