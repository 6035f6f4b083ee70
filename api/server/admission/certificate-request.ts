/**
 * The subject of a PKCS #10 certificate request (RFC 2986), read from PEM: as much DER as that takes. Pure.
 */

export interface RequestSubject {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

interface Element {
  readonly tag: number;
  readonly body: Buffer;
  /** What follows it. */
  readonly rest: Buffer;
}

const commonName = '550403';
const organization = '55040a';

/** Throws an Error when the text is no certificate request. */
export function subjectOfRequest(pem: string): RequestSubject {
  const encoded = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([\s\S]*?)-----END/.exec(pem)?.[1];
  if (encoded === undefined) throw new Error('PEM block type must be CERTIFICATE REQUEST');
  const request = read(Buffer.from(encoded, 'base64'), 0x30);
  const info = read(request.body, 0x30);
  const version = read(info.body, 0x02);
  const name = read(version.rest, 0x30);
  const organizations: string[] = [];
  let common = '';
  for (const set of each(name.body))
    for (const attribute of each(set.body)) {
      const type = read(attribute.body, 0x06);
      const value = read(type.rest).body.toString();
      const id = type.body.toString('hex');
      if (id === organization) organizations.push(value);
      if (id === commonName) common = value;
    }
  return { commonName: common, organizations };
}

function* each(bytes: Buffer): Generator<Element> {
  for (let left = bytes; left.length > 0; ) {
    const element = read(left);
    yield element;
    left = element.rest;
  }
}

function read(bytes: Buffer, tag?: number): Element {
  const broken = () => new Error('asn1: structure error: the request is cut short or no request');
  const first = bytes[1];
  if (first === undefined || (tag !== undefined && bytes[0] !== tag)) throw broken();
  const long = first > 0x80 ? first - 0x80 : 0;
  if (long > 4 || bytes.length < 2 + long) throw broken();
  const length = long === 0 ? first : bytes.readUIntBE(2, long);
  const start = 2 + long;
  if (bytes.length < start + length) throw broken();
  return { tag: bytes[0]!, body: bytes.subarray(start, start + length), rest: bytes.subarray(start + length) };
}
