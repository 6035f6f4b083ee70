import { anotherTurn } from '@trimtab/machinery';
import { StoreFailedError } from '../engine.js';
import type { Disk } from './disk.js';
import { decodeFrames, decodeHeader, type Fault, HEADER, isTorn, type ReadFrame, type SegmentHeader } from './frame.js';

/** Version of the layout on disk, in the file `format`. 1 was LMDB. */
export const FORMAT = 2;
export const FORMAT_FILE = 'format';
export const SUFFIX = '.log';
const DIGITS = 16;

/** One file of frames and its header. */
export interface SegmentFile extends SegmentHeader {
  readonly name: string;
}

/** File names sort as their revisions do. */
export const segmentName = (from: number): string => `${String(from).padStart(DIGITS, '0')}${SUFFIX}`;

/** The format a directory is in; undefined where it has none. Throws StoreFailedError of a newer one, and of what is no number. */
export async function formatOf(disk: Disk): Promise<number | undefined> {
  const names = await disk.names();
  if (!names.includes(FORMAT_FILE)) {
    if (names.includes('store.mdb')) return 1;
    if (!names.some((name) => name.endsWith(SUFFIX))) return undefined;
    throw new StoreFailedError(`${disk.place}/${FORMAT_FILE} is missing beside files of the store; ${MEND}`);
  }
  const text = (await disk.read(FORMAT_FILE)).toString('latin1').trim();
  const format = Number(/^trimtab store (\d+)$/.exec(text)?.[1]);
  if (Number.isNaN(format)) throw new StoreFailedError(`${disk.place}/${FORMAT_FILE} does not name a format; ${MEND}`);
  if (format > FORMAT)
    throw new StoreFailedError(
      `${disk.place} has format ${format}, this version of trimtab reads up to ${FORMAT}: use the version that wrote it, or restore a snapshot into another directory`,
    );
  return format;
}

/** Names the format once everything else is on disk, so that a directory with a format is whole. */
export async function writeFormat(disk: Disk): Promise<void> {
  const temporary = `${FORMAT_FILE}.tmp`;
  const file = await disk.create(temporary);
  try {
    await file.write(Buffer.from(`trimtab store ${FORMAT}\n`), 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, FORMAT_FILE);
  await disk.syncNames();
}

export const MEND = 'mend: trimtab snapshot restore';

/**
 * The segments in order, and files that a crash left over: half-written ones, the newest one without its header, and those whose
 * content a rewritten file before them has.
 */
export async function listSegments(disk: Disk): Promise<{ segments: SegmentFile[]; leftOver: string[] }> {
  const names = [...(await disk.names())].sort();
  const leftOver = names.filter((name) => name.endsWith('.tmp'));
  const files = names.filter((name) => name.endsWith(SUFFIX));
  const segments: SegmentFile[] = [];
  for (const name of files) {
    const bytes = await disk.read(name, HEADER);
    const header = decodeHeader(bytes);
    if (header === undefined) {
      if (name !== files.at(-1) || bytes.some((byte, i) => byte !== 0 && i >= 8 && bytes.length === HEADER))
        throw new StoreFailedError(`${disk.place}/${name}: its header is damaged; ${MEND}`);
      leftOver.push(name);
      continue;
    }
    const before = segments.at(-1);
    if (before !== undefined && before.through >= header.from) leftOver.push(name);
    else segments.push({ name, ...header });
  }
  return { segments, leftOver };
}

export interface SegmentContent {
  readonly frames: readonly ReadFrame[];
  /** Just past the last whole frame. */
  readonly end: number;
  /** Bytes after `end` that a crash left of an unacknowledged write. */
  readonly torn: number;
}

/** All frames of a file. What is damaged is refused by name; the newest file may end in a torn write. */
export async function readSegment(disk: Disk, name: string, newest: boolean): Promise<SegmentContent> {
  return decodeSegment(`${disk.place}/${name}`, await disk.read(name), newest);
}

/** The same of bytes that have been read; `place` is for messages. */
export function decodeSegment(place: string, bytes: Buffer, newest: boolean): SegmentContent {
  const frames: ReadFrame[] = [];
  let end = HEADER;
  for (const found of decodeFrames(bytes, HEADER)) {
    if (!('fault' in found)) {
      frames.push(found);
      end = found.end;
      continue;
    }
    if (newest && isTorn(bytes, found)) return { frames, end, torn: bytes.length - end };
    throw damaged(place, found, frames.at(-1)?.revision);
  }
  return { frames, end, torn: 0 };
}

/** Looked through between two turns of the event loop. */
const SLICE = 512 * 1024;

/** The frames of a file that is not written to any more, with turns of the event loop in between. */
export async function* sealedFrames(disk: Disk, name: string): AsyncGenerator<ReadFrame, void, undefined> {
  const bytes = await disk.read(name);
  let turn = HEADER;
  let revision: number | undefined;
  for (const found of decodeFrames(bytes, HEADER)) {
    if ('fault' in found) throw damaged(`${disk.place}/${name}`, found, revision);
    revision = found.revision;
    yield found;
    if (found.end - turn < SLICE) continue;
    turn = found.end;
    await anotherTurn();
  }
}

function damaged(file: string, { fault, start, key, revision }: Fault, before: number | undefined): StoreFailedError {
  const [resource, namespace, name] = key?.split('\0') ?? [];
  const what = key === undefined ? 'a record' : `${resource} ${namespace ? `${namespace}/` : ''}${name}`;
  const when = revision === undefined ? `after revision ${before ?? 'of the file’s begin'}` : `at revision ${revision}`;
  return new StoreFailedError(`${file}: ${what} ${when} is damaged (${fault}, byte ${start}); ${MEND}`);
}
