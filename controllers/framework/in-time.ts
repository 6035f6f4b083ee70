import type { Clock } from '@trimtab/machinery';

export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/**
 * Runs something that must have ended after `timeoutMs`: what takes longer has failed, and its signal tells it to begin nothing
 * more. The signal also follows `outer`. Without a limit it is `outer` alone.
 *
 * @throws TimeoutError when it is late.
 */
export async function inTime<R>(
  timeoutMs: number | undefined,
  clock: Clock,
  outer: AbortSignal,
  run: (signal: AbortSignal) => Promise<R>,
): Promise<R> {
  if (timeoutMs === undefined) return run(outer);
  const abort = new AbortController();
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(timeoutMs, () => {
      const error = new TimeoutError(`not done within ${timeoutMs} ms`);
      abort.abort(error);
      reject(error);
    });
  });
  try {
    return await Promise.race([run(AbortSignal.any([abort.signal, outer])), late]);
  } finally {
    cancel();
  }
}
