import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Logger } from '@trimtab/machinery';
import type { PodLayout } from '../container/pod-layout.js';
import { type Pod, uidOf } from '../pod/api.js';
import { diskUsage } from '../stats/disk-usage.js';
import { leastStorageLimit, limitsContainers, overLimit, type StorageUse, totalUse } from './storage-limits.js';
import type { VolumeManager } from './volume-manager.js';

/** How the disk is read. */
export interface DiskReader {
  /** Bytes free on the file system of a path. */
  free(path: string): Promise<number>;
  /** Bytes below a path. */
  usage(path: string): Promise<number>;
}

export const diskReader: DiskReader = {
  free: async (path) => {
    const { bfree, bsize } = await statfs(path);
    return bfree * bsize;
  },
  usage: async (path) => (await diskUsage(path)).bytes,
};

export interface StorageWatchOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly layout: PodLayout;
  readonly volumes: Pick<VolumeManager, 'pathOf'>;
  /** The pods that run here, and which attempt of each container is the latest. */
  readonly pods: () => readonly { readonly pod: Pod; attempt(container: string): number }[];
  readonly evict: (pod: Pod, message: string) => void;
  readonly disk: DiskReader;
}

/** What was found of a pod, and how much room the disk had then. */
interface Measured {
  readonly bytes: number;
  readonly free: number;
  readonly at: number;
}

const PERIOD_MS = 1_000;
/** Measured again by then, whatever the disk says: what others free hides what a pod writes. */
const STALE_MS = 30_000;
/** Measuring takes at most this part of one processor. */
const SHARE = 1 / 20;

/**
 * Evicts pods that take more of the disk than they may. No timer runs while no pod has a limit. A pod's files are counted only
 * when the disk has lost as much room since the last count as the pod had left: until then it cannot have come to its limit.
 */
export class StorageWatch {
  readonly #options: StorageWatchOptions;
  readonly #measured = new Map<string, Measured>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: StorageWatchOptions) {
    this.#options = options;
  }

  /** A pod has come. */
  notice(pod: Pod): void {
    if (leastStorageLimit(pod) !== undefined) this.#arm(PERIOD_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #arm(delayMs: number): void {
    if (this.#cancel || this.#stopped) return;
    this.#cancel = this.#options.clock.after(delayMs, () => {
      const { clock, logger } = this.#options;
      const began = clock.now();
      this.#round()
        .catch((error: unknown) => logger.warn({ error: String(error) }, 'use of local storage not measured'))
        .finally(() => {
          this.#cancel = undefined;
          if (this.#measured.size > 0) this.#arm(Math.max(PERIOD_MS, (clock.now() - began) / SHARE));
        });
    });
  }

  async #round(): Promise<void> {
    const { pods, evict, layout, clock, disk } = this.#options;
    const limited = pods().flatMap((one) => {
      const limit = leastStorageLimit(one.pod);
      return limit === undefined ? [] : [{ ...one, attempt: (name: string) => one.attempt(name), limit }];
    });
    const known = new Set(limited.map(({ pod }) => uidOf(pod)));
    for (const uid of this.#measured.keys()) if (!known.has(uid)) this.#measured.delete(uid);
    if (limited.length === 0) return;
    const free = await disk.free(layout.podsDir);
    for (const { pod, attempt, limit } of limited) {
      const before = this.#measured.get(uidOf(pod));
      if (before && !mayHaveReached(limit, before, free, clock.now())) continue;
      const use = await this.#measure(pod, attempt);
      this.#measured.set(uidOf(pod), { bytes: totalUse(use), free, at: clock.now() });
      const message = overLimit(pod, use);
      if (message) evict(pod, message);
    }
  }

  async #measure(pod: Pod, attempt: (container: string) => number): Promise<StorageUse> {
    const { layout, volumes, disk } = this.#options;
    const emptyDirs = new Map<string, number>();
    for (const volume of pod.spec.volumes ?? []) {
      if (!volume.emptyDir || volume.emptyDir.medium) continue;
      emptyDirs.set(volume.name, await disk.usage(volumes.pathOf(pod, volume.name)));
    }
    const containers = new Map<string, number>();
    if (limitsContainers(pod))
      for (const { name } of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
        const layer = await disk.usage(layout.attempt(uidOf(pod), name, attempt(name)));
        const logs = await disk.usage(dirname(layout.log(pod, name, 0)));
        containers.set(name, layer + logs);
      }
    return { emptyDirs, containers };
  }
}

/** Without a look at the files. */
function mayHaveReached(limit: number, before: Measured, free: number, now: number): boolean {
  const lost = Math.max(before.free - free, 0);
  return before.bytes + lost > limit || now - before.at >= STALE_MS;
}
