import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';

/** What a directory takes of its file system. */
export interface DiskUsage {
  readonly bytes: number;
  readonly inodes: number;
}

export const NO_USAGE: DiskUsage = { bytes: 0, inodes: 0 };

export const sumUsage = (all: readonly DiskUsage[]): DiskUsage =>
  all.reduce((sum, one) => ({ bytes: sum.bytes + one.bytes, inodes: sum.inodes + one.inodes }), NO_USAGE);

/**
 * Blocks and inodes below a path, itself included, as du(1) counts: what other file systems have below it does not count, and a
 * file with several links counts once. What goes meanwhile is not counted; a path that is not there takes nothing.
 */
export async function diskUsage(path: string): Promise<DiskUsage> {
  const top = await fs.lstat(path).catch(() => undefined);
  if (!top) return NO_USAGE;
  const seen = new Set<number>();
  let bytes = top.blocks * 512;
  let inodes = 1;
  const waiting = top.isDirectory() ? [path] : [];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for await (const { path: at, stat } of entriesOf(directory)) {
      if (stat.dev !== top.dev) continue;
      if (stat.nlink > 1 && !stat.isDirectory()) {
        if (seen.has(stat.ino)) continue;
        seen.add(stat.ino);
      }
      bytes += stat.blocks * 512;
      inodes++;
      if (stat.isDirectory()) waiting.push(at);
    }
  }
  return { bytes, inodes };
}

const AT_ONCE = 32;

async function* entriesOf(directory: string): AsyncGenerator<{ readonly path: string; readonly stat: Stats }> {
  const names = await fs.readdir(directory).catch((): string[] => []);
  for (let from = 0; from < names.length; from += AT_ONCE) {
    const paths = names.slice(from, from + AT_ONCE).map((name) => join(directory, name));
    const stats = await Promise.all(paths.map((path) => fs.lstat(path).catch(() => undefined)));
    for (const [i, stat] of stats.entries()) if (stat) yield { path: paths[i]!, stat };
  }
}
