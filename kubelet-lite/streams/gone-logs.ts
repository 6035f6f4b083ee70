import type { Dirent } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { LogOptions } from '@trimtab/client';
import { type Clock, type Logger, timestamp } from '@trimtab/machinery';
import { type Pod, uidOf } from '../pod/api.js';
import { diskUsage } from '../stats/disk-usage.js';
import { readLog } from './log-reader.js';

export interface GoneLogsOptions {
  /** Logs are at `<directory>/<namespace>_<pod>_<uid>/<container>/<attempt>.log`, as they were while the pod was there. */
  readonly directory: string;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The logs of a pod that is gone. */
export interface GonePod {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  /** RFC 3339. */
  readonly goneAt: string;
  readonly bytes: number;
  readonly containers: readonly { readonly name: string; readonly attempts: readonly number[] }[];
}

interface Kept {
  readonly name: string;
  readonly bytes: number;
  readonly at: number;
}

/** Keeps the logs of pods that are gone, for as long as they fit into a budget; the oldest go first. */
export class GoneLogs {
  readonly #options: GoneLogsOptions;
  #kept: Promise<Map<string, Kept>> | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(options: GoneLogsOptions) {
    this.#options = options;
  }

  /** Takes the pod's logs over from where they are. Nothing is kept with a budget of 0. Never rejects. */
  keep(pod: Pod, from: string): Promise<void> {
    this.#last = this.#last
      .then(() => this.#keep(pod, from))
      .catch((error: unknown) =>
        this.#options.logger.warn(
          { pod: pod.metadata.name, error: String(error) },
          'logs of a pod that is gone are lost',
        ),
      );
    return this.#last;
  }

  /** Newest first. */
  async list(): Promise<readonly GonePod[]> {
    await this.#last;
    const kept = [...(await this.#index()).values()].sort((a, b) => b.at - a.at);
    return Promise.all(kept.map((one) => this.#describe(one)));
  }

  /** The log of one container of the newest gone pod of that name, or of that UID; undefined where there is none. */
  async open(
    of: { readonly namespace: string; readonly pod: string; readonly uid?: string; readonly attempt?: number },
    options: LogOptions,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<Buffer> | undefined> {
    const pods = (await this.list()).filter(
      ({ namespace, pod, uid }) => namespace === of.namespace && pod === of.pod && (of.uid ?? uid) === uid,
    );
    for (const { namespace, pod, uid, containers } of pods) {
      const attempts = containers.find(({ name }) => name === options.container)?.attempts ?? [];
      const attempt = of.attempt ?? attempts.at(options.previous ? -2 : -1);
      if (attempt === undefined || !attempts.includes(attempt)) continue;
      const path = join(this.#options.directory, `${namespace}_${pod}_${uid}`, options.container, `${attempt}.log`);
      const source = { path, ended: Promise.resolve(), now: this.#options.clock.now(), signal };
      return readLog(source, { ...options, follow: false });
    }
    return undefined;
  }

  /** Lets all of them go: the disk is needed. */
  async clear(): Promise<void> {
    await this.#last;
    const kept = await this.#index();
    kept.clear();
    await fs.rm(this.#options.directory, { recursive: true, force: true });
  }

  async #keep(pod: Pod, from: string): Promise<void> {
    const { directory, maxBytes, clock } = this.#options;
    const { bytes, inodes } = await diskUsage(from);
    if (inodes === 0) return;
    const kept = await this.#index();
    const name = `${pod.metadata.namespace}_${pod.metadata.name}_${uidOf(pod)}`;
    if (bytes > maxBytes) return fs.rm(from, { recursive: true, force: true });
    await fs.mkdir(directory, { recursive: true, mode: 0o750 });
    await fs.rename(from, join(directory, name));
    const at = clock.now();
    await fs.utimes(join(directory, name), at / 1000, at / 1000);
    kept.set(name, { name, bytes, at });
    let sum = [...kept.values()].reduce((all, one) => all + one.bytes, 0);
    for (const oldest of [...kept.values()]) {
      if (sum <= maxBytes) break;
      sum -= oldest.bytes;
      kept.delete(oldest.name);
      await fs.rm(join(directory, oldest.name), { recursive: true, force: true });
    }
  }

  async #describe({ name, bytes, at }: Kept): Promise<GonePod> {
    const [namespace = '', pod = '', uid = ''] = name.split('_');
    const directory = join(this.#options.directory, name);
    const entries = await fs.readdir(directory, { withFileTypes: true }).catch((): Dirent[] => []);
    const containers = await Promise.all(
      entries
        .filter((entry) => entry.isDirectory())
        .map(async (entry) => {
          const files = await fs.readdir(join(directory, entry.name));
          const attempts = files.flatMap((file) => Number(/^(\d+)\.log$/.exec(file)?.[1] ?? Number.NaN));
          return { name: entry.name, attempts: attempts.filter((n) => !Number.isNaN(n)).sort((a, b) => a - b) };
        }),
    );
    return { namespace, pod, uid, goneAt: timestamp(at), bytes, containers };
  }

  /** In the order the pods went. */
  #index(): Promise<Map<string, Kept>> {
    this.#kept ??= this.#readIndex();
    return this.#kept;
  }

  async #readIndex(): Promise<Map<string, Kept>> {
    const { directory } = this.#options;
    const found: Kept[] = [];
    for (const name of await fs.readdir(directory).catch((): string[] => [])) {
      const stat = await fs.stat(join(directory, name)).catch(() => undefined);
      if (!stat?.isDirectory()) continue;
      found.push({ name, bytes: (await diskUsage(join(directory, name))).bytes, at: stat.mtimeMs });
    }
    return new Map(found.sort((a, b) => a.at - b.at).map((one) => [one.name, one]));
  }
}
