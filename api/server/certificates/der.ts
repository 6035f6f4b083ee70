/**
 * A writer for the part of DER (ITU-T X.690) that X.509 certificates need. Every function gives one complete
 * tag-length-value. Only writing is here; reading is left to `node:crypto`.
 */

const tags = { boolean: 0x01, integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, utf8: 0x0c } as const;
const sequenceTag = 0x30;
const setTag = 0x31;

function length(n: number): Uint8Array {
  if (n < 0x80) return Uint8Array.of(n);
  const bytes: number[] = [];
  for (let rest = n; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return Uint8Array.of(0x80 | bytes.length, ...bytes);
}

/** One element with the given tag octet around the concatenated contents. */
export function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(contents);
  return Buffer.concat([Uint8Array.of(tag), length(body.length), body]);
}

export const sequence = (...items: readonly Uint8Array[]): Uint8Array => element(sequenceTag, ...items);

/** DER wants the members of a SET OF in byte order. */
export const setOf = (...items: readonly Uint8Array[]): Uint8Array =>
  element(setTag, ...[...items].sort(Buffer.compare));

/** Context-specific and constructed: an explicit tag. */
export const explicit = (n: number, ...contents: readonly Uint8Array[]): Uint8Array => element(0xa0 | n, ...contents);

/** Context-specific and primitive: an implicit tag over a simple value's contents. */
export const implicit = (n: number, contents: Uint8Array): Uint8Array => element(0x80 | n, contents);

export const boolean = (value: boolean): Uint8Array => element(tags.boolean, Uint8Array.of(value ? 0xff : 0));

/** A non-negative integer given as big-endian octets of any length; stripped and padded to DER's shortest form. */
export function integer(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const body = magnitude.subarray(start);
  return (body[0] ?? 0) & 0x80
    ? element(tags.integer, Uint8Array.of(0), body)
    : element(tags.integer, body.length > 0 ? body : Uint8Array.of(0));
}

export const octetString = (bytes: Uint8Array): Uint8Array => element(tags.octets, bytes);

/** A bit string whose length is a multiple of eight. */
export const bitString = (bytes: Uint8Array): Uint8Array => element(tags.bits, Uint8Array.of(0), bytes);

/** Named bits (KeyUsage): trailing zero bits are dropped, as DER demands. */
export function namedBits(positions: readonly number[]): Uint8Array {
  const highest = Math.max(...positions);
  const bytes = new Uint8Array((highest >> 3) + 1);
  for (const bit of positions) bytes[bit >> 3]! |= 0x80 >> (bit & 7);
  return element(tags.bits, Uint8Array.of(7 - (highest & 7)), bytes);
}

export const utf8String = (text: string): Uint8Array => element(tags.utf8, Buffer.from(text, 'utf8'));

/** A dotted object identifier whose arcs fit in 32 bits. */
export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const chunk = [arc & 0x7f];
    for (let high = arc >>> 7; high > 0; high >>>= 7) chunk.unshift((high & 0x7f) | 0x80);
    bytes.push(...chunk);
  }
  return element(tags.oid, Uint8Array.from(bytes));
}

/** UTCTime up to 2049, GeneralizedTime after (RFC 5280, 4.1.2.5); whole seconds. */
export function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return new Date(ms).getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(digits.slice(2), 'latin1'))
    : element(0x18, Buffer.from(digits, 'latin1'));
}
