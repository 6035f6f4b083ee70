import { crc32 } from 'node:zlib';
import type { Value } from '../engine.js';

/**
 * The bytes of a segment file. A header, then frames, each one commit or one note:
 *
 *     header  "TRIMTAB2" | from f64 | through f64 | compacted f64 | crc32 of these
 *     frame   rest length u32 | crc32 of the lengths and the head | head length u32 | head | values
 *     head    kind u8 | revision f64 | number f64 | flush u32 | records u16, each:
 *             index u16 | type u8 | key length u16 | value length u32 | crc32 of the value | key
 *
 * Little-endian. `number` is a commit's time or a note's compacted revision; `flush` is where in the file the write began that
 * carried the frame. Head and values have checksums of their own, so that damage to a value can be told by key and revision.
 */
export const HEADER = 36;
const MAGIC = 'TRIMTAB2';
const PRELUDE = 12;
const HEAD = 23;
const RECORD = 13;
const SECTOR = 512;

/** A commit; a note of the compacted revision; the end of a process that closed in order. */
export const KIND = { commit: 1, compacted: 2, closed: 3 } as const;

export interface SegmentHeader {
  /** Everything in the file has a revision at or after this one. */
  readonly from: number;
  /** The last revision a rewritten file covers; 0 where the next file's `from` says it. */
  readonly through: number;
  /** What is superseded at or before this revision may be missing. */
  readonly compacted: number;
}

export interface FrameRecord {
  /** Place in its commit, which stays when others of the commit are dropped. */
  readonly index: number;
  readonly key: string;
  readonly value: Value | undefined;
}

export interface Frame {
  readonly kind: number;
  readonly revision: number;
  readonly number: number;
  readonly flush: number;
  readonly records: readonly FrameRecord[];
}

export interface ReadFrame extends Frame {
  readonly records: readonly (FrameRecord & { readonly value: Buffer | undefined })[];
  readonly start: number;
  readonly end: number;
}

/** Something in a file that is no whole frame. */
export interface Fault {
  readonly fault: string;
  readonly start: number;
  /** Just past what it might have been. */
  readonly end: number;
  /** Of the damaged record, where its head is whole. */
  readonly key?: string;
  readonly revision?: number;
}

export function encodeHeader({ from, through, compacted }: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeDoubleLE(from, 8);
  bytes.writeDoubleLE(through, 16);
  bytes.writeDoubleLE(compacted, 24);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 32)), 32);
  return bytes;
}

export function decodeHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < HEADER || bytes.toString('latin1', 0, 8) !== MAGIC) return undefined;
  if (bytes.readUInt32LE(32) !== crc32(bytes.subarray(0, 32))) return undefined;
  return { from: bytes.readDoubleLE(8), through: bytes.readDoubleLE(16), compacted: bytes.readDoubleLE(24) };
}

export function sizeOf(value: Value | undefined): number {
  if (value === undefined) return 0;
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

/** Bytes one record takes. */
export const recordSize = (key: string, value: Value | undefined): number =>
  RECORD + Buffer.byteLength(key) + sizeOf(value);

export function frameSize(records: readonly FrameRecord[]): number {
  return records.reduce((sum, { key, value }) => sum + recordSize(key, value), PRELUDE + HEAD);
}

/** Writes the frame at `start`; gives the place after it. The buffer has room for {@link frameSize} bytes. */
export function encodeFrame(bytes: Buffer, start: number, frame: Frame): number {
  let at = start + PRELUDE;
  at = bytes.writeUInt8(frame.kind, at);
  at = bytes.writeDoubleLE(frame.revision, at);
  at = bytes.writeDoubleLE(frame.number, at);
  at = bytes.writeUInt32LE(frame.flush, at);
  at = bytes.writeUInt16LE(frame.records.length, at);
  const places: number[] = [];
  for (const { index, key, value } of frame.records) {
    places.push(at);
    bytes.writeUInt16LE(index, at);
    bytes.writeUInt8(value === undefined ? 0 : 1, at + 2);
    const keyLength = bytes.write(key, at + RECORD);
    bytes.writeUInt16LE(keyLength, at + 3);
    at += RECORD + keyLength;
  }
  const headEnd = at;
  frame.records.forEach(({ value }, i) => {
    const length = value === undefined ? 0 : typeof value === 'string' ? bytes.write(value, at) : put(bytes, value, at);
    bytes.writeUInt32LE(length, places[i]! + 5);
    bytes.writeUInt32LE(crc32(bytes.subarray(at, at + length)), places[i]! + 9);
    at += length;
  });
  bytes.writeUInt32LE(at - start - PRELUDE, start);
  bytes.writeUInt32LE(headEnd - start - PRELUDE, start + 8);
  bytes.writeUInt32LE(headSum(bytes, start, headEnd), start + 4);
  return at;
}

function put(bytes: Buffer, value: Uint8Array, at: number): number {
  bytes.set(value, at);
  return value.length;
}

const headSum = (bytes: Buffer, start: number, headEnd: number): number =>
  crc32(bytes.subarray(start + 8, headEnd), bytes.readUInt32LE(start));

/** Frames from `start` on; ends after the first fault. Values are views of `bytes`. */
export function* decodeFrames(bytes: Buffer, start: number): Generator<ReadFrame | Fault, void, undefined> {
  for (let at = start; at < bytes.length; ) {
    const found = decodeFrame(bytes, at);
    yield found;
    if ('fault' in found) return;
    at = found.end;
  }
}

export function decodeFrame(bytes: Buffer, start: number): ReadFrame | Fault {
  const left = bytes.length - start;
  if (left < PRELUDE + HEAD) return { fault: 'cut short', start, end: bytes.length + 1 };
  const length = bytes.readUInt32LE(start);
  const headLength = bytes.readUInt32LE(start + 8);
  if (headLength < HEAD || headLength > length) return { fault: 'no frame', start, end: bytes.length };
  const headEnd = start + PRELUDE + headLength;
  const end = start + PRELUDE + length;
  if (headEnd > bytes.length) return { fault: 'cut short', start, end: bytes.length + 1 };
  if (headSum(bytes, start, headEnd) !== bytes.readUInt32LE(start + 4))
    return { fault: 'checksum of the head', start, end: Math.min(end, bytes.length) };
  let at = start + PRELUDE;
  const kind = bytes[at]!;
  const revision = bytes.readDoubleLE(at + 1);
  const number = bytes.readDoubleLE(at + 9);
  const flush = bytes.readUInt32LE(at + 17);
  const count = bytes.readUInt16LE(at + 21);
  at += HEAD;
  if (end > bytes.length) return { fault: 'cut short', start, end, revision };
  const records: { index: number; key: string; value: Buffer | undefined }[] = [];
  let valueAt = headEnd;
  for (let i = 0; i < count; i++) {
    const keyLength = bytes.readUInt16LE(at + 3);
    const valueLength = bytes.readUInt32LE(at + 5);
    const key = bytes.toString('utf8', at + RECORD, at + RECORD + keyLength);
    const value = bytes.subarray(valueAt, valueAt + valueLength);
    if (crc32(value) !== bytes.readUInt32LE(at + 9)) return { fault: 'checksum', start, end, key, revision };
    records.push({ index: bytes.readUInt16LE(at), key, value: bytes[at + 2] === 0 ? undefined : value });
    at += RECORD + keyLength;
    valueAt += valueLength;
  }
  return { kind, revision, number, flush, records, start, end };
}

/**
 * Whether a fault at the end of the newest file is what a crash leaves of a write that was never acknowledged: it goes past the
 * file's end or has a sector that never arrived, and nothing whole behind it stems from a later write, which would only have
 * begun once this one was on disk. Sectors arrive whole or not at all.
 */
export function isTorn(bytes: Buffer, fault: Fault): boolean {
  const { start, end } = fault;
  if (end <= bytes.length && !hasEmptySector(bytes, start, end)) return false;
  for (let at = start + 1; at + PRELUDE + HEAD <= bytes.length; at++) {
    const kind = bytes[at + PRELUDE]!;
    if (kind < 1 || kind > 3) continue;
    const headLength = bytes.readUInt32LE(at + 8);
    if (headLength < HEAD || at + PRELUDE + headLength > bytes.length) continue;
    const later = decodeFrame(bytes, at);
    if (!('fault' in later) && later.flush > start) return false;
  }
  return true;
}

function hasEmptySector(bytes: Buffer, start: number, end: number): boolean {
  for (let sector = start - (start % SECTOR); sector < end; sector += SECTOR)
    if (isZero(bytes, Math.max(sector, start), Math.min(sector + SECTOR, end))) return true;
  return false;
}

function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}
