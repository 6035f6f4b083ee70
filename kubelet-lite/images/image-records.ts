import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '@trimtab/machinery';
import type { ConfigFile } from './archive.js';
import type { LayerName } from './layer-store.js';
import { hexOf } from './manifest.js';

/** What is kept of an image. */
export interface ImageRecord {
  readonly id: string;
  /** Full references by digest. */
  readonly digests: readonly string[];
  /** Digest of the manifest that describes its blobs, which are kept; absent for images of older versions. */
  readonly manifest?: string;
  /** Of the index the manifest was chosen from, if any. */
  readonly index?: string;
  /** Bytes of file content in its layers. */
  readonly size: number;
  /** Topmost first. */
  readonly layers: readonly LayerName[];
  readonly config: ConfigFile;
  readonly pinned?: boolean;
  /** It came by an archive or was built here: no registry is known to have it. */
  readonly local?: boolean;
}

/**
 * Which images there are (`images/`, one record each, its time the last use) and what they are called (`refs/`, one file a tag
 * whose content is the image's id). Every change is one rename.
 */
export class ImageRecords {
  readonly #directory: string;
  readonly #random: Random;

  constructor(directory: string, random: Random) {
    this.#directory = directory;
    this.#random = random;
  }

  async make(): Promise<void> {
    for (const part of ['refs', 'images']) await fs.mkdir(join(this.#directory, part), { recursive: true });
  }

  async get(id: string): Promise<ImageRecord | undefined> {
    const text = await fs.readFile(this.#record(id), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as ImageRecord);
  }

  async list(): Promise<readonly ImageRecord[]> {
    const files = (await fs.readdir(join(this.#directory, 'images'))).filter((file) => file.endsWith('.json'));
    const records = await Promise.all(files.map((file) => this.get(file.slice(0, -5))));
    return records.filter((record) => record !== undefined);
  }

  async lastUsed(id: string): Promise<number> {
    return (await fs.stat(this.#record(id)).catch(() => undefined))?.mtimeMs ?? 0;
  }

  async used(id: string, at: number): Promise<void> {
    await fs.utimes(this.#record(id), at / 1000, at / 1000).catch(() => {});
  }

  put(record: ImageRecord): Promise<void> {
    return this.#write(this.#record(record.id), JSON.stringify(record));
  }

  async remove(id: string): Promise<void> {
    await fs.rm(this.#record(id), { force: true });
  }

  /** Tags and the ids they stand for. */
  async tags(): Promise<readonly (readonly [tag: string, id: string])[]> {
    const files = (await fs.readdir(join(this.#directory, 'refs'))).filter((file) => !file.startsWith('.'));
    const pairs = await Promise.all(
      files.map(async (file) => [decodeURIComponent(file), await this.tag(decodeURIComponent(file))] as const),
    );
    return pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  }

  async tag(reference: string): Promise<string | undefined> {
    return fs.readFile(this.#ref(reference), 'utf8').catch(() => undefined);
  }

  setTag(reference: string, id: string): Promise<void> {
    return this.#write(this.#ref(reference), id);
  }

  async removeTag(reference: string): Promise<void> {
    await fs.rm(this.#ref(reference), { force: true });
  }

  async #write(path: string, text: string): Promise<void> {
    const temporary = join(this.#directory, 'refs', `.${Buffer.from(this.#random.bytes(8)).toString('hex')}`);
    // On the disk before it has its name: a record that is there after a power failure must not be empty.
    const file = await fs.open(temporary, 'w');
    await file.writeFile(text);
    await file.sync();
    await file.close();
    await fs.rename(temporary, path);
  }

  #record(id: string): string {
    return join(this.#directory, 'images', `${hexOf(id)}.json`);
  }

  #ref(reference: string): string {
    return join(this.#directory, 'refs', encodeURIComponent(reference));
  }
}
