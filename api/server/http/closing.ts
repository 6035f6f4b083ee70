const heard = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back when the signal is aborted, and gives the function that takes that back. A signal looks through all of its own
 * listeners whenever one comes or goes; here a thousand cost no more each than one.
 */
export function whenAborted(signal: AbortSignal, call: () => void): () => void {
  let calls = heard.get(signal);
  if (!calls) {
    const all = new Set<() => void>();
    signal.addEventListener(
      'abort',
      () => {
        for (const each of all) each();
      },
      { once: true },
    );
    heard.set(signal, all);
    calls = all;
  }
  const own = () => call();
  const all = calls.add(own);
  return () => all.delete(own);
}
