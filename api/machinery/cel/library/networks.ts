import { type Definition, traverse } from '../overload.js';
import { type CidrValue, containsIp, formatIp, type IpValue, masked, parseCidr, parseIp } from './address.js';

const read = { cost: traverse };
const holds = (parse: (text: string) => unknown) => (text: string) => {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
};

const start = ({ value, bits }: IpValue, prefix: number): bigint => value >> BigInt(bits - prefix);
const four = (ip: IpValue): boolean => ip.bits === 32;
const isLoopback = (ip: IpValue): boolean => (four(ip) ? start(ip, 8) === 127n : ip.value === 1n);
const isUnspecified = ({ value }: IpValue): boolean => value === 0n;
const isMulticast = (ip: IpValue): boolean => (four(ip) ? start(ip, 4) === 14n : start(ip, 8) === 255n);
const isLinkLocalUnicast = (ip: IpValue): boolean =>
  four(ip) ? start(ip, 16) === 0xa9fen : start(ip, 10) === 0b1111111010n;
const isLinkLocalMulticast = (ip: IpValue): boolean =>
  four(ip) ? start(ip, 24) === 0xe00000n : (start(ip, 16) & 0xff0fn) === 0xff02n;
const isGlobalUnicast = (ip: IpValue): boolean =>
  !isUnspecified(ip) &&
  !isLoopback(ip) &&
  !isMulticast(ip) &&
  !isLinkLocalUnicast(ip) &&
  !(four(ip) && ip.value === 0xffffffffn);

const contains = (outer: CidrValue, inner: CidrValue): boolean =>
  outer.prefix <= inner.prefix && containsIp(outer, inner.ip);

/** kubernetes/apiserver pkg/cel/library ip and cidr. */
export const networks: readonly Definition[] = [
  ['ip(string): net.IP', parseIp, read],
  ['isIP(string): bool', holds(parseIp), read],
  [
    'ip.isCanonical(string): bool',
    (text: string) => formatIp(parseIp(text)) === text,
    { cost: (n) => 2 * traverse(n!) },
  ],
  ['net.IP.family(): int', ({ bits }: IpValue) => (bits === 32 ? 4n : 6n)],
  ['net.IP.isUnspecified(): bool', isUnspecified],
  ['net.IP.isLoopback(): bool', isLoopback],
  ['net.IP.isLinkLocalMulticast(): bool', isLinkLocalMulticast],
  ['net.IP.isLinkLocalUnicast(): bool', isLinkLocalUnicast],
  ['net.IP.isGlobalUnicast(): bool', isGlobalUnicast],
  ['string(net.IP): string', formatIp, { cost: () => 4, size: () => 39 }],
  ['cidr(string): net.CIDR', parseCidr, read],
  ['isCIDR(string): bool', holds(parseCidr), read],
  ['net.CIDR.containsIP(net.IP): bool', containsIp, { cost: () => 1 }],
  [
    'net.CIDR.containsIP(string): bool',
    (net: CidrValue, ip: string) => containsIp(net, parseIp(ip)),
    { cost: (_, n) => 1 + traverse(n!) },
  ],
  ['net.CIDR.containsCIDR(net.CIDR): bool', contains, { cost: () => 1 }],
  [
    'net.CIDR.containsCIDR(string): bool',
    (net: CidrValue, other: string) => contains(net, parseCidr(other)),
    { cost: (_, n) => 1 + traverse(n!) },
  ],
  ['net.CIDR.ip(): net.IP', ({ ip }: CidrValue) => ip],
  ['net.CIDR.masked(): net.CIDR', masked],
  ['net.CIDR.prefixLength(): int', ({ prefix }: CidrValue) => BigInt(prefix)],
  [
    'string(net.CIDR): string',
    ({ ip, prefix }: CidrValue) => `${formatIp(ip)}/${prefix}`,
    { cost: () => 5, size: () => 43 },
  ],
];
