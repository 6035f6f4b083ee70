import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '@trimtab/machinery';
import { LayerError, type Unpacked, unpackLayer } from './layer.js';
import { hexOf } from './manifest.js';

/** Names of layers below `layers/` are the hexadecimal part of their diff id. */
export type LayerName = string;

/**
 * Unpacked layers, one directory each: `root` is a lower directory of overlays, `size` and `opaque` were written before the
 * directory got its name, so whatever has a name is whole.
 */
export class LayerStore {
  readonly #directory: string;
  readonly #core: string;
  readonly #random: Random;
  readonly #running = new Map<LayerName, Promise<number>>();

  constructor(directory: string, core: string, random: Random) {
    this.#directory = directory;
    this.#core = core;
    this.#random = random;
  }

  async make(): Promise<void> {
    for (const part of ['layers', 'tmp']) await fs.mkdir(join(this.#directory, part), { recursive: true });
  }

  root(name: LayerName): string {
    return join(this.#directory, 'layers', name, 'root');
  }

  /** Bytes of file content; undefined when the layer is not here. */
  async size(name: LayerName): Promise<number | undefined> {
    const text = await fs.readFile(join(this.#directory, 'layers', name, 'size'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : Number(text);
  }

  /**
   * Makes the layer of this diff id be here and gives its size. Rejects with a LayerError when what `archive` holds has another.
   */
  ensure(diffId: string, archive: string): Promise<number> {
    const name = hexOf(diffId);
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const work = this.#ensure(diffId, archive).finally(() => this.#running.delete(name));
    this.#running.set(name, work);
    return work;
  }

  async #ensure(diffId: string, archive: string): Promise<number> {
    const known = await this.size(hexOf(diffId));
    if (known !== undefined) return known;
    return this.#place(
      (root) => unpackLayer(this.#core, archive, root),
      (unpacked) => {
        if (unpacked.diffId !== diffId)
          throw new LayerError(`a layer does not match its digest: ${unpacked.diffId} instead of ${diffId}`);
      },
    );
  }

  async #place(fill: (root: string) => Promise<Unpacked>, check: (unpacked: Unpacked) => void): Promise<number> {
    const work = await this.temporary();
    try {
      await fs.mkdir(join(work, 'root'), { mode: 0o755 });
      const unpacked = await fill(join(work, 'root'));
      check(unpacked);
      await fs.writeFile(join(work, 'size'), String(unpacked.size));
      if (unpacked.opaque.length > 0) await fs.writeFile(join(work, 'opaque'), JSON.stringify(unpacked.opaque));
      await fs.rename(work, join(this.#directory, 'layers', hexOf(unpacked.diffId))).catch((error) => {
        // Another process was faster with the same content.
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      });
      return unpacked.size;
    } finally {
      await fs.rm(work, { recursive: true, force: true });
    }
  }

  list(): Promise<readonly LayerName[]> {
    return fs.readdir(join(this.#directory, 'layers'));
  }

  /** Out of sight at once, gone soon after: what is returned does the work. */
  async take(name: LayerName): Promise<() => Promise<void>> {
    const away = await this.temporary();
    await fs.rename(join(this.#directory, 'layers', name), join(away, 'layer')).catch(() => {});
    return () => fs.rm(away, { recursive: true, force: true });
  }

  /** An empty directory on the layers' file system; named after the process, so that what a crash leaves is found. */
  async temporary(): Promise<string> {
    const pid = await fs.readlink('/proc/self').catch(() => '0');
    const path = join(this.#directory, 'tmp', `${Buffer.from(this.#random.bytes(8)).toString('hex')}.${pid}`);
    await fs.mkdir(path, { recursive: true });
    return path;
  }

  /** Removes what processes that are no more have left in `tmp/`. */
  async sweep(): Promise<void> {
    for (const name of await fs.readdir(join(this.#directory, 'tmp'))) {
      const pid = /\.(\d+)$/.exec(name)?.[1];
      const alive = pid !== undefined && (await fs.stat(`/proc/${pid}`).catch(() => undefined)) !== undefined;
      if (!alive) await fs.rm(join(this.#directory, 'tmp', name), { recursive: true, force: true });
    }
  }

  /** Layers that overlays of running containers stand on, as the kernel tells it in every process's mounts. */
  async mounted(): Promise<ReadonlySet<LayerName>> {
    const found = new Set<LayerName>();
    const seen = new Set<string>();
    const below = `${await fs.realpath(join(this.#directory, 'layers'))}/`;
    for (const pid of (await fs.readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const namespace = await fs.readlink(`/proc/${pid}/ns/mnt`).catch(() => undefined);
      if (namespace === undefined || seen.has(namespace)) continue;
      seen.add(namespace);
      const text = await fs.readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '');
      for (const line of text.split('\n')) {
        if (!line.includes(' - overlay ') && !line.includes('/layers/')) continue;
        for (let at = line.indexOf(below); at >= 0; at = line.indexOf(below, at + 1))
          found.add(/^[0-9a-f]*/.exec(line.slice(at + below.length))![0]);
        // A layer mounted by itself shows as the root of its mount, relative to its file system.
        const own = /\/layers\/([0-9a-f]{64})\/root/.exec(line)?.[1];
        if (own !== undefined) found.add(own);
      }
    }
    return found;
  }
}
