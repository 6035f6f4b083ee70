import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Informers } from '@trimtab/client';
import { EndpointSlices, Services } from '@trimtab/machinery';
import { parseConflist } from './cni/conflist.js';
import { ExecPlugin } from './cni/exec-plugin.js';
import { HostPorts } from './cni/host-ports.js';
import { CniPodNetwork } from './cni/pod-network.js';
import { declarePodsTable } from './cni/pods-layout.js';
import { CNI_VERSION, type NetworkConfigList } from './cni/types.js';
import { macOf, VETH_PLUGIN_TYPE, VethPlugin } from './cni/veth-plugin.js';
import { parseIPv4 } from './ipam/address.js';
import { HostLocal } from './ipam/host-local.js';
import { gatewayOf } from './ipam/pool.js';
import type { AddressInfo, LinkInfo, NetworkKernel } from './kernel.js';
import { type NetworkOptions, namesOf, networksOf } from './options.js';
import { ServiceProxy } from './services/proxy.js';

const DEFAULT_LIST: NetworkConfigList = {
  cniVersion: CNI_VERSION,
  name: 'trimtab',
  disableCheck: false,
  disableGC: false,
  plugins: [{ type: VETH_PLUGIN_TYPE, capabilities: { portMappings: true } }],
};

export type DataplaneOptions = Omit<
  NetworkOptions,
  'client' | 'informers' | 'upstreams' | 'clusterDomain' | 'dnsPort' | 'random'
>;

export interface Dataplane {
  readonly network: CniPodNetwork;
  readonly proxy: ServiceProxy;
  readonly gateway: string;
  readonly nodeIP: string;
}

/**
 * What of the network lives in the kernel: gateway, routes, masquerading, host ports; then `proxy.start()` adds Services.
 * Resolves when pods can be attached.
 */
export async function startDataplane(options: DataplaneOptions, informers: Informers): Promise<Dataplane> {
  const { kernel, clock, logger, stateDir } = options;
  const names = namesOf(options);
  const { pods: podNetwork, cluster: clusterNetwork, services: serviceNetwork } = networksOf(options);
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

  const proxy = new ServiceProxy({
    kernel,
    services: informers.get(Services),
    slices: informers.get(EndpointSlices),
    clock,
    logger,
    layout: { table: names.services, clusterNetwork, serviceNetwork },
    node: { nodeName: options.nodeName, localIPs: [options.dnsIP] },
  });
  return { network, proxy, gateway, nodeIP: await findNodeIP(options, gateway) };
}

/** Takes away what {@link startNetwork} made in the kernel: for `trimtab down`, when no pod runs any more. */
export async function removeNetwork(
  options: { readonly kernel: NetworkKernel } & Pick<NetworkOptions, 'prefix' | 'stateDir' | 'podCidr'>,
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

/** The given address, else the one the machine's default route leaves from, else the pods' gateway. */
async function findNodeIP(options: DataplaneOptions, gateway: string): Promise<string> {
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
