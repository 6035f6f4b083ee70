/** IPv4 addresses and networks as numbers. */

export interface Network {
  /** The network address. */
  readonly base: number;
  readonly prefix: number;
  /** Addresses in it, the first and last included. */
  readonly size: number;
}

/** The address as an unsigned number; undefined for anything but four decimal fields without leading zeros. */
export function parseIPv4(text: string): number | undefined {
  const fields = text.split('.');
  if (fields.length !== 4) return undefined;
  let value = 0;
  for (const field of fields) {
    if (!/^(0|[1-9]\d{0,2})$/.test(field) || Number(field) > 255) return undefined;
    value = value * 256 + Number(field);
  }
  return value;
}

export function formatIPv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** Throws with the text when it is no IPv4 network. Host bits are dropped. */
export function parseNetwork(cidr: string): Network {
  const [address = '', length = '', ...rest] = cidr.split('/');
  const value = parseIPv4(address);
  const prefix = /^\d{1,2}$/.test(length) ? Number(length) : 33;
  if (value === undefined || prefix > 32 || rest.length > 0)
    throw new Error(`"${cidr}" is no IPv4 network (a.b.c.d/n)`);
  const size = 2 ** (32 - prefix);
  return { base: value - (value % size), prefix, size };
}

export const contains = (network: Network, address: number): boolean =>
  address >= network.base && address < network.base + network.size;

export const formatNetwork = (network: Network): string => `${formatIPv4(network.base)}/${network.prefix}`;
