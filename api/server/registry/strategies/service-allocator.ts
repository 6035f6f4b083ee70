import { isIP } from 'node:net';
import { causes, internalError, invalid, type Random, type Service, type StatusError } from '@trimtab/machinery';
import type { Operation } from '@trimtab/store';
import type { ObjectChange } from '../../authorization/store-feed.js';
import { addressBytes } from '../../certificates/names.js';
import { addressesOf, ipAddresses, isManagedAddress } from '../service-addresses.js';

export interface ServiceAllocatorOptions {
  /** One IPv4 range, `10.96.0.0/12`. */
  readonly serviceCIDR: string;
  /** Both included; default 30000 to 32767. */
  readonly nodePorts?: { readonly from: number; readonly to: number };
  readonly random: Random;
  /**
   * Where other servers take from the same ranges: what a write that takes anything new must be stored with, made when it begins to
   * take. It fails where somebody has taken something that is not known here yet.
   */
  readonly fence?: () => Operation;
}

type Take = (claim: string) => boolean;

/** What one write of a Service takes. Throws 422 for what is taken or out of range, 500 when nothing is left. */
export interface ServiceAllocation {
  /** The wanted address, or a free one. */
  address(wanted: string | undefined): string;
  /** The wanted node port, or a free one; `at` names the field in errors. */
  port(protocol: string, wanted: number | undefined, at: string): number;
  /** What the write must be stored with. */
  together(): readonly Operation[];
  /** Gives back what this write has taken and the Service did not have before; when the write came to nothing. */
  release(): void;
}

/**
 * Which cluster IPs and node ports are taken, and by which Service. The truth is the stored Services, heard of through
 * {@link ServiceAllocator.apply}; between reserving and storing, reservations are held here, so that two creations in flight never get the same.
 */
export class ServiceAllocator {
  readonly #base: number;
  readonly #size: number;
  readonly #ports: { readonly from: number; readonly to: number };
  readonly #random: Random;
  readonly #fence: (() => Operation) | undefined;
  /** `ip:10.96.0.1` or `TCP:30080` to the Service that has it. */
  readonly #taken = new Map<string, string>();
  readonly #byService = new Map<string, readonly string[]>();

  constructor(options: ServiceAllocatorOptions) {
    const [address = '', bits = ''] = options.serviceCIDR.split('/');
    const prefix = Number(bits);
    if (isIP(address) !== 4 || !/^\d+$/.test(bits) || prefix < 8 || prefix > 30)
      throw new Error(`service CIDR "${options.serviceCIDR}" is not an IPv4 range with a prefix between /8 and /30`);
    const mask = (0xffffffff << (32 - prefix)) >>> 0;
    this.#base = (toNumber(address) & mask) >>> 0;
    this.#size = 2 ** (32 - prefix);
    this.#ports = options.nodePorts ?? { from: 30000, to: 32767 };
    this.#random = options.random;
    this.#fence = options.fence;
  }

  /** The address of the `kubernetes` Service: the first of the range. */
  get firstAddress(): string {
    return toAddress(this.#base + 1);
  }

  /** Hears of stored, changed and deleted Services and of IPAddresses, of which somebody's own take theirs as well. */
  apply({ resource, key, object }: ObjectChange): void {
    if (resource === ipAddresses) {
      const own = object && !isManagedAddress(object);
      this.#hold(`${ipAddresses}${key}`, own ? [`ip:${object.metadata.name}`] : []);
      return;
    }
    if (resource !== '/services') return;
    this.#hold(key, object ? claimsOf(object as Service) : []);
  }

  /** Whether the address lies in the range and may be given to a Service. */
  inRange(address: string): boolean {
    if (isIP(address) !== 4) return false;
    const offset = toNumber(address) - this.#base;
    return offset >= 1 && offset < this.#size - 1;
  }

  /** Begins to take for one write of `service` (`namespace/name`). */
  allocate(service: string): ServiceAllocation {
    const mine: string[] = [];
    const fence = this.#fence?.();
    const take = (claim: string): boolean => {
      const owner = this.#taken.get(claim);
      if (owner === undefined) mine.push(claim);
      else if (owner !== service) return false;
      this.#taken.set(claim, service);
      return true;
    };
    return {
      address: (wanted) => this.#takeAddress(service, wanted, take),
      port: (protocol, wanted, at) => this.#takePort(service, protocol, wanted, at, take),
      together: () => (fence === undefined || mine.length === 0 ? [] : [fence]),
      release: () => {
        for (const claim of mine.splice(0)) {
          this.#taken.delete(claim);
          const owner = this.#owner(claim);
          if (owner !== undefined) this.#taken.set(claim, owner);
        }
      },
    };
  }

  #takeAddress(service: string, wanted: string | undefined, take: Take): string {
    if (wanted) {
      const why = !this.inRange(wanted)
        ? 'the provided network does not match the current range'
        : 'provided IP is already allocated';
      if (!this.inRange(wanted) || !take(`ip:${wanted}`))
        throw wrong(service, 'spec.clusterIPs', [wanted], `failed to allocate IP ${wanted}: ${why}`);
      return wanted;
    }
    // The lower end is left for addresses asked for by name (KEP-3070).
    const reserved = Math.min(Math.max(16, Math.floor(this.#size / 16)), 256);
    const from = reserved < this.#size - 2 ? reserved : 1;
    const claim = (n: number) => take(`ip:${toAddress(this.#base + n)}`);
    const isFree = (n: number) => !this.#taken.has(`ip:${toAddress(this.#base + n)}`);
    const found = this.#pick(from, this.#size - 2, isFree) ?? this.#pick(1, from, isFree);
    if (found === undefined || !claim(found)) throw internalError('failed to allocate a serviceIP: range is full');
    return toAddress(this.#base + found);
  }

  #takePort(service: string, protocol: string, wanted: number | undefined, at: string, take: Take): number {
    const { from, to } = this.#ports;
    if (wanted) {
      if (wanted < from || wanted > to)
        throw wrong(
          service,
          at,
          wanted,
          `provided port is not in the valid range. The range of valid ports is ${from}-${to}`,
        );
      if (!take(`${protocol}:${wanted}`)) throw wrong(service, at, wanted, 'provided port is already allocated');
      return wanted;
    }
    const found = this.#pick(from, to, (n) => !this.#taken.has(`${protocol}:${n}`));
    if (found === undefined || !take(`${protocol}:${found}`))
      throw internalError('failed to allocate a nodePort: range is full');
    return found;
  }

  #hold(service: string, claims: readonly string[]): void {
    for (const claim of this.#byService.get(service) ?? [])
      if (this.#taken.get(claim) === service && !claims.includes(claim)) this.#taken.delete(claim);
    if (claims.length === 0) this.#byService.delete(service);
    else this.#byService.set(service, claims);
    for (const claim of claims) if (!this.#taken.has(claim)) this.#taken.set(claim, service);
  }

  /** The stored Service that has it: with several servers, one of another server's, while we meant to give it away. */
  #owner(claim: string): string | undefined {
    if (this.#fence === undefined) return undefined;
    for (const [service, claims] of this.#byService) if (claims.includes(claim)) return service;
    return undefined;
  }

  /** A free number in [from, to]: a random start, then the next free one. */
  #pick(from: number, to: number, isFree: (n: number) => boolean): number | undefined {
    const count = to - from + 1;
    const start = Math.floor(this.#random.next() * count);
    for (let i = 0; i < count; i++) {
      const n = from + ((start + i) % count);
      if (isFree(n)) return n;
    }
    return undefined;
  }
}

function claimsOf(service: Service): readonly string[] {
  const { spec } = service;
  const ports = (spec?.ports ?? []).filter((p) => p.nodePort).map((p) => `${p.protocol ?? 'TCP'}:${p.nodePort}`);
  const health = spec?.healthCheckNodePort ? [`TCP:${spec.healthCheckNodePort}`] : [];
  return [...addressesOf(service).map((ip) => `ip:${ip}`), ...ports, ...health];
}

const wrong = (service: string, at: string, value: unknown, why: string): StatusError =>
  invalid({ group: '', kind: 'Service' }, service.slice(service.indexOf('/') + 1), [causes.invalid(at, value, why)]);

const toNumber = (address: string): number => addressBytes(address).reduce((n, byte) => n * 256 + byte, 0);
const toAddress = (n: number): string => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join('.');
