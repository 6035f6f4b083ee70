/** Values as the kernel holds them in registers, in hex: four bytes a field, padded at the end. */

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

const byte = (n: number): string => (n < 16 ? `0${n.toString(16)}` : n.toString(16));

/** An IPv4 address in network order. The text must be a valid address, see `parseIPv4`. */
export function address(ip: string): string {
  let out = '';
  let field = 0;
  for (let i = 0; i < ip.length; i++) {
    const c = ip.charCodeAt(i);
    if (c === 46) {
      out += byte(field);
      field = 0;
    } else field = field * 10 + c - 48;
  }
  return out + byte(field);
}

export const port = (n: number): string => `${byte(n >> 8)}${byte(n & 255)}0000`;

/** A 32-bit number in the machine's own order, as marks and slot numbers are. */
export function native(n: number): string {
  const bytes = [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
  return (littleEndian ? bytes : bytes.reverse()).map(byte).join('');
}

const PROTOCOLS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** False for names Kubernetes does not know. */
export const isProtocol = (name: string): boolean => Object.hasOwn(PROTOCOLS, name);
export const protocol = (name: string): string => `${byte(PROTOCOLS[name] ?? 0)}000000`;
