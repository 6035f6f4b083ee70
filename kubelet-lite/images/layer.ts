import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { MediaTypes } from './manifest.js';

/** What unpacking a layer found. */
export interface Unpacked {
  /** `sha256:…` of the uncompressed archive. */
  readonly diffId: string;
  /** Bytes of file content. */
  readonly size: number;
  /** Directories of which nothing below shows, as paths without a leading slash. */
  readonly opaque: readonly string[];
}

/** Thrown for an archive that is not what it says, or not safe to unpack; nothing of it is kept by callers. */
export class LayerError extends Error {
  override name = 'LayerError';
}

export type Compression = 'none' | 'gzip' | 'zstd';

/** The media type of a layer by what its bytes are, since archives do not say. */
export const layerMediaType = (compression: Compression): string =>
  compression === 'none' ? MediaTypes.ociLayer : `${MediaTypes.ociLayer}+${compression}`;

/**
 * Unpacks one layer (tar, also in gzip or zstd) into an empty directory, with owners, modes, times, extended attributes and
 * devices, and whiteouts as overlay wants them. The native core does it: no entry is ever made outside the directory.
 */
export async function unpackLayer(core: string, archive: string, directory: string): Promise<Unpacked> {
  return feedTar(core, ['layer', 'unpack', directory], decompress(archive, await compressionOf(archive)));
}

/** Hands a tar archive to a verb of the core that reads one and answers in JSON. */
export async function feedTar(
  core: string,
  words: readonly string[],
  tar: AsyncIterable<Uint8Array>,
): Promise<Unpacked> {
  const child = spawn(core, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  const hash = createHash('sha256');
  const hashed = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of tar) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const ended = endOf(child);
  // The core's own words say more than the broken pipe it leaves.
  const fed = await pipeline(hashed, child.stdin).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error,
  );
  if (fed !== undefined && fed.code !== 'EPIPE') child.kill('SIGKILL');
  const answer = await ended.catch((error: Error) => error);
  if (fed !== undefined && fed.code !== 'EPIPE' && fed.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw readable(fed);
  if (answer instanceof Error) throw answer;
  const { size, opaque } = JSON.parse(answer) as { readonly size: number; readonly opaque: readonly string[] };
  return { diffId: `sha256:${hash.digest('hex')}`, size, opaque };
}

/** The upper directory of an overlay as a layer; the caller reads it to its end. Times later than `clamp` (seconds) become it. */
export function packLayer(
  core: string,
  directory: string,
  clamp: number | undefined,
  exclude: readonly string[],
): Readable {
  const child = spawn(core, ['layer', 'pack', directory, String(clamp ?? -1), ...exclude], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    const ended = endOf(child, false);
    ended.catch(() => {});
    yield* child.stdout;
    await ended;
  };
  return Readable.from(whole(), { objectMode: false });
}

/** What the core has said; rejects with a {@link LayerError} in its words when it fails. */
function endOf(child: ChildProcess, answers = true): Promise<string> {
  let out = '';
  let words = '';
  if (answers) child.stdout!.on('data', (chunk) => (out += chunk));
  child.stderr!.on('data', (chunk) => (words += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new LayerError(`the native core is not built (${child.spawnfile}): npm run build:native`)
          : error,
      ),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolve(out);
      else reject(new LayerError(words.trim() || `the native core ended by ${signal ?? `code ${code}`}`));
    });
  });
}

function readable(error: NodeJS.ErrnoException): Error {
  return error.code?.startsWith('Z_') || error.code?.startsWith('ZSTD')
    ? new LayerError(`the layer cannot be decompressed: ${error.message}`)
    : error;
}

export async function compressionOf(archive: string): Promise<Compression> {
  const file = await fs.open(archive, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    if (bytesRead >= 2 && buffer[0] === 0x1f && buffer[1] === 0x8b) return 'gzip';
    return bytesRead === 4 && buffer.readUInt32LE(0) === 0xfd2fb528 ? 'zstd' : 'none';
  } finally {
    await file.close();
  }
}

const CHUNK = 256 << 10;

/** The content of a file, decompressed. */
export function decompress(archive: string, compression: Compression): AsyncIterable<Uint8Array> {
  const stream = createReadStream(archive, { highWaterMark: CHUNK });
  if (compression === 'none') return stream;
  if (compression === 'gzip') {
    const gunzip = zlib.createGunzip({ chunkSize: CHUNK });
    stream.on('error', (error) => gunzip.destroy(error));
    return stream.pipe(gunzip);
  }
  const native = (zlib as { readonly createZstdDecompress?: () => NodeJS.ReadWriteStream }).createZstdDecompress;
  if (native === undefined) return unzstd(stream);
  return Readable.from(stream.pipe(native()));
}

/** For versions of Node whose zlib knows no zstd. */
async function* unzstd(compressed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import('fzstd');
  let ready: Uint8Array[] = [];
  const decompressor = new Decompress((chunk) => ready.push(chunk));
  const step = (chunk: Uint8Array, last: boolean): readonly Uint8Array[] => {
    try {
      decompressor.push(chunk, last);
    } catch (error) {
      throw new LayerError(`the layer cannot be decompressed: ${(error as Error).message}`);
    }
    const done = ready;
    ready = [];
    return done;
  };
  for await (const chunk of compressed) yield* step(chunk, false);
  yield* step(new Uint8Array(0), true);
}
