import { type Client, interpose, perform } from '@trimtab/client';
import type { KubeObject, ResourceType } from '@trimtab/machinery';

/** A resource of a cluster other than the controller's own. The cluster is part of what is addressed, cached and written. */
export type ClusteredType<T extends KubeObject = KubeObject> = ResourceType<T> & { readonly cluster: string };

/** The same kind, in the cluster of this name. */
export const inCluster = <T extends KubeObject>(cluster: string, type: ResourceType<T>): ClusteredType<T> => ({
  ...type,
  cluster,
});

/**
 * One client for several clusters: what is addressed by {@link inCluster} goes to that cluster, everything else to `home`.
 *
 * @throws Error, from the call, for a cluster nobody has named.
 */
export function clustersClient(home: Client, others: Readonly<Record<string, Client>>): Client {
  const clientFor = (type: ResourceType): Client => {
    const { cluster } = type as Partial<ClusteredType>;
    if (cluster === undefined) return home;
    const client = others[cluster];
    if (!client) throw new Error(`no cluster "${cluster}"; known are ${Object.keys(others).join(', ') || 'none'}`);
    return client;
  };
  return interpose(
    home,
    async (call, next) => {
      const client = 'type' in call ? clientFor(call.type) : home;
      return client === home ? next(call) : perform(client, call);
    },
    (type, options) => clientFor(type as unknown as ResourceType).watch(type, options),
  );
}
