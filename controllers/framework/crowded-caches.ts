import type { Informers } from '@trimtab/client';
import type { Logger } from '@trimtab/machinery';

/** Kinds of which clusters hold thousands that are none of a controller's business. */
const CROWDS = new Set(['secrets', 'configmaps']);
/** Objects of one such kind in one cache; more are tens of megabytes. */
export const MOST_UNSCOPED = 1_000;

/** Says, for every cache of all Secrets or ConfigMaps of a cluster that holds many, what it costs and how to have less. */
export async function warnOfCrowds(informers: Informers, logger: Logger): Promise<void> {
  await Promise.all(
    informers.all().map(async (informer) => {
      const { type } = informer;
      if (type.group !== '' || !CROWDS.has(type.resource)) return;
      // As long as metadata is all that is read of them, it is all that is kept.
      await informer.whenWhole();
      if (Object.keys(informer.scope).length > 0) return;
      const { objects } = informer.stats;
      if (objects > MOST_UNSCOPED)
        logger.warn(
          { resource: type.resource, objects },
          `all ${type.resource} of the cluster are cached; say which are needed: caching: [{ type, scope: { namespace, labelSelector, metadataOnly } }]`,
        );
    }),
  );
}
