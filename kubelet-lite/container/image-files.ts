import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';

const MAX_BYTES = 1 << 20;

/**
 * The text of a small file of an image, looked for in its unpacked layers from the top; empty when there is none. No symbolic
 * link is followed, so an image cannot make the node read its own files; a link or a device (overlay's whiteout) hides
 * what lies below it.
 */
export async function readImageFile(layers: readonly string[], path: readonly string[]): Promise<string> {
  for (const layer of layers) {
    const found = await lookIn(layer, path);
    if (found !== undefined) return found;
  }
  return '';
}

async function lookIn(layer: string, path: readonly string[]): Promise<string | undefined> {
  const found = await lookInAlone(layer, path);
  if (found !== undefined) return found;
  const opaque = await opaqueOf(layer);
  return path.some((_, depth) => opaque.has(path.slice(0, depth).join('/'))) ? '' : undefined;
}

/** Directories of a layer below which nothing of lower ones shows; the image store keeps them beside it. */
async function opaqueOf(layer: string): Promise<ReadonlySet<string>> {
  const text = await fs.readFile(join(layer, '..', 'opaque'), 'utf8').catch(() => '[]');
  return new Set(JSON.parse(text) as string[]);
}

async function lookInAlone(layer: string, path: readonly string[]): Promise<string | undefined> {
  for (let depth = 1; depth < path.length; depth++) {
    const stat = await fs.lstat(join(layer, ...path.slice(0, depth))).catch(() => undefined);
    if (!stat) return undefined;
    if (!stat.isDirectory()) return '';
  }
  const file = join(layer, ...path);
  const stat = await fs.lstat(file).catch(() => undefined);
  if (!stat) return undefined;
  if (!stat.isFile() || stat.size > MAX_BYTES) return '';
  const handle = await fs
    .open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    .catch(() => undefined);
  if (!handle) return '';
  try {
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
