import * as fs from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/** A rotated file of a log: what was written before the file that is written now. */
export interface LogSegment {
  readonly path: string;
  /** When the last line was written, in milliseconds since the epoch. */
  readonly endedAt: number;
}

const CHUNK = 64 * 1024;
const NEWLINE = 0x0a;

/** The rotated files of a log, oldest first; `current` is the inode of the file being read, under whatever name it is now. */
export async function rotatedSegments(path: string, current: number): Promise<readonly LogSegment[]> {
  const directory = dirname(path);
  const name = basename(path);
  const files = await fs.readdir(directory).catch((): string[] => []);
  const segments: LogSegment[] = [];
  // The suffix is the time of the rotation, so names are in order. A file that is being packed is there once more, unpacked.
  for (const file of files.filter((f) => f.startsWith(`${name}.`) && !f.endsWith('.tmp')).sort()) {
    if (file.endsWith('.gz') && files.includes(file.slice(0, -'.gz'.length))) continue;
    const at = join(directory, file);
    const stat = await fs.stat(at).catch(() => undefined);
    if (stat && stat.ino !== current) segments.push({ path: at, endedAt: stat.mtimeMs });
  }
  return segments;
}

const unpack = promisify(gunzip);

/** Everything that is in a segment; nothing where it went meanwhile. Segments are bounded by the rotation's size. */
export async function readSegment({ path }: LogSegment): Promise<Buffer> {
  const bytes = await fs
    .readFile(path)
    // It has been packed since it was listed.
    .catch(() => fs.readFile(`${path}.gz`))
    .catch(() => Buffer.alloc(0));
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? unpack(bytes) : bytes;
}

/** Where the last `lines` lines of a text begin, and how many of them it does not have. */
export function tailOf(text: Buffer, lines: number): { readonly start: number; readonly missing: number } {
  let missing = lines;
  if (missing === 0) return { start: text.length, missing };
  for (let i = text.length - 1; i >= 0; i--) {
    if (text[i] !== NEWLINE || i === text.length - 1) continue;
    if (--missing === 0) return { start: i + 1, missing };
  }
  return { start: 0, missing: text.length > 0 ? missing - 1 : missing };
}

/** The same for a file, which is read backwards no further than needed. */
export async function tailOfFile(
  handle: fs.FileHandle,
  lines: number,
): Promise<{ readonly start: number; readonly missing: number }> {
  const { size } = await handle.stat();
  let missing = lines;
  if (missing === 0) return { start: size, missing };
  for (let end = size; end > 0; end -= CHUNK) {
    const start = Math.max(end - CHUNK, 0);
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(end - start), 0, end - start, start);
    for (let i = bytesRead - 1; i >= 0; i--)
      if (buffer[i] === NEWLINE && start + i !== size - 1 && --missing === 0) return { start: start + i + 1, missing };
  }
  return { start: 0, missing: size > 0 ? missing - 1 : missing };
}
