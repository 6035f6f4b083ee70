import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { VolumeMounts } from '../runtime/volume-mounts.js';

const TMPFS_MAGIC = 0x01021994;
const SHARED = '/dev/shm';

/**
 * Where pods of a node keep what must be in memory: one directory for each root directory, for several nodes may live on a
 * machine. Undefined where the machine has no tmpfs for it. Everybody may write beside it, so what is above it must be ours
 * and closed to others: rejects where somebody was quicker to make it.
 */
export async function ownMemoryDir(rootDir: string, shared = SHARED): Promise<string | undefined> {
  const { type } = await fs.statfs(shared).catch(() => ({ type: 0 }));
  if (type !== TMPFS_MAGIC) return undefined;
  const ours = join(shared, 'trimtab');
  await fs.mkdir(ours, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await fs.lstat(ours);
  if (!found.isDirectory() || found.uid !== (await fs.stat('/proc/self')).uid)
    throw new Error(
      `${ours} belongs to another user, who could look into pods' memory volumes; remove it: rm -r ${ours}`,
    );
  await fs.chmod(ours, 0o700);
  // There from now on, so that no other node that ends takes the directory above it for empty.
  const directory = join(ours, nameOf(rootDir));
  await fs.mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return directory;
}

/** Removes what pods had in memory and unmounts what was mounted for them. Only once none of them lives. */
export async function releaseMemory(rootDir: string, mounts?: VolumeMounts, shared = SHARED): Promise<void> {
  const ours = join(shared, 'trimtab');
  for (const directory of [join(ours, nameOf(rootDir)), rootDir])
    for (const point of (await mounts?.below(directory)) ?? []) await mounts?.unmount(point);
  await fs.rm(join(ours, nameOf(rootDir)), { recursive: true, force: true });
  // The last one out; where others are, it is not empty.
  await fs.rmdir(ours).catch(() => {});
}

const nameOf = (rootDir: string): string => createHash('sha256').update(resolve(rootDir)).digest('hex').slice(0, 16);
