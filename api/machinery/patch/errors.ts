import { StatusError } from '../status.js';

/**
 * 422 for a patch that is well formed and cannot be applied, as the API server answers it: a fixed message, the reason why as
 * a cause.
 */
export function unprocessablePatch(why: string): StatusError {
  return new StatusError({
    code: 422,
    reason: 'Invalid',
    message: 'the server rejected our request due to an error in our request',
    details: { causes: [{ reason: 'UnexpectedServerResponse', message: why }] },
  });
}
