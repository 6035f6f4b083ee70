import type { Informer, Registration } from '@trimtab/client';
import type { KubeObject } from '@trimtab/machinery';

/** Asks `done` now and at every change of these caches until it says yes, or the signal aborts. */
export function watchUntil(
  informers: readonly Pick<Informer<KubeObject>, 'addHandler'>[],
  done: () => boolean,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const registrations: Registration[] = [];
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
