import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseQuantity, type Volume } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import { podLimit } from '../pod/qos.js';

/** What others may do with a volume that is everybody's; with a group of its own, new files belong to it. */
const SHARED = 0o777;
const SET_GROUP = 0o2000;
const STICKY = 0o1000;

/** Mode of a volume's root directory (kubernetes: emptyDir's 0777, what tmpfs adds to it, and what fsGroup does). */
export const rootMode = (fsGroup: number | undefined, inMemory: boolean): number =>
  SHARED | (fsGroup === undefined ? 0 : SET_GROUP) | (inMemory ? STICKY : 0);

/**
 * Makes a directory that every user may write to. It appears with its final mode and group, also when this process is killed
 * meanwhile; what is there already is left as its user has made it.
 */
export async function makeShared(path: string, fsGroup?: number, inMemory = false): Promise<void> {
  const found = await fs.lstat(path).catch(() => undefined);
  if (found?.isDirectory()) return;
  if (found) throw new Error(`path "${path}" is not a directory`);
  const parent = dirname(path);
  await fs.mkdir(parent, { recursive: true, mode: 0o711 });
  const fresh = await fs.mkdtemp(join(parent, '.new-'));
  if (fsGroup !== undefined) await fs.chown(fresh, 0, fsGroup);
  await fs.chmod(fresh, rootMode(fsGroup, inMemory));
  await fs.rename(fresh, path);
}

const bytesOf = (quantity: string): bigint => {
  const { nano } = parseQuantity(quantity);
  return (nano + 999_999_999n) / 1_000_000_000n;
};

/** Bytes of an emptyDir's `sizeLimit`; undefined for none. */
export function sizeLimitOf({ emptyDir }: Volume): number | undefined {
  const bytes = emptyDir?.sizeLimit === undefined ? 0n : bytesOf(String(emptyDir.sizeLimit));
  return bytes > 0n ? Number(bytes) : undefined;
}

/**
 * Bytes of an emptyDir in memory: the least of its limit, the pod's memory limit (where every container has one) and what the
 * node has for pods (kubernetes: SizeMemoryBackedVolumes).
 */
export function memorySizeOf(pod: Pod, volume: Volume, allocatableMemory: string): number {
  const limits = [
    Number(bytesOf(allocatableMemory)),
    podLimit(pod.spec, 'memory') ?? 0,
    sizeLimitOf(volume) ?? 0,
  ].filter((bytes) => bytes > 0);
  return Math.min(...limits);
}

/** Options of the file system behind an emptyDir in memory. */
export function tmpfsOptions(pod: Pod, volume: Volume, allocatableMemory: string): readonly string[] {
  const fsGroup = pod.spec.securityContext?.fsGroup;
  return [
    `size=${memorySizeOf(pod, volume, allocatableMemory)}`,
    `mode=${rootMode(fsGroup, true).toString(8)}`,
    ...(fsGroup === undefined ? [] : [`gid=${fsGroup}`]),
  ];
}

/**
 * Options of the file system behind an emptyDir of huge pages. Throws where the pod asks for pages of several sizes, or none,
 * and the medium names none.
 */
export function hugePagesOptions(pod: Pod, volume: Volume): readonly string[] {
  const medium = volume.emptyDir?.medium ?? '';
  const asked = new Set(
    [...(pod.spec.initContainers ?? []), ...pod.spec.containers].flatMap(({ resources }) =>
      Object.keys({ ...resources?.requests, ...resources?.limits })
        .filter((name) => name.startsWith('hugepages-'))
        .map((name) => name.slice('hugepages-'.length)),
    ),
  );
  const sizes = medium === 'HugePages' ? [...asked] : [medium.slice('HugePages-'.length)];
  if (medium !== 'HugePages' && !asked.has(sizes[0]!))
    throw new Error(`medium ${medium}: no container of the pod requests hugepages-${sizes[0]}`);
  if (sizes.length !== 1)
    throw new Error(`medium HugePages needs containers that request pages of one size, not of ${sizes.length}`);
  const fsGroup = pod.spec.securityContext?.fsGroup;
  const limit = sizeLimitOf(volume);
  return [
    `pagesize=${bytesOf(sizes[0]!)}`,
    `mode=${rootMode(fsGroup, true).toString(8)}`,
    ...(limit === undefined ? [] : [`size=${limit}`]),
    ...(fsGroup === undefined ? [] : [`gid=${fsGroup}`]),
  ];
}

/** Huge pages of a size (bytes) that the machine has set aside; 0 where its kernel knows none of that size. */
export async function hugePagesOf(bytes: string): Promise<number> {
  const file = `/sys/kernel/mm/hugepages/hugepages-${Number(bytes) / 1024}kB/nr_hugepages`;
  return Number(await fs.readFile(file, 'utf8').catch(() => '0'));
}
