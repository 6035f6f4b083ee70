import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

/** A path of the node that stays what it was when it was looked at, for as long as it is held. */
export interface PinnedPath {
  /** Opens the pinned file or directory from any process that may see this one's descriptors. */
  readonly path: string;
  release(): Promise<void>;
}

const O_PATH = 0o10000000;

/**
 * Finds `subPath` below `root` and pins it by an open descriptor, so that a container that swaps a directory for a symbolic link
 * meanwhile cannot lead the mount outside (CVE-2017-1002101, CVE-2021-25741). Links inside the volume are followed once, at
 * the start; what they lead to must lie below the root, and is then opened component by component without following any.
 * With `make`, what is missing is made as a directory with the permissions of the volume.
 */
export async function pinSubPath(root: string, subPath: string, { make = true } = {}): Promise<PinnedPath> {
  const realRoot = await fs.realpath(root);
  const existing = await deepest(realRoot, subPath.split('/').filter(Boolean));
  const inside = relative(realRoot, existing.real);
  if (inside === '..' || inside.startsWith(`..${sep}`)) {
    throw new Error(`subPath "${subPath}" leads outside of its volume`);
  }
  const [absent] = existing.missing;
  if (absent !== undefined && !make) throw new Error(`subPath "${subPath}": "${absent}" does not exist in the volume`);
  const mode = (await fs.stat(realRoot)).mode & 0o7777;
  let handle = await fs.open(realRoot, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    for (const part of inside.split(sep).filter(Boolean)) handle = await step(handle, part);
    for (const part of existing.missing) {
      if (part === '..') throw new Error(`subPath "${subPath}" leads outside of its volume`);
      handle = await makeStep(handle, part, mode);
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  const self = await fs.readlink('/proc/self');
  return { path: `/proc/${self}/fd/${handle.fd}`, release: () => handle.close() };
}

/** Descends without following a link; the descriptor given is closed. */
async function step(from: fs.FileHandle, part: string): Promise<fs.FileHandle> {
  const next = await fs.open(`/proc/self/fd/${from.fd}/${part}`, O_PATH | constants.O_NOFOLLOW);
  await from.close();
  const stat = await next.stat();
  if (!stat.isSymbolicLink()) return next;
  await next.close();
  throw new Error(`"${part}" was exchanged for a symbolic link while it was being mounted`);
}

async function makeStep(from: fs.FileHandle, part: string, mode: number): Promise<fs.FileHandle> {
  const made = await fs.mkdir(`/proc/self/fd/${from.fd}/${part}`).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
  const next = await step(from, part);
  // By descriptor, and after the fact: mkdir's own mode is cut by the umask.
  if (made) await fs.chmod(`/proc/self/fd/${next.fd}`, mode);
  return next;
}

/** The longest existing part of the path with links resolved, and what is missing below it. */
async function deepest(root: string, parts: readonly string[]): Promise<{ real: string; missing: readonly string[] }> {
  for (let n = parts.length; n > 0; n--) {
    const real = await fs.realpath(join(root, ...parts.slice(0, n))).catch(() => undefined);
    if (real) return { real, missing: parts.slice(n) };
  }
  return { real: root, missing: parts };
}
