import { createHash } from 'node:crypto';
import { parseIPv4 } from '../ipam/address.js';
import type { HostLocal } from '../ipam/host-local.js';
import type { AddressInfo, AttachParams, LinkInfo, NetworkKernel } from '../kernel.js';
import type { HostPorts } from './host-ports.js';
import {
  CniError,
  type CniResult,
  type Invocation,
  type Plugin,
  type PluginInput,
  SUPPORTED_VERSIONS,
  type ValidAttachment,
} from './types.js';

export interface VethPluginOptions {
  readonly kernel: NetworkKernel;
  readonly ipam: HostLocal;
  readonly hostPorts: HostPorts;
  /** Two to six characters that no other cluster in this network namespace uses; host interfaces begin with it. */
  readonly prefix: string;
  readonly gateway: string;
  /** MAC of every host end: pods have their gateway's written down and never ask. */
  readonly gatewayMac: string;
  readonly mtu?: number;
  /** Attach to this bridge instead of routing each pod. */
  readonly bridge?: string;
}

/** The `type` the default configuration list names. */
export const VETH_PLUGIN_TYPE = 'trimtab';

/**
 * Our own CNI plugin, called in process: a veth pair, one address from the node's pod network, everything routed through the
 * node. ADD of an attached pod answers the address it has. DEL cuts the pod off at once; the pair itself goes with the pod's
 * namespace, because deleting it would hold up every other attachment for tens of milliseconds.
 */
export class VethPlugin implements Plugin {
  readonly #o: VethPluginOptions;

  constructor(options: VethPluginOptions) {
    this.#o = options;
  }

  async add(config: PluginInput, call: Invocation): Promise<CniResult> {
    if (!call.netns) throw new CniError(4, 'CNI_NETNS is missing');
    const owner = ownerOf(call.containerId, call.ifName);
    let ip: string;
    try {
      ip = await this.#o.ipam.allocate(owner);
    } catch (error) {
      throw new CniError(11, (error as Error).message);
    }
    const { gateway, gatewayMac, bridge, mtu } = this.#o;
    const mac = macOf(ip);
    const params: AttachParams = {
      netns: call.netns,
      hostName: this.hostName(call.containerId, call.ifName),
      podName: call.ifName,
      hostMac: gatewayMac,
      mac,
      addresses: [`${ip}/32`],
      gateway,
      gatewayMac,
      source: gateway,
      alias: owner,
      // Where the kernel filters bridged packets, a pod that reaches itself is answered through its own port.
      ...(bridge ? { bridge, hairpin: true } : {}),
      ...(mtu ? { mtu } : {}),
    };
    await this.#o.kernel.request('net.attach', params);
    await this.#o.hostPorts.open(config.runtimeConfig?.portMappings ?? [], ip);
    return {
      cniVersion: config.cniVersion,
      interfaces: [
        { name: params.hostName, mac: gatewayMac },
        { name: call.ifName, mac, sandbox: call.netns },
      ],
      ips: [{ address: `${ip}/32`, gateway, interface: 1 }],
      routes: [{ dst: '0.0.0.0/0', gw: gateway }],
    };
  }

  async del(_config: PluginInput, call: Invocation): Promise<void> {
    await this.#remove(ownerOf(call.containerId, call.ifName), false);
  }

  /** Compares the namespace with what ADD answered. */
  async check(config: PluginInput, call: Invocation): Promise<void> {
    const ip = this.#o.ipam.addressOf(ownerOf(call.containerId, call.ifName));
    if (!ip) throw new CniError(3, `no address is allocated to ${call.containerId}`);
    const promised = config.prevResult?.ips?.[0]?.address.split('/')[0];
    if (promised && promised !== ip)
      throw new CniError(100, `${call.containerId} has ${ip}, the result said ${promised}`);
    const { links } = await this.#o.kernel.request<{ readonly links: readonly LinkInfo[] }>('net.list', {
      netns: call.netns,
    });
    const link = links.find((l) => l.name === call.ifName);
    if (!link?.up) throw new CniError(100, `${call.ifName} is ${link ? 'down' : 'missing'} in ${call.netns}`);
    const { addresses } = await this.#o.kernel.request<{ readonly addresses: readonly AddressInfo[] }>(
      'net.addresses',
      {
        netns: call.netns,
      },
    );
    if (!addresses.some((a) => a.index === link.index && a.address === ip))
      throw new CniError(100, `${call.ifName} has lost its address ${ip}`);
    const ports = await this.#o.kernel.request<{ readonly links: readonly LinkInfo[] }>('net.list', {});
    if (!ports.links.some((l) => l.name === this.hostName(call.containerId, call.ifName)))
      throw new CniError(100, `the node's end of ${call.ifName} is missing`);
  }

  async status(): Promise<void> {
    try {
      await this.#o.kernel.request('net.defaultRoute', {});
    } catch (error) {
      throw new CniError(50, 'the native core does not answer', (error as Error).message);
    }
  }

  /** Frees addresses, host ports and interfaces of everything that is not in `valid`, whoever left them. */
  async gc(_config: PluginInput, valid: readonly ValidAttachment[]): Promise<void> {
    const living = new Set(valid.map((v) => ownerOf(v.containerID, v.ifname)));
    for (const owner of this.#o.ipam.owners()) if (!living.has(owner)) await this.#remove(owner, true);
    const { links } = await this.#o.kernel.request<{ readonly links: readonly LinkInfo[] }>('net.list', {});
    for (const link of links)
      if (link.kind === 'veth' && link.name.startsWith(this.#o.prefix) && link.alias && !living.has(link.alias))
        await this.#o.kernel.request('net.deleteLink', { name: link.name });
    for (const target of this.#o.hostPorts.targets()) {
      const ip = [0, 2, 4, 6].map((at) => Number.parseInt(target.slice(at, at + 2), 16)).join('.');
      if (!this.#o.ipam.isAllocated(ip)) await this.#o.hostPorts.close(ip);
    }
  }

  version(): Promise<readonly string[]> {
    return Promise.resolve(SUPPORTED_VERSIONS);
  }

  /** Stable, so that an attachment is found again after a restart; 15 characters at most. */
  hostName(containerId: string, ifName: string): string {
    const digest = createHash('sha256').update(ownerOf(containerId, ifName)).digest('hex');
    return `${this.#o.prefix}${digest.slice(0, 8)}`;
  }

  async #remove(owner: string, deleteLink: boolean): Promise<void> {
    const { kernel, ipam, hostPorts, bridge } = this.#o;
    const ip = ipam.addressOf(owner);
    const [containerId = '', ifName = ''] = owner.split('/');
    const hostName = this.hostName(containerId, ifName);
    if (ip) await hostPorts.close(ip);
    await kernel.request('net.detach', {
      hostName,
      addresses: ip ? [ip] : [],
      deleteLink,
      ...(bridge ? { bridge } : {}),
    });
    ipam.release(owner);
  }
}

const ownerOf = (containerId: string, ifName: string): string => `${containerId}/${ifName}`;

/** Locally administered, and the same again for the same address. */
export function macOf(ip: string): string {
  const value = parseIPv4(ip) ?? 0;
  const bytes = [0x02, 0x54, value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
  return bytes.map((b) => b.toString(16).padStart(2, '0')).join(':');
}
