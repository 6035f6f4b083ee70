import type { ListOptions, WatchOptions } from '@trimtab/client';
import { type Clock, expired, invalid, type StatusCause, StatusError, sleep } from '@trimtab/machinery';
import { CompactedError, type Snapshot, type Store } from '@trimtab/store';

/** How long a read waits for a revision that is not there yet. */
const futureWait = 3000;

/** Parses a client's resourceVersion; `undefined` for absent. Anything but a decimal is refused. */
export function parseResourceVersion(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new StatusError({
      code: 400,
      reason: 'BadRequest',
      message: `Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`,
    });
  return value;
}

/** Refuses combinations of options Kubernetes refuses (apimachinery: ListOptions validation). */
export function validateListOptions(options: ListOptions & WatchOptions, isWatch: boolean): void {
  const causes: StatusCause[] = [];
  const match = options.resourceVersionMatch;
  const forbid = (field: string, message: string) =>
    causes.push({ reason: 'FieldValueForbidden', field, message: `Forbidden: ${message}` });
  if (isWatch && options.sendInitialEvents !== undefined) {
    if (match === undefined)
      forbid('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
    else if (match !== 'NotOlderThan')
      causes.push({
        reason: 'FieldValueNotSupported',
        field: 'resourceVersionMatch',
        message: `Unsupported value: "${match}": supported values: "NotOlderThan"`,
      });
  } else if (isWatch) {
    if (match !== undefined)
      forbid(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      );
  } else {
    if (options.sendInitialEvents !== undefined) forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
    if (match !== undefined) {
      if (match !== 'Exact' && match !== 'NotOlderThan')
        causes.push({
          reason: 'FieldValueNotSupported',
          field: 'resourceVersionMatch',
          message: `Unsupported value: "${match}": supported values: "Exact", "NotOlderThan"`,
        });
      if (options.continue)
        forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided');
      if (!options.resourceVersion)
        forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
      if (match === 'Exact' && options.resourceVersion === '0')
        forbid('resourceVersionMatch', 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"');
    }
  }
  if (causes.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', causes);
}

/** Resolves once the store has reached `revision`; 504 with cause ResourceVersionTooLarge when it does not in time. */
export async function waitForRevision(store: Store, clock: Clock, revision: number): Promise<void> {
  const end = clock.now() + futureWait;
  while (store.revision < revision) {
    if (clock.now() >= end) {
      const message = `Too large resource version: ${revision}, current: ${store.revision}`;
      throw new StatusError({
        code: 504,
        reason: 'Timeout',
        message,
        details: {
          causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
          retryAfterSeconds: 1,
        },
      });
    }
    await sleep(clock, 20);
  }
}

/** The state as of exactly `revision`; 410 when it is gone. */
export function exactSnapshot(store: Store, revision: number): Snapshot {
  try {
    return store.snapshot(revision);
  } catch (error) {
    if (error instanceof CompactedError) throw tooOld(error);
    throw error;
  }
}

export function tooOld(error: CompactedError, continueToken?: string): StatusError {
  return expired(`too old resource version: ${error.revision} (${error.compacted})`, continueToken);
}
