import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { compressionOf, decompress } from '../layer.js';
import { joinPath } from './config.js';
import type { MergedTree, TreeEntry } from './tree.js';

/** One thing to be put into an image. */
export interface CopyItem {
  /** Absolute, in the image. */
  readonly to: string;
  readonly content:
    | { readonly entry: TreeEntry }
    | { readonly text: string }
    /** A tar archive that is unpacked at `to`. */
    | { readonly archive: string };
}

export interface CopyAttributes {
  /** Owner of everything; that of the source where undefined. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Permission bits of everything; those of the source where undefined. */
  readonly mode?: number;
  /** Modification times later than this become it; seconds. */
  readonly clamp?: number;
}

export class CopyError extends Error {
  override name = 'CopyError';
}

/**
 * Where sources go, by Docker's rules: a directory's content, files by their name into a directory, one file to a path. Also the
 * directory that must be there for it.
 */
export async function placeSources(
  patterns: readonly string[],
  destination: string,
  source: MergedTree,
  target: MergedTree,
  { unpackArchives }: { readonly unpackArchives: boolean },
): Promise<{ readonly items: readonly CopyItem[]; readonly directory: string }> {
  const found: TreeEntry[] = [];
  for (const pattern of patterns) {
    const matches = await source.match(pattern);
    if (matches.length === 0)
      throw new CopyError(
        /[*?[]/.test(pattern)
          ? `no source files were specified: nothing fits ${pattern}`
          : `file not found in build context or excluded by .dockerignore: stat ${pattern}: file does not exist`,
      );
    found.push(...matches);
  }
  const there = await target.find(destination, true);
  const intoDirectory = destination.endsWith('/') || there?.stat.isDirectory() === true;
  if (found.length > 1 && !intoDirectory)
    throw new CopyError(
      'When using COPY with more than one source file, the destination must be a directory and end with a /',
    );
  const items: CopyItem[] = [];
  const base = joinPath('/', destination);
  for (const entry of found) {
    if (entry.stat.isDirectory()) {
      if (there !== undefined && !there.stat.isDirectory())
        throw new CopyError(`cannot copy a directory to ${destination}, which is none`);
      // The destination itself keeps its own attributes where it is there already.
      // The destination is a directory of its own: only what is in the source goes into it.
      for await (const child of source.walk(entry))
        if (child.path !== entry.path)
          items.push({
            to: joinPath(base, child.path.slice(entry.path.length).replace(/^\//, '')),
            content: { entry: child },
          });
    } else if (unpackArchives && entry.stat.isFile() && (await isArchive(entry.file))) {
      items.push({ to: base, content: { archive: entry.file } });
    } else {
      items.push({ to: intoDirectory ? joinPath(base, basename(entry.path)) : base, content: { entry } });
    }
  }
  const whole =
    intoDirectory || found.some((entry) => entry.stat.isDirectory()) || items.some((i) => 'archive' in i.content);
  return { items, directory: whole ? base : dirname(base) };
}

/** A directory and those above it, as far as they are missing; topmost first. */
export async function missingDirectories(target: MergedTree, directory: string): Promise<readonly string[]> {
  const missing: string[] = [];
  for (let at = directory; at !== '/' && (await target.find(at, true)) === undefined; at = dirname(at))
    missing.unshift(at);
  return missing;
}

/** By what is in it, as ADD decides: tar, also compressed. */
async function isArchive(file: string): Promise<boolean> {
  const compression = await compressionOf(file);
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of decompress(file, compression)) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= 512) break;
    }
    const head = Buffer.concat(chunks);
    if (
      head.subarray(0, 6).equals(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])) ||
      head.subarray(0, 3).toString() === 'BZh'
    )
      throw new CopyError(
        `${basename(file)} is compressed with ${head[0] === 0xfd ? 'xz' : 'bzip2'}, which ADD does not unpack here: use gzip or zstd, or COPY it`,
      );
    return head.length >= 512 && head.subarray(257, 262).toString('latin1') === 'ustar';
  } catch (error) {
    if (error instanceof CopyError) throw error;
    return false;
  }
}

/** What the copied things are, as a digest: paths, kinds, permissions, owners and content, not times. */
export async function digestOfItems(items: readonly CopyItem[], { owner, mode }: CopyAttributes): Promise<string> {
  const hash = createHash('sha256');
  for (const { to, content } of items) {
    hash.update(`${to}\0`);
    if ('text' in content) hash.update(content.text);
    else if ('archive' in content) await addContent(hash, content.archive);
    else {
      const { stat, file } = content.entry;
      const { uid, gid } = owner ?? stat;
      const bits = mode !== undefined && !stat.isSymbolicLink() ? (stat.mode & ~0o7777) | mode : stat.mode;
      hash.update(`${bits} ${uid} ${gid} ${stat.rdev}\0`);
      if (stat.isSymbolicLink()) hash.update(await readlink(file));
      else if (stat.isFile()) await addContent(hash, file);
    }
    hash.update('\0');
  }
  return hash.digest('hex');
}

async function addContent(hash: ReturnType<typeof createHash>, file: string): Promise<void> {
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
}

/** The items as a tar stream. Archives among them are not in it: they are merged by themselves. */
export async function* tarOf(items: readonly CopyItem[], attributes: CopyAttributes): AsyncGenerator<Uint8Array> {
  const tar = pack();
  const filling = fill(tar, items, attributes).then(
    () => tar.finalize(),
    (error: Error) => tar.destroy(error),
  );
  yield* tar as AsyncIterable<Uint8Array>;
  await filling;
}

async function fill(tar: Pack, items: readonly CopyItem[], { owner, mode, clamp }: CopyAttributes): Promise<void> {
  const firsts = new Map<string, string>();
  for (const { to, content } of items) {
    const name = to.slice(1);
    if ('archive' in content) continue;
    if ('text' in content) {
      tar.entry(
        { name, mode: mode ?? 0o644, uid: owner?.uid ?? 0, gid: owner?.gid ?? 0, mtime: new Date((clamp ?? 0) * 1000) },
        content.text,
      );
      continue;
    }
    const { stat, file } = content.entry;
    const seconds = Math.min(Math.floor(stat.mtimeMs / 1000), clamp ?? Number.MAX_SAFE_INTEGER);
    const header = {
      name,
      mode: mode ?? stat.mode & 0o7777,
      uid: owner?.uid ?? stat.uid,
      gid: owner?.gid ?? stat.gid,
      mtime: new Date(seconds * 1000),
    };
    const inode = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1 && stat.isFile() ? firsts.get(inode) : undefined;
    if (stat.isDirectory()) tar.entry({ ...header, name: name === '' ? './' : `${name}/`, type: 'directory' });
    else if (stat.isSymbolicLink())
      tar.entry({ ...header, mode: 0o777, type: 'symlink', linkname: await readlink(file) });
    else if (first !== undefined) tar.entry({ ...header, type: 'link', linkname: first });
    else if (stat.isFile()) {
      firsts.set(inode, name);
      const entry = tar.entry({ ...header, size: stat.size });
      await pipeline(createReadStream(file, { highWaterMark: 1 << 18 }), entry);
    } else if (stat.isFIFO()) tar.entry({ ...header, type: 'fifo' });
    else if (stat.isCharacterDevice() || stat.isBlockDevice())
      tar.entry({
        ...header,
        type: stat.isBlockDevice() ? 'block-device' : 'character-device',
        devmajor: (stat.rdev >> 8) & 0xfff,
        devminor: (stat.rdev & 0xff) | ((stat.rdev >> 12) & 0xfff00),
      });
  }
}
