import * as fs from 'node:fs/promises';
import type { IdMaps, VolumeMounts } from '../volume-mounts.js';

interface Core {
  request<T = unknown>(op: string, params?: object): Promise<T>;
}

/** Mounts made by the node core, in its mount namespace: they outlive this process, as pods do. */
export class CoreMounts implements VolumeMounts {
  readonly #core: Core;
  #view: Promise<string> | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  async mount(
    path: string,
    type: 'tmpfs' | 'hugetlbfs' | 'overlay',
    options: readonly string[],
    ids?: IdMaps,
  ): Promise<string> {
    const real = await fs.realpath(path);
    await this.#core.request('volume.mount', { path: real, type, options, ...ids });
    return `${await this.#prefix()}${real}`;
  }

  async unmount(path: string): Promise<void> {
    const real = await fs.realpath(path).catch(() => path);
    await this.#core.request('volume.unmount', { path: real });
  }

  async below(directory: string): Promise<readonly string[]> {
    const real = await fs.realpath(directory).catch(() => directory);
    // A core that has just died is started again when it is asked next, with the mounts of this process's namespace.
    const read = async () => fs.readFile(`/proc/${await this.#pid()}/mountinfo`, 'utf8');
    const table = await read().catch(read);
    // Nothing of ours has a name that the kernel would have to escape.
    return table
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((point) => point.startsWith(`${real}/`))
      .map((point) => `${directory}${point.slice(real.length)}`)
      .reverse();
  }

  /** Leads into the core's mount namespace where that is not this one's. */
  #prefix(): Promise<string> {
    this.#view ??= this.#pid().then(async (pid) => {
      const [own, its] = await Promise.all([fs.readlink('/proc/self/ns/mnt'), fs.readlink(`/proc/${pid}/ns/mnt`)]);
      return own === its ? '' : `/proc/${pid}/root`;
    });
    return this.#view;
  }

  async #pid(): Promise<number> {
    return (await this.#core.request<{ pid: number }>('core.info')).pid;
  }
}
