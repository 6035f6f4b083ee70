import { createHash } from 'node:crypto';
import type { Client, Informers } from '@trimtab/client';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import { contains, type Network as IpNetwork, parseIPv4, parseNetwork } from './ipam/address.js';
import type { NetworkKernel } from './kernel.js';

export interface NetworkOptions {
  readonly client: Client;
  readonly kernel: NetworkKernel;
  readonly clock: Clock;
  readonly logger: Logger;
  /** This node's pods, IPv4, at least 8 addresses: `10.244.0.0/24`. */
  readonly podCidr: string;
  /** All nodes' pods; default `podCidr`. Traffic from pods to anywhere else is masqueraded. */
  readonly clusterCidr?: string;
  readonly serviceCidr: string;
  readonly clusterDomain: string;
  /** An address of `serviceCidr`; the node answers DNS on it itself. */
  readonly dnsIP: string;
  readonly nodeName: string;
  /** The node's addresses, first choice first; empty: found on the machine, or the pods' gateway when it has none. */
  readonly nodeIPs: readonly string[];
  /** The plugin's files; one network a directory. */
  readonly stateDir: string;
  /** DNS servers for names outside the cluster; empty: such names fail at once and nothing leaves the machine. */
  readonly upstreams: readonly string[];
  readonly random?: Random;
  /** Shared caches; default the network's own. */
  readonly informers?: Informers;
  /** Names interfaces and tables, two to six letters or digits; default derived from `stateDir`. */
  readonly prefix?: string;
  readonly mtu?: number;
  /** `bridge`: pods are ports of one bridge; default each pod is routed. */
  readonly attachment?: 'routed' | 'bridge';
  /** A CNI configuration list to use instead of our own plugin, and where its plugins are. */
  readonly conflist?: { readonly file: string; readonly path: readonly string[] };
  /** Default 53. */
  readonly dnsPort?: number;
}

export interface Names {
  readonly prefix: string;
  readonly bridge: string;
  readonly pods: string;
  readonly services: string;
}

/** The names one cluster uses in a network namespace. */
export function namesOf(options: Pick<NetworkOptions, 'prefix' | 'stateDir'>): Names {
  const prefix = options.prefix ?? `t${createHash('sha256').update(options.stateDir).digest('hex').slice(0, 5)}`;
  if (!/^[a-z0-9]{2,6}$/.test(prefix))
    throw new Error(`network prefix "${prefix}": two to six letters or digits are needed`);
  return { prefix, bridge: `${prefix}-pods`, pods: `${prefix}-pods`, services: `${prefix}-services` };
}

export interface Networks {
  readonly pods: IpNetwork;
  readonly cluster: IpNetwork;
  readonly services: IpNetwork;
}

/** Throws, naming the option, on networks that cannot work. */
export function networksOf(
  options: Pick<NetworkOptions, 'podCidr' | 'clusterCidr' | 'serviceCidr' | 'dnsIP'>,
): Networks {
  const pods = parseNetwork(options.podCidr);
  const cluster = parseNetwork(options.clusterCidr ?? options.podCidr);
  const services = parseNetwork(options.serviceCidr);
  if (pods.size < 8) throw new Error(`pod network ${options.podCidr} is too small: /29 is the least`);
  if (!contains(cluster, pods.base))
    throw new Error(`pod network ${options.podCidr} is not in the cluster's ${options.clusterCidr}`);
  if (contains(cluster, services.base) || contains(services, cluster.base))
    throw new Error(`pod network ${options.podCidr} and service network ${options.serviceCidr} overlap`);
  const dns = parseIPv4(options.dnsIP);
  if (dns === undefined || !contains(services, dns))
    throw new Error(`cluster DNS address ${options.dnsIP} is not in the service network ${options.serviceCidr}`);
  return { pods, cluster, services };
}
