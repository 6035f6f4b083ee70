/** A reader for the part of DER (ITU-T X.690) that certificate requests need: definite lengths, single-octet tags. */

export interface DerElement {
  readonly tag: number;
  /** Contents without tag and length. */
  readonly body: Buffer;
  /** Tag, length and contents. */
  readonly whole: Buffer;
}

/** The elements that make up `bytes`, one after the other. Throws where they are cut short or of a form DER has not. */
export function readElements(bytes: Buffer): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length; ) {
    const element = readElement(bytes, at);
    elements.push(element);
    at += element.whole.length;
  }
  return elements;
}

function readElement(bytes: Buffer, start: number): DerElement {
  const tag = bytes[start]!;
  if ((tag & 0x1f) === 0x1f) throw new Error('a tag of more than one octet');
  const first = bytes[start + 1];
  if (first === undefined || first === 0x80) throw new Error('the encoding is cut short');
  let head = 2;
  let length = first;
  if (first > 0x80) {
    const octets = first & 0x7f;
    if (octets > 4 || start + 2 + octets > bytes.length) throw new Error('the encoding is cut short');
    length = bytes.readUIntBE(start + 2, octets);
    head += octets;
  }
  const end = start + head + length;
  if (end > bytes.length) throw new Error('the encoding is cut short');
  return { tag, body: bytes.subarray(start + head, end), whole: bytes.subarray(start, end) };
}

/** An object identifier's contents in dotted form. */
export function readOid(body: Buffer): string {
  const arcs: number[] = [];
  let value = 0;
  for (const octet of body) {
    value = value * 128 + (octet & 0x7f);
    if (octet & 0x80) continue;
    arcs.push(value);
    value = 0;
  }
  const [first = 0, ...rest] = arcs;
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...rest].join('.');
}

const bmp = 0x1e;

/** A directory string's text, whichever of its types it has. */
export function readText({ tag, body }: DerElement): string {
  if (tag !== bmp) return body.toString(tag === 0x0c ? 'utf8' : 'latin1');
  return Buffer.from(body).swap16().toString('utf16le');
}
