import { isIPv4, isIPv6 } from 'node:net';
import { CelError, CelOpaque } from '../values.js';

/** An address as Go's netip knows them: no zones, no IPv4 inside IPv6. */
export class IpValue extends CelOpaque {
  override readonly type = 'net.IP';
  constructor(
    readonly value: bigint,
    readonly bits: 32 | 128,
  ) {
    super();
  }
  override equals(other: CelOpaque): boolean {
    return other instanceof IpValue && other.value === this.value && other.bits === this.bits;
  }
}

export class CidrValue extends CelOpaque {
  override readonly type = 'net.CIDR';
  constructor(
    readonly ip: IpValue,
    readonly prefix: number,
  ) {
    super();
  }
  override equals(other: CelOpaque): boolean {
    return other instanceof CidrValue && other.prefix === this.prefix && other.ip.equals(this.ip);
  }
}

export function parseIp(text: string): IpValue {
  if (isIPv4(text)) return new IpValue(fourBytes(text), 32);
  if (text.includes('%')) throw new CelError(`IP address ${JSON.stringify(text)} with zone value is not allowed`);
  if (!isIPv6(text))
    throw new CelError(
      `IP Address ${JSON.stringify(text)} parse error during conversion from string: ParseAddr(${JSON.stringify(text)}): unable to parse IP`,
    );
  const value = sixteenBytes(text);
  if (value >> 32n === 0xffffn) throw new CelError(`IPv4-mapped IPv6 address ${JSON.stringify(text)} is not allowed`);
  return new IpValue(value, 128);
}

const fourBytes = (text: string): bigint => text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);

function sixteenBytes(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const low = dotted ? fourBytes(dotted[2]!) : undefined;
  const plain = low === undefined ? text : `${dotted![1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  const [head = '', tail] = plain.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const gap = tail === undefined ? [] : Array<string>(8 - front.length - back.length).fill('0');
  return [...front, ...gap, ...back].reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n);
}

export function formatIp({ value, bits }: IpValue): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  const zeros = [...groups.join(':').matchAll(/(?:^|(?<=:))0(?::0)+(?=$|:)/g)].sort(
    (a, b) => b[0].length - a[0].length,
  )[0];
  if (zeros === undefined) return groups.join(':');
  const text = groups.join(':');
  const [before, after] = [text.slice(0, zeros.index), text.slice(zeros.index + zeros[0].length)];
  return `${before.replace(/:$/, '')}::${after.replace(/^:/, '')}`;
}

export function parseCidr(text: string): CidrValue {
  const [, address, bits] = /^(.*)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const wrong = () =>
    new CelError(
      `network address parse error during conversion from string: netip.ParsePrefix(${JSON.stringify(text)})`,
    );
  if (address === undefined || address.includes('%')) throw wrong();
  const ip = parseIp(address);
  if (Number(bits) > ip.bits) throw wrong();
  return new CidrValue(ip, Number(bits));
}

export function masked({ ip, prefix }: CidrValue): CidrValue {
  const host = BigInt(ip.bits - prefix);
  return new CidrValue(new IpValue((ip.value >> host) << host, ip.bits), prefix);
}

export const containsIp = ({ ip, prefix }: CidrValue, other: IpValue): boolean =>
  ip.bits === other.bits && ip.value >> BigInt(ip.bits - prefix) === other.value >> BigInt(ip.bits - prefix);
