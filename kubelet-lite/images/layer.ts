import { createHash } from 'node:crypto';
import { constants, createReadStream, createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** What unpacking a layer found. */
export interface Unpacked {
  /** `sha256:…` of the uncompressed archive. */
  readonly diffId: string;
  /** Bytes of file content. */
  readonly size: number;
  /** Paths the layer removes from those below; a trailing `/` removes a directory's earlier content only. */
  readonly whiteouts: readonly string[];
}

/** Thrown for an archive that is not what it says, or not safe to unpack; nothing of it is kept by callers. */
export class LayerError extends Error {
  override name = 'LayerError';
}

/**
 * Unpacks one layer (tar, also gzip) into an empty directory, with owners, modes and times. No entry is ever written
 * through a symbolic link that leads outside. Device nodes are left out: a container's /dev is its own.
 */
export async function unpackLayer(archive: string, directory: string): Promise<Unpacked> {
  const hash = createHash('sha256');
  const whiteouts: string[] = [];
  const directories: [string, Header][] = [];
  let size = 0;
  const tar = extract();
  const source = Readable.from(await decompressed(archive));
  source.on('data', (chunk: Buffer) => hash.update(chunk));
  const feeding = pipeline(source, tar);
  feeding.catch(() => {});
  for await (const entry of tar) {
    const { header } = entry;
    const name = header.name.replace(/^(\.?\/)+/, '').replace(/\/+$/, '');
    if (name === '' || name === '.') {
      entry.resume();
      continue;
    }
    if (basename(name).startsWith(WHITEOUT)) {
      const parent = dirname(name) === '.' ? '' : dirname(name);
      whiteouts.push(basename(name) === OPAQUE ? `${parent}/` : join(parent, basename(name).slice(WHITEOUT.length)));
      entry.resume();
      continue;
    }
    const path = await placeFor(directory, name);
    if (header.type === 'directory') {
      await replace(path, 'directory');
      await fs.mkdir(path, { recursive: true });
      directories.push([path, header]);
    } else if (header.type === 'file' || header.type === 'contiguous-file') {
      await replace(path);
      await pipeline(entry, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
      size += header.size ?? 0;
      await ownership(path, header);
      continue;
    } else if (header.type === 'symlink') {
      await replace(path);
      await fs.symlink(header.linkname!, path);
      await fs.lchown(path, header.uid ?? 0, header.gid ?? 0);
      await fs.lutimes(path, times(header), times(header));
    } else if (header.type === 'link') {
      await replace(path);
      await fs.link(await placeFor(directory, header.linkname!.replace(/^(\.?\/)+/, '')), path);
    }
    entry.resume();
  }
  await feeding;
  // Directories last and deepest first, since filling one changes its time.
  for (const [path, header] of directories.reverse()) await ownership(path, header);
  return { diffId: `sha256:${hash.digest('hex')}`, size, whiteouts };
}

/**
 * Copies a tree by hard links, so no content is copied: how a layer that deletes is merged with those below it without
 * overlay whiteouts, which would need device nodes. Links are safe because no lower directory is ever written.
 */
export async function linkTree(from: string, to: string): Promise<void> {
  const stat = await fs.lstat(from);
  if (!stat.isDirectory()) {
    await replace(to);
    return fs.link(from, to);
  }
  await replace(to, 'directory');
  await fs.mkdir(to, { recursive: true });
  for (const name of await fs.readdir(from)) await linkTree(join(from, name), join(to, name));
  await fs.chown(to, stat.uid, stat.gid);
  await fs.chmod(to, stat.mode & 0o7777);
  await fs.utimes(to, stat.atime, stat.mtime);
}

/** Removes what a layer's whiteouts name. */
export async function applyWhiteouts(directory: string, whiteouts: readonly string[]): Promise<void> {
  for (const whiteout of whiteouts) {
    const opaque = whiteout.endsWith('/');
    const path = await placeFor(directory, opaque ? whiteout.slice(0, -1) || '.' : whiteout);
    if (!opaque) await fs.rm(path, { recursive: true, force: true });
    else for (const name of await readdirOrNone(path)) await fs.rm(join(path, name), { recursive: true, force: true });
  }
}

/** Where `name` lies below `root` once symbolic links in its parents are resolved as if `root` were `/`. */
async function placeFor(root: string, name: string): Promise<string> {
  const pending = name.split('/');
  const done: string[] = [];
  for (let links = 0; pending.length > 0; ) {
    const part = pending.shift()!;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      done.pop();
      continue;
    }
    const path = join(root, ...done, part);
    const target = pending.length > 0 ? await fs.readlink(path).catch(() => undefined) : undefined;
    if (target === undefined) {
      if (pending.length > 0) await fs.mkdir(path, { recursive: true, mode: 0o755 });
      done.push(part);
      continue;
    }
    if (++links > 40) throw new LayerError(`${name}: too many levels of symbolic links`);
    if (target.startsWith('/')) done.length = 0;
    pending.unshift(...target.split('/'));
  }
  return join(root, ...done);
}

/** Makes way for a new entry; a directory stays when a directory comes. */
async function replace(path: string, by?: 'directory'): Promise<void> {
  const stat = await fs.lstat(path).catch(() => undefined);
  if (stat === undefined || (by === 'directory' && stat.isDirectory())) return;
  await fs.rm(path, { recursive: true });
}

const times = (header: Header): Date => header.mtime ?? new Date(0);

async function ownership(path: string, header: Header): Promise<void> {
  await fs.chown(path, header.uid ?? 0, header.gid ?? 0);
  // After chown, which clears the set-user-id bits.
  await fs.chmod(path, (header.mode ?? 0o755) & 0o7777);
  await fs.utimes(path, times(header), times(header));
}

async function readdirOrNone(path: string): Promise<string[]> {
  return fs.readdir(path).catch(() => []);
}

async function decompressed(archive: string): Promise<AsyncIterable<Uint8Array>> {
  const file = await fs.open(archive, constants.O_RDONLY);
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
  await file.close();
  const stream = createReadStream(archive, { highWaterMark: 1 << 20 });
  if (buffer[0] === 0x1f && buffer[1] === 0x8b) return stream.pipe(createGunzip());
  if (buffer.readUInt32LE(0) === 0xfd2fb528)
    throw new LayerError('the layer is compressed with zstd, which this version cannot read: save the image with gzip');
  return stream;
}
