import { isIPv4 } from 'node:net';

/** Subject alternative names: what a server certificate is good for, in a form that can be compared. */

/** An IP address without a zone. Node's own test for IPv6 compiles an expression that takes 6 ms of every start. */
export function isAddress(name: string): boolean {
  return isIPv4(name) || (/^[\da-f:.]+$/i.test(name) && name.includes(':') && URL.canParse(`http://[${name}]`));
}

/** The 4 or 16 octets of an IP address; throws on anything else. */
export function addressBytes(address: string): Uint8Array {
  if (!isAddress(address)) throw new Error(`"${address}" is not an IP address`);
  if (isIPv4(address)) return Uint8Array.from(address.split('.').map(Number));
  const mapped = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text = mapped
    ? `${mapped[1]}${((Number(mapped[2]) << 8) | Number(mapped[3])).toString(16)}:${((Number(mapped[4]) << 8) | Number(mapped[5])).toString(16)}`
    : address;
  const [head = '', tail] = text.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':').map((w) => Number.parseInt(w, 16)));
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const all = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

/** A name in one canonical spelling: IP addresses by their octets, host names in lower case. */
export function canonicalName(name: string): string {
  return isAddress(name) ? `ip:${Buffer.from(addressBytes(name)).toString('hex')}` : `dns:${name.toLowerCase()}`;
}

/** The names in a certificate, from what `X509Certificate.subjectAltName` prints. */
export function namesOf(subjectAltName: string | undefined): readonly string[] {
  return (subjectAltName ?? '')
    .split(', ')
    .filter((part) => part !== '')
    .map((part) => part.slice(part.indexOf(':') + 1));
}

/** True when both lists mean the same names, in whatever order and spelling. */
export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  const left = new Set(a.map(canonicalName));
  const right = new Set(b.map(canonicalName));
  return left.size === right.size && [...left].every((name) => right.has(name));
}

const hostName = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/i;

/** Throws unless every name is a DNS host name (a leading wildcard label is allowed) or an IP address. */
export function checkNames(names: readonly string[]): void {
  for (const name of names) {
    if (!isAddress(name) && !(hostName.test(name) && name.length <= 253))
      throw new Error(`a serving certificate cannot be issued for "${name}": not a host name and not an IP address`);
  }
}
