import { auditCache, type Client, type Informers } from '@trimtab/client';
import type { Clock, Logger } from '@trimtab/machinery';

export interface AuditParts {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: { audited(resource: string, objects: number): void };
}

/** Holds every cache against the server this often; what is wrong is an error in the log and a figure. Returns how to stop. */
export function audits(everyMs: number, { client, informers, clock, logger, metrics }: AuditParts): () => void {
  const once = async () => {
    for (const informer of informers.all()) {
      const { resource } = informer.type;
      try {
        const { behind, ...wrong } = await auditCache(informer, { client, clock });
        const objects = wrong.missed.length + wrong.stale.length + wrong.lingering.length;
        metrics.audited(resource, objects);
        if (behind) logger.error({ resource }, 'audit: the cache does not follow the server');
        else if (objects > 0) logger.error({ resource, ...wrong }, 'audit: the cache is not what the server has');
      } catch (error) {
        logger.warn({ resource, error: String(error) }, 'audit: could not ask');
      }
    }
  };
  let stopped = false;
  let cancel = () => {};
  const next = () => {
    if (!stopped) cancel = clock.after(everyMs, () => void once().then(next));
  };
  next();
  return () => {
    stopped = true;
    cancel();
  };
}
