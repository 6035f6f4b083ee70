import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';

const DIRECTORY_BITS = 0o2770;
const FILE_BITS = 0o660;

/**
 * Gives everything below `root` to a group that may read and write it, and lets new files inherit it (kubernetes:
 * SetVolumeOwnership). What others may do stays as it is. With `OnRootMismatch` nothing is touched when the root has been
 * given before: it is given last, so that one interrupted is begun anew.
 */
export async function applyFsGroup(root: string, group: number, policy: string | undefined): Promise<void> {
  const stat = await fs.lstat(root);
  const given = stat.gid === group && (stat.mode & DIRECTORY_BITS) === DIRECTORY_BITS;
  if (policy === 'OnRootMismatch' && given) return;
  await give(root, stat, group);
}

async function give(path: string, stat: Stats, group: number): Promise<void> {
  if (stat.isDirectory()) {
    for (const name of await fs.readdir(path)) {
      const inner = join(path, name);
      await give(inner, await fs.lstat(inner), group);
    }
  }
  await fs.lchown(path, stat.uid, group);
  // A mode is what a link points to has, and that may be anywhere.
  if (stat.isSymbolicLink()) return;
  await fs.chmod(path, (stat.mode & 0o7777) | (stat.isDirectory() ? DIRECTORY_BITS : FILE_BITS));
}
