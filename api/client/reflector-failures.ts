import type { StatusError } from '@trimtab/machinery';

/** What a failed list or watch means for where to go on. */
export type Failure =
  /** Expired, or the revision asked for is in the server's future: ask for the most recent state instead. */
  | { readonly kind: 'revisionGone' }
  /** Refused, cut or throttled: the position is still good. */
  | { readonly kind: 'busy'; readonly retryAfterMs?: number }
  /** The server does not know this way of asking. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'other' };

export function judgeListFailure(error: StatusError): Failure {
  if (isExpired(error) || isTooLargeRevision(error)) return { kind: 'revisionGone' };
  return busy(error) ?? { kind: 'other' };
}

export function judgeWatchFailure(error: StatusError): Failure {
  if (isExpired(error) || isTooLargeRevision(error)) return { kind: 'revisionGone' };
  if ([400, 405, 415, 422].includes(error.code)) return { kind: 'unsupported' };
  return busy(error) ?? { kind: 'other' };
}

const isExpired = (error: StatusError): boolean =>
  error.code === 410 || error.reason === 'Expired' || error.reason === 'Gone';

/** Old servers do not send the cause, only the text. */
const isTooLargeRevision = (error: StatusError): boolean =>
  error.reason === 'Timeout' &&
  (error.status.details?.causes?.some((c) => c.reason === 'ResourceVersionTooLarge') === true ||
    error.message.includes('Too large resource version'));

function busy(error: StatusError): Failure | undefined {
  if (error.code !== 429 && error.code !== 503) return undefined;
  const seconds = error.status.details?.retryAfterSeconds;
  return { kind: 'busy', ...(seconds === undefined ? {} : { retryAfterMs: seconds * 1000 }) };
}
