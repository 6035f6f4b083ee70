import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, Informers } from '@trimtab/client';
import { type Clock, EndpointSlices, type Logger, type Random, Services, systemRandom } from '@trimtab/machinery';
import { parseConflist } from './cni/conflist.js';
import { ExecPlugin } from './cni/exec-plugin.js';
import { HostPorts } from './cni/host-ports.js';
import { CniPodNetwork, type PodNetwork } from './cni/pod-network.js';
import { declarePodsTable } from './cni/pods-layout.js';
import { CNI_VERSION, type NetworkConfigList } from './cni/types.js';
import { macOf, VETH_PLUGIN_TYPE, VethPlugin } from './cni/veth-plugin.js';
import { DnsServer } from './dns/server.js';
import { informerView } from './dns/view.js';
import { contains, type Network as IpNetwork, parseIPv4, parseNetwork } from './ipam/address.js';
import { HostLocal } from './ipam/host-local.js';
import { gatewayOf } from './ipam/pool.js';
import type { AddressInfo, LinkInfo, NetworkKernel } from './kernel.js';
import { ServiceProxy } from './services/proxy.js';

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

/** The names one cluster uses in a network namespace. */
function namesOf(options: Pick<NetworkOptions, 'prefix' | 'stateDir'>): {
  readonly prefix: string;
  readonly bridge: string;
  readonly pods: string;
  readonly services: string;
} {
  const prefix = options.prefix ?? `t${createHash('sha256').update(options.stateDir).digest('hex').slice(0, 5)}`;
  if (!/^[a-z0-9]{2,6}$/.test(prefix))
    throw new Error(`network prefix "${prefix}": two to six letters or digits are needed`);
  return { prefix, bridge: `${prefix}-pods`, pods: `${prefix}-pods`, services: `${prefix}-services` };
}

/**
 * Brings up the pod network: gateway, routing, masquerading, Services, cluster DNS. Resolves when pods can be attached, every
 * Service of the first list is in the kernel and DNS answers. Starting again over what an earlier process left is how a
 * restart looks: pods stay connected.
 */
export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const { kernel, clock, logger, client, stateDir } = options;
  const random = options.random ?? systemRandom;
  const names = namesOf(options);
  const podNetwork = parseNetwork(options.podCidr);
  const clusterNetwork = parseNetwork(options.clusterCidr ?? options.podCidr);
  const serviceNetwork = parseNetwork(options.serviceCidr);
  checkNetworks(options, podNetwork, serviceNetwork);
  const gateway = gatewayOf(podNetwork);
  const gatewayMac = macOf(gateway);
  const bridged = options.attachment === 'bridge';

  await kernel.request('nft.apply', {
    ops: declarePodsTable({ table: names.pods, podNetwork, clusterNetwork }),
  });
  await kernel.request('net.bridge', {
    name: names.bridge,
    mac: gatewayMac,
    addresses: [`${gateway}/32`, `${options.dnsIP}/32`],
    ...(options.mtu ? { mtu: options.mtu } : {}),
  });
  await kernel.request('net.sysctl', { settings: { 'ipv4/ip_forward': '1', 'ipv4/conf/all/route_localnet': '1' } });
  // Pods that are not there answer "unreachable" at once instead of following the default route off the machine.
  await kernel.request(
    'net.route',
    bridged
      ? { to: options.podCidr, interface: names.bridge, source: gateway }
      : { to: options.podCidr, unreachable: true },
  );
  // The node's own connections need some route to a cluster IP before they can be translated.
  await kernel.request('net.route', { to: options.serviceCidr, interface: names.bridge, source: gateway });

  const ipam = await HostLocal.open(join(stateDir, 'addresses.json'), podNetwork, clock);
  const hostPorts = new HostPorts(kernel, names.pods);
  await hostPorts.load();
  const own = new VethPlugin({
    kernel,
    ipam,
    hostPorts,
    prefix: names.prefix,
    gateway,
    gatewayMac,
    ...(options.mtu ? { mtu: options.mtu } : {}),
    ...(bridged ? { bridge: names.bridge } : {}),
  });
  const list = options.conflist ? parseConflist(await readFile(options.conflist.file, 'utf8')) : DEFAULT_LIST;
  const network = new CniPodNetwork(
    list,
    (type) => (type === VETH_PLUGIN_TYPE ? own : new ExecPlugin(kernel, type, options.conflist?.path ?? [])),
    join(stateDir, 'cni-results'),
  );

  const informers = options.informers ?? new Informers({ client, clock, random, logger });
  const services = informers.get(Services);
  const slices = informers.get(EndpointSlices);
  const proxy = new ServiceProxy({
    kernel,
    services,
    slices,
    clock,
    logger,
    layout: { table: names.services, clusterNetwork },
    node: { nodeName: options.nodeName, localIPs: [options.dnsIP] },
  });
  const dns = new DnsServer({
    view: informerView(services, slices),
    zone: {
      domain: options.clusterDomain.toLowerCase(),
      serial: Math.floor(clock.now() / 1000) >>> 0,
      ownsAddress: (ip) => {
        const value = parseIPv4(ip);
        return value !== undefined && (contains(serviceNetwork, value) || contains(clusterNetwork, value));
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
  const nodeIP = await findNodeIP(options, gateway);
  try {
    await Promise.all([dns.start(), proxy.start()]);
  } catch (error) {
    await Promise.allSettled([dns.stop(), proxy.stop()]);
    if (!options.informers) informers.stop();
    throw error;
  }
  return {
    network,
    nodeIP,
    gateway,
    whenIdle: () => proxy.whenIdle(),
    stop: async () => {
      await Promise.all([dns.stop(), proxy.stop()]);
      if (!options.informers) informers.stop();
    },
  };
}

/** Takes away what {@link startNetwork} made in the kernel: for `trimtab down`, when no pod runs any more. */
export async function removeNetwork(
  options: Pick<NetworkOptions, 'kernel' | 'prefix' | 'stateDir' | 'podCidr'>,
): Promise<void> {
  const names = namesOf(options);
  await options.kernel.request('nft.apply', {
    ops: [
      { op: 'delete-table', table: names.services },
      { op: 'delete-table', table: names.pods },
    ],
  });
  const { links } = await options.kernel.request<{ readonly links: readonly LinkInfo[] }>('net.list', {});
  for (const link of links)
    if (link.name === names.bridge || (link.kind === 'veth' && link.name.startsWith(names.prefix)))
      await options.kernel.request('net.deleteLink', { name: link.name });
  await options.kernel.request('net.route', { to: options.podCidr, remove: true });
}

const DEFAULT_LIST: NetworkConfigList = {
  cniVersion: CNI_VERSION,
  name: 'trimtab',
  disableCheck: false,
  disableGC: false,
  plugins: [{ type: VETH_PLUGIN_TYPE, capabilities: { portMappings: true } }],
};

function checkNetworks(options: NetworkOptions, pods: IpNetwork, services: IpNetwork): void {
  if (pods.size < 8) throw new Error(`pod network ${options.podCidr} is too small: /29 is the least`);
  if (contains(pods, services.base) || contains(services, pods.base))
    throw new Error(`pod network ${options.podCidr} and service network ${options.serviceCidr} overlap`);
  const dns = parseIPv4(options.dnsIP);
  if (dns === undefined || !contains(services, dns))
    throw new Error(`cluster DNS address ${options.dnsIP} is not in the service network ${options.serviceCidr}`);
}

/** The given address, else the one the machine's default route leaves from, else the pods' gateway. */
async function findNodeIP(options: NetworkOptions, gateway: string): Promise<string> {
  const given = options.nodeIPs.find((ip) => parseIPv4(ip) !== undefined && !ip.startsWith('127.'));
  if (given) return given;
  const route = await options.kernel.request<{ readonly index?: number; readonly source?: string }>(
    'net.defaultRoute',
    {},
  );
  if (route.source) return route.source;
  if (route.index === undefined) return gateway;
  const { addresses } = await options.kernel.request<{ readonly addresses: readonly AddressInfo[] }>(
    'net.addresses',
    {},
  );
  const found = addresses.find(
    (a) => a.index === route.index && a.scope === 'global' && parseIPv4(a.address) !== undefined,
  );
  return found?.address ?? gateway;
}
