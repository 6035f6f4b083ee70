/** Anything that tells of changes, as an informer does. */
export interface Changing {
  addHandler(handler: () => void): { remove(): void };
}

/** Asks `done` now and at every change of these caches until it says yes, or the signal aborts. */
export function watchUntil(informers: readonly Changing[], done: () => boolean, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const registrations: { remove(): void }[] = [];
    let finished = false;
    const finish = () => {
      finished = true;
      signal?.removeEventListener('abort', finish);
      for (const registration of registrations.splice(0)) registration.remove();
      resolve();
    };
    const look = () => {
      if (!finished && done()) finish();
    };
    signal?.addEventListener('abort', finish);
    look();
    // Handlers may be called while they are being added.
    for (const informer of informers) if (!finished) registrations.push(informer.addHandler(look));
    if (finished) for (const registration of registrations) registration.remove();
  });
}
