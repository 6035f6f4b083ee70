import { parseIPv4 } from '../ipam/address.js';
import type { NetworkKernel } from '../kernel.js';
import { address, isProtocol, port, protocol } from '../nft/encode.js';
import type { NftOperation } from '../nft/operations.js';
import { ANY_ADDRESS } from './pods-layout.js';
import { CniError, type PortMapping } from './types.js';

/** Host ports that lead to a pod: key in the kernel's map, and what it maps to. Throws on what cannot be one. */
export function hostPortElements(mappings: readonly PortMapping[], ip: string): ReadonlyMap<string, string> {
  const elements = new Map<string, string>();
  for (const mapping of mappings) {
    if (mapping.hostPort === 0) continue;
    const name = mapping.protocol.toUpperCase();
    const hostIP = mapping.hostIP || ANY_ADDRESS;
    // An IPv6 host address is another family's business; the pod has none.
    if (hostIP.includes(':')) continue;
    if (!isProtocol(name)) throw new CniError(7, `portMappings: protocol "${mapping.protocol}" is not known`);
    if (parseIPv4(hostIP) === undefined) throw new CniError(7, `portMappings: hostIP "${hostIP}" is no IPv4 address`);
    elements.set(
      `${address(hostIP)}${protocol(name)}${port(mapping.hostPort)}`,
      `${address(ip)}${port(mapping.containerPort)}`,
    );
  }
  return elements;
}

/** Keeps the kernel's `hostports` map in step with the pods. Elements live in the kernel, so they outlive this process. */
export class HostPorts {
  readonly #kernel: NetworkKernel;
  readonly #table: string;
  readonly #held = new Map<string, string>();

  constructor(kernel: NetworkKernel, table: string) {
    this.#kernel = kernel;
    this.#table = table;
  }

  /** Reads back what an earlier process left. */
  async load(): Promise<void> {
    const { elements } = await this.#kernel.request<{ readonly elements: readonly string[] }>('nft.elements', {
      table: this.#table,
      set: 'hostports',
    });
    this.#held.clear();
    for (const element of elements) {
      const [key = '', data = ''] = element.split(' ');
      this.#held.set(key, data);
    }
  }

  /** A port somebody else held leads here from now on: of two pods with one host port the later one is alive. */
  async open(mappings: readonly PortMapping[], ip: string): Promise<void> {
    const wanted = hostPortElements(mappings, ip);
    const fresh = [...wanted].filter(([key, data]) => this.#held.get(key) !== data);
    if (fresh.length === 0) return;
    const own = `${address(ip)}${address(ip)}`;
    const taken = fresh.filter(([key]) => this.#held.has(key)).map(([key]) => key);
    await this.#apply([
      ...this.#delete(taken),
      { op: 'add', table: this.#table, name: 'hostports', elements: fresh.map(([key, data]) => `${key} ${data}`) },
      { op: 'add', table: this.#table, name: 'hairpins', elements: [own] },
    ]);
    for (const [key, data] of fresh) this.#held.set(key, data);
  }

  /** Takes away every port that leads to the address. */
  async close(ip: string): Promise<void> {
    const target = address(ip);
    const keys = [...this.#held].filter(([, data]) => data.startsWith(target)).map(([key]) => key);
    if (keys.length === 0) return;
    await this.#apply([
      ...this.#delete(keys),
      // Added first: deleting what a later pod's port replaced already would fail the whole batch.
      { op: 'add', table: this.#table, name: 'hairpins', elements: [`${target}${target}`] },
      { op: 'delete', table: this.#table, name: 'hairpins', elements: [`${target}${target}`] },
    ]);
    for (const key of keys) this.#held.delete(key);
  }

  /** The addresses ports lead to now, as hex. */
  targets(): ReadonlySet<string> {
    return new Set([...this.#held.values()].map((data) => data.slice(0, 8)));
  }

  #delete(keys: readonly string[]): readonly NftOperation[] {
    return keys.length > 0 ? [{ op: 'delete', table: this.#table, name: 'hostports', elements: keys }] : [];
  }

  async #apply(ops: readonly NftOperation[]): Promise<void> {
    await this.#kernel.request('nft.apply', { ops });
  }
}
