import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor } from '../manifest.js';

/** What a step made: its layer. */
export interface CachedLayer {
  readonly diffId: string;
  readonly descriptor: Descriptor;
}

/** Layers of earlier builds by what they were made of. Entries whose layer is gone are as good as none. */
export class BuildCache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = join(directory, 'build-cache');
  }

  async make(): Promise<void> {
    await fs.mkdir(this.#directory, { recursive: true });
  }

  async get(key: string): Promise<CachedLayer | undefined> {
    const text = await fs.readFile(join(this.#directory, key), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as CachedLayer);
  }

  async put(key: string, layer: CachedLayer): Promise<void> {
    const part = join(this.#directory, `.${key}.${await fs.readlink('/proc/self').catch(() => '0')}`);
    await fs.writeFile(part, JSON.stringify(layer));
    await fs.rename(part, join(this.#directory, key));
  }

  async list(): Promise<readonly CachedLayer[]> {
    const names = (await fs.readdir(this.#directory).catch(() => [])).filter((name) => !name.startsWith('.'));
    return (await Promise.all(names.map((name) => this.get(name)))).filter((layer) => layer !== undefined);
  }

  /** Forgets all; the layers go with the next removal of what nobody names. */
  async clear(): Promise<void> {
    for (const name of await fs.readdir(this.#directory)) await fs.rm(join(this.#directory, name), { force: true });
  }
}
