import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Payload, PayloadFile } from './payload.js';

/** The link that names the current version; readers see either all of the old content or all of the new. */
const DATA = '..data';
const NEXT = '..data_tmp';

/**
 * Makes a directory show exactly `payload`, at one instant: a new timestamped directory is written, `..data` is switched to it by
 * one rename, and every first path element is a link through `..data` (Kubernetes' AtomicWriter). Nothing is written when
 * nothing has changed. `fsGroup` owns the files and may read them. Answers whether anything was written.
 */
export async function writePayload(
  directory: string,
  payload: Payload,
  fsGroup: number | undefined,
  version: string,
): Promise<boolean> {
  const current = await fs.readlink(join(directory, DATA)).catch(() => undefined);
  if (current && (await isCurrent(join(directory, current), payload, fsGroup))) return false;
  const next = `..${version}`;
  await writeVersion(join(directory, next), payload, fsGroup);
  await replaceLink(next, join(directory, NEXT), fsGroup);
  await fs.rename(join(directory, NEXT), join(directory, DATA));
  const names = new Set([...payload.keys()].map((path) => path.split('/')[0]!));
  await Promise.all([...names].map((name) => replaceLink(join(DATA, name), join(directory, name), fsGroup)));
  // In a directory that was empty there is nothing else.
  if (current) await removeOthers(directory, new Set([...names, DATA, next]));
  return true;
}

async function writeVersion(root: string, payload: Payload, fsGroup: number | undefined): Promise<void> {
  await makeDirectory(root, fsGroup);
  const made = new Set([root]);
  for (const path of payload.keys())
    for (const directory of parentsOf(root, path)) {
      if (!made.has(directory)) await makeDirectory(directory, fsGroup);
      made.add(directory);
    }
  await Promise.all([...payload].map(([path, file]) => writeFile(join(root, path), file, fsGroup)));
}

/** Nobody else may open it before it has its owner and mode: the directory is mounted already. */
async function writeFile(path: string, { data, mode, uid }: PayloadFile, fsGroup: number | undefined): Promise<void> {
  await fs.writeFile(path, data, { mode: 0o600 });
  if (uid !== undefined || fsGroup !== undefined) await fs.chown(path, uid ?? 0, fsGroup ?? 0);
  await fs.chmod(path, modeOf(mode, fsGroup));
}

/** Mode and owner are given after the fact: mkdir's own are cut by the umask. */
async function makeDirectory(path: string, fsGroup: number | undefined): Promise<void> {
  await fs.mkdir(path, { recursive: true });
  if (fsGroup !== undefined) await fs.chown(path, 0, fsGroup);
  await fs.chmod(path, fsGroup === undefined ? 0o755 : 0o2755);
}

/** The directories between the root and a file, outer ones first. */
function parentsOf(root: string, path: string): readonly string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, i) => join(root, ...parts.slice(0, i + 1)));
}

/** A group that volumes belong to may read everything and, as volumes of objects are ours to write, nothing more. */
const modeOf = (mode: number, fsGroup: number | undefined): number => (fsGroup === undefined ? mode : mode | 0o440);

async function removeOthers(directory: string, wanted: ReadonlySet<string>): Promise<void> {
  for (const name of await fs.readdir(directory))
    if (!wanted.has(name)) await fs.rm(join(directory, name), { recursive: true, force: true });
}

/** A link with this target, whatever was there. */
async function replaceLink(target: string, path: string, fsGroup: number | undefined): Promise<void> {
  try {
    await fs.symlink(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if ((await fs.readlink(path).catch(() => undefined)) === target) return;
    await fs.rm(path, { recursive: true, force: true });
    await fs.symlink(target, path);
  }
  if (fsGroup !== undefined) await fs.lchown(path, 0, fsGroup);
}

async function isCurrent(root: string, payload: Payload, fsGroup: number | undefined): Promise<boolean> {
  const present = await filesBelow(root).catch(() => undefined);
  if (!present || present.length !== payload.size) return false;
  for (const path of present) {
    const wanted = payload.get(path);
    if (!wanted) return false;
    const [data, { mode }] = await Promise.all([fs.readFile(join(root, path)), fs.stat(join(root, path))]);
    if ((mode & 0o7777) !== modeOf(wanted.mode, fsGroup) || !data.equals(wanted.data)) return false;
  }
  return true;
}

async function filesBelow(root: string): Promise<readonly string[]> {
  const entries = await fs.readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name).slice(root.length + 1));
}
