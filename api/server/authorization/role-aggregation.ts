import type { Client } from '@trimtab/client';
import { type Clock, isReason, type Logger, type ResourceType } from '@trimtab/machinery';
import type { RbacIndex } from './rbac-index.js';
import { rbacGroup } from './rbac-types.js';
import type { ObjectChange } from './store-feed.js';

export interface RoleAggregationOptions {
  readonly index: RbacIndex;
  /** Tells of every change of ClusterRoles, after the index has heard of it. */
  readonly follow: (apply: (change: ObjectChange) => void) => () => void;
  /** Acts as a member of `system:masters`. */
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
}

const clusterRoles: ResourceType = {
  group: rbacGroup,
  version: 'v1',
  kind: 'ClusterRole',
  resource: 'clusterroles',
  namespaced: false,
};
/** Roles come in flocks, when a chart is installed. */
const gatherMs = 50;

/**
 * Writes the rules of aggregated ClusterRoles down wherever they are not what their selectors come to, for people to read;
 * authorization does not wait for it. Gives the function that ends it.
 */
export function keepAggregatedRoles({ index, follow, client, clock, logger }: RoleAggregationOptions): () => void {
  let cancel: (() => void) | undefined;
  let running = false;
  const soon = () => {
    cancel ??= clock.after(gatherMs, () => {
      cancel = undefined;
      if (running) soon();
      else run().catch((error: unknown) => logger.error({ err: error }, 'roles could not be aggregated'));
    });
  };
  const run = async () => {
    running = true;
    try {
      for (const { role, rules } of index.staleAggregates())
        await client.update(clusterRoles, { ...role, rules } as typeof role).catch((error: unknown) => {
          if (isReason(error, 'Conflict', 'NotFound')) return;
          logger.warn(
            { err: error, role: role.metadata.name },
            'the rules of an aggregated ClusterRole could not be written',
          );
        });
    } finally {
      running = false;
    }
  };
  const stop = follow(soon);
  soon();
  return () => {
    stop();
    cancel?.();
  };
}
