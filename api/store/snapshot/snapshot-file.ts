import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { DiskFile } from '../engine/embedded/disk.js';
import { decodeFrame, decodeHeader, encodeHeader, HEADER, type ReadFrame } from '../engine/embedded/frame.js';
import { StoreFailedError } from '../engine/engine.js';

/**
 * A snapshot in a file: the header of a segment (`through` is the revision it is of), frames with what was live at that revision,
 * and a trailer: `TRIMSNAP`, the number of records, SHA-256 of everything before the trailer. Values are as the store had them:
 * what is encrypted at rest is encrypted here.
 */
const END = 'TRIMSNAP';
const TRAILER = 8 + 8 + 32;
const PIECE = 4 * 1024 * 1024;

export interface SnapshotSummary {
  readonly revision: number;
  readonly records: number;
  readonly bytes: number;
}

/** A file that is hashed as it is written, front to back. */
export function hashed(file: DiskFile): DiskFile & { readonly hash: Hash } {
  const hash = createHash('sha256');
  return {
    ...file,
    hash,
    async write(bytes, position) {
      hash.update(bytes);
      await file.write(bytes, position);
    },
  };
}

export const snapshotHeader = (revision: number): Buffer =>
  encodeHeader({ from: 1, through: revision, compacted: revision });

export function trailer(records: number, digest: Buffer): Buffer {
  const bytes = Buffer.alloc(TRAILER);
  bytes.write(END, 0, 'latin1');
  bytes.writeDoubleLE(records, 8);
  digest.copy(bytes, 16);
  return bytes;
}

/**
 * Reads a snapshot piece by piece and checks all of it. The frames are given as they come; only once the generator has returned
 * is it certain that they are whole. Throws StoreFailedError.
 */
export async function* readSnapshot(path: string): AsyncGenerator<ReadFrame, SnapshotSummary, undefined> {
  const handle = await open(path, 'r');
  try {
    const size = (await handle.stat()).size;
    const fail = (what: string) => new StoreFailedError(`${path} is no whole snapshot: ${what}; use another one`);
    const header = decodeHeader(await readAt(handle, 0, HEADER));
    if (header === undefined || size < HEADER + TRAILER) throw fail('it does not begin like one, or is cut short');
    const hash = createHash('sha256').update(await readAt(handle, 0, HEADER));
    const end = size - TRAILER;
    let records = 0;
    let piece = PIECE;
    for (let at = HEADER; at < end; ) {
      const bytes = await readAt(handle, at, Math.min(piece, end - at));
      let used = 0;
      while (used < bytes.length) {
        const frame = decodeFrame(bytes, used);
        if ('fault' in frame) {
          if (frame.end > bytes.length && at + bytes.length < end) break;
          throw fail(`${frame.fault} at byte ${at + used}${frame.key ? `, ${frame.key.replaceAll('\0', ' ')}` : ''}`);
        }
        used = frame.end;
        records += frame.records.length;
        yield frame;
      }
      hash.update(bytes.subarray(0, used));
      piece = used === 0 ? piece * 2 : PIECE;
      at += used;
    }
    const last = await readAt(handle, end, TRAILER);
    if (last.toString('latin1', 0, 8) !== END) throw fail('its end is missing');
    if (last.readDoubleLE(8) !== records) throw fail(`it has ${records} records of ${last.readDoubleLE(8)}`);
    if (!last.subarray(16).equals(hash.digest())) throw fail('its SHA-256 is another');
    return { revision: header.through, records, bytes: size };
  } finally {
    await handle.close();
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

/** Reads to the end for the sake of the checks. */
export async function verifySnapshot(path: string): Promise<SnapshotSummary> {
  const frames = readSnapshot(path);
  for (;;) {
    const step = await frames.next();
    if (step.done) return step.value;
  }
}
