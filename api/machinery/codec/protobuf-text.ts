import type { Reader } from 'protobufjs/minimal.js';

/**
 * Short strings of API objects repeat endlessly (`Always`, `TCP`, a namespace's name). They are looked up by their bytes
 * instead of being made again, which is faster and lets equal objects share memory. The table has a fixed size; a new string
 * takes the place of the one with the same hash.
 */
const SLOTS = 4096;
const LONGEST = 32;
const table: string[] = new Array(SLOTS).fill('');

/** Reads a length-delimited UTF-8 string; throws a RangeError where it reaches beyond the buffer. */
export function readText(reader: Reader): string {
  const length = reader.uint32();
  const start = reader.pos;
  const end = start + length;
  if (end > reader.len) throw new RangeError(`a text of ${length} bytes reaches beyond the end`);
  reader.pos = end;
  if (length === 0) return '';
  const { buf } = reader;
  if (length > LONGEST) return slice(buf, start, end);
  let hash = length;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + buf[i]!) | 0;
  const slot = (hash ^ (hash >>> 12)) & (SLOTS - 1);
  const known = table[slot]!;
  if (known.length === length && equals(known, buf, start)) return known;
  const made = slice(buf, start, end);
  table[slot] = made;
  return made;
}

/** True only for ASCII: the bytes of any other character are not its code. */
function equals(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}

/** The codec gives its readers Buffers only, which decode a range without making a view of it first. */
function slice(bytes: Uint8Array, start: number, end: number): string {
  return (bytes as Buffer).toString('utf8', start, end);
}
