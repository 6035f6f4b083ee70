import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import { interpose } from './calls.js';
import type { Client, DeleteOptions } from './client.js';
import type { Informers } from './informers.js';

/**
 * The same client, whose successful writes are at once visible in `informers`: read-your-own-writes without asking for it.
 * Dry runs and writes to subresources that answer another kind are not recorded.
 */
export function recordingClient(client: Client, informers: Informers): Client {
  return interpose(client, async (call, next) => {
    const answer = await next(call);
    if (call.verb === 'delete' && !call.options.dryRun)
      recordDeletion(informers, call.type, call.key, answer, call.options);
    if (call.verb === 'create' || call.verb === 'update' || call.verb === 'patch')
      if (!call.options.dryRun && isObjectOf(call.type, answer as KubeObject))
        informers.recordWrite(call.type, answer as KubeObject);
    return answer;
  });
}

interface DeletionAnswer {
  readonly kind?: string;
  readonly metadata?: KubeObject['metadata'];
  readonly details?: { readonly uid?: string };
}

/** A deletion that still waits (finalizers, grace) is an update; a finished one answers a Status or the last object. */
function recordDeletion(
  informers: Informers,
  type: ResourceType,
  key: ObjectKey,
  answer: unknown,
  options: DeleteOptions,
): void {
  const { kind, metadata, details } = (answer ?? {}) as DeletionAnswer;
  if (kind === 'Status' || !metadata?.uid) {
    const uid = details?.uid ?? options.preconditions?.uid;
    if (uid) informers.recordDelete(type, key, uid);
    return;
  }
  const waits = (metadata.finalizers?.length ?? 0) > 0 || (metadata.deletionGracePeriodSeconds ?? 0) > 0;
  if (waits && metadata.deletionTimestamp) informers.recordWrite(type, answer as KubeObject);
  else informers.recordDelete(type, key, metadata.uid);
}

const isObjectOf = (type: ResourceType, answer: KubeObject): boolean =>
  answer.kind === undefined || answer.kind === type.kind;
