import { Informers } from '@trimtab/client';
import { EndpointSlices, Services, systemRandom } from '@trimtab/machinery';
import type { PodNetwork } from './cni/pod-network.js';
import { startDataplane } from './dataplane.js';
import { DnsServer } from './dns/server.js';
import { informerView } from './dns/view.js';
import { contains, parseIPv4 } from './ipam/address.js';
import { type NetworkOptions, networksOf } from './options.js';

export interface Network {
  readonly network: PodNetwork;
  /** Where pods and Services reach this node, and so the API server on it. */
  readonly nodeIP: string;
  /** The pods' gateway: an address of the node that exists as long as the network does. */
  readonly gateway: string;
  /** Resolves when every known change of a Service has reached the kernel. */
  whenIdle(): Promise<void>;
  /** Ends DNS and the watching; pods stay connected and Services keep working as they are. */
  stop(): Promise<void>;
}

/**
 * Brings up the pod network: gateway, routing, masquerading, Services, cluster DNS. Resolves when pods can be attached, every
 * Service of the first list is in the kernel and DNS answers. Starting again over what an earlier process left is how a
 * restart looks: pods stay connected.
 */
export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const { clock, logger, client } = options;
  const random = options.random ?? systemRandom;
  const networks = networksOf(options);
  const informers = options.informers ?? new Informers({ client, clock, random, logger });
  const { network, proxy, gateway, nodeIP } = await startDataplane(options, informers);
  const dns = new DnsServer({
    view: informerView(informers.get(Services), informers.get(EndpointSlices)),
    zone: {
      domain: options.clusterDomain.toLowerCase(),
      serial: Math.floor(clock.now() / 1000) >>> 0,
      ownsAddress: (ip) => {
        const value = parseIPv4(ip);
        return value !== undefined && (contains(networks.services, value) || contains(networks.cluster, value));
      },
    },
    address: options.dnsIP,
    port: options.dnsPort ?? 53,
    upstreams: options.upstreams,
    clock,
    random,
    logger,
  });
  if (!options.informers) informers.start();
  const stop = async (): Promise<void> => {
    await Promise.allSettled([dns.stop(), proxy.stop()]);
    if (!options.informers) informers.stop();
  };
  try {
    await Promise.all([dns.start(), proxy.start()]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { network, nodeIP, gateway, whenIdle: () => proxy.whenIdle(), stop };
}
