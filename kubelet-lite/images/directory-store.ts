import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger, Random } from '@trimtab/machinery';
import { type Architecture, type ArchivedImage, type ConfigFile, digestOf, readArchive } from './archive.js';
import { type Image, ImageError, type ImageStore } from './image-store.js';
import { applyWhiteouts, LayerError, linkTree, unpackLayer } from './layer.js';
import { formatReference, parseReference } from './reference.js';

export interface DirectoryStoreOptions {
  /** Holds `refs/` (one file a tag, its content the image's id), `images/` (one record an image) and `layers/`. */
  readonly directory: string;
  readonly architecture: Architecture;
  readonly random: Random;
  readonly logger: Logger;
}

/** What is kept of an image; layers are names below `layers/`, topmost first. */
interface ImageRecord {
  readonly id: string;
  readonly digests: readonly string[];
  readonly size: number;
  readonly layers: readonly string[];
  readonly config: ConfigFile;
}

/**
 * Images in a directory. Every change is one rename, so several processes may use it at once and a crash at any instant
 * leaves either the old or the new state, at worst with an unused directory in `tmp/`, which a load an hour later removes.
 */
export async function directoryImageStore(options: DirectoryStoreOptions): Promise<ImageStore> {
  for (const part of ['refs', 'images', 'layers']) await fs.mkdir(join(options.directory, part), { recursive: true });
  return new DirectoryImageStore(options);
}

class DirectoryImageStore implements ImageStore {
  constructor(readonly options: DirectoryStoreOptions) {}

  async find(reference: string): Promise<Image | undefined> {
    if (/^(sha256:)?[0-9a-f]{64}$/.test(reference)) return this.#image(hex(reference), await this.#tags());
    const wanted = formatReference(parseReference(reference));
    const id = await fs.readFile(this.#path('refs', encodeURIComponent(wanted)), 'utf8').catch(() => undefined);
    if (id !== undefined) return this.#image(hex(id), await this.#tags());
    return (await this.list()).find((image) => image.digests.includes(wanted));
  }

  async pull(reference: string): Promise<Image> {
    const { registry } = parseReference(reference);
    throw new ImageError(
      'ErrImagePull',
      reference,
      `failed to pull image "${reference}": this version does not fetch from registries (${registry}); bring the image with: trimtab image load FILE`,
    );
  }

  async load(archive: AsyncIterable<Uint8Array>): Promise<readonly Image[]> {
    const spool = await this.#temporary();
    try {
      const archived = await readArchive(archive, spool, this.options.architecture);
      const ids: string[] = [];
      for (const image of archived) ids.push(await this.#store(image));
      await this.#sweep(spool);
      const images = await this.list();
      return ids.map((id) => images.find((image) => image.id === id)!);
    } finally {
      await fs.rm(spool, { recursive: true, force: true });
    }
  }

  async list(): Promise<readonly Image[]> {
    const tags = await this.#tags();
    const records = (await fs.readdir(this.#path('images'))).filter((file) => file.endsWith('.json'));
    const images = await Promise.all(records.map((file) => this.#image(file.slice(0, -5), tags)));
    return images.filter((image) => image !== undefined);
  }

  async remove(reference: string): Promise<boolean> {
    const image = await this.find(reference);
    if (image === undefined) return false;
    const byTag = !reference.includes(image.id.slice(7)) && image.tags.length > 1;
    const going = byTag ? [formatReference(parseReference(reference))] : image.tags;
    for (const tag of going) await fs.rm(this.#path('refs', encodeURIComponent(tag)), { force: true });
    if (byTag) return true;
    const record = await this.#record(hex(image.id));
    await fs.rm(this.#path('images', `${hex(image.id)}.json`), { force: true });
    const others = await Promise.all((await this.list()).map((other) => this.#record(hex(other.id))));
    const used = new Set(others.flatMap((other) => other?.layers ?? []));
    for (const layer of record?.layers ?? [])
      if (!used.has(layer)) await fs.rm(this.#path('layers', layer), { recursive: true, force: true });
    return true;
  }

  async #store(image: ArchivedImage): Promise<string> {
    const diffIds = image.config.rootfs.diff_ids;
    if (diffIds.length !== image.layers.length)
      throw new LayerError(`image ${image.id} names ${diffIds.length} layers, its manifest ${image.layers.length}`);
    let layers: string[] = [];
    let size = 0;
    for (const [index, file] of image.layers.entries()) {
      const layer = await this.#layer(file, diffIds[index]!, layers);
      layers = layer.stack;
      size += layer.size;
    }
    const references = image.tags.map(parseReference);
    const digests = image.manifestDigest
      ? references.map((r) => formatReference({ ...r, digest: image.manifestDigest! }))
      : [];
    const record: ImageRecord = { id: image.id, digests, size, layers, config: image.config };
    await this.#write(this.#path('images', `${hex(image.id)}.json`), JSON.stringify(record));
    for (const r of references) await this.#write(this.#path('refs', encodeURIComponent(formatReference(r))), image.id);
    return image.id;
  }

  /**
   * Unpacks one layer on top of `below`, or finds it present. A layer that deletes becomes one directory with all that is
   * below it, named after the whole stack.
   */
  async #layer(file: string, diffId: string, below: readonly string[]): Promise<{ stack: string[]; size: number }> {
    const own = hex(diffId);
    const known = await this.#layerSize(own);
    if (known !== undefined) return { stack: [own, ...below], size: known };
    const merged = hex(digestOf(Buffer.from([own, ...below].join('\n'))));
    const present = await this.#layerSize(merged);
    if (present !== undefined) return { stack: [merged], size: present };
    const work = await this.#temporary();
    try {
      await fs.mkdir(join(work, 'root'));
      const { diffId: found, size, whiteouts } = await unpackLayer(file, join(work, 'root'));
      if (found !== diffId) throw new LayerError(`a layer does not match its digest: ${found} instead of ${diffId}`);
      const deletes = whiteouts.length > 0 && below.length > 0;
      if (!deletes) {
        await this.#place(work, own, size);
        return { stack: [own, ...below], size };
      }
      const target = join(work, 'merged');
      await fs.mkdir(join(target, 'root'), { recursive: true });
      for (const layer of [...below].reverse())
        await linkTree(this.#path('layers', layer, 'root'), join(target, 'root'));
      await applyWhiteouts(join(target, 'root'), whiteouts);
      await linkTree(join(work, 'root'), join(target, 'root'));
      await this.#place(target, merged, size);
      return { stack: [merged], size };
    } finally {
      await fs.rm(work, { recursive: true, force: true });
    }
  }

  async #place(directory: string, layer: string, size: number): Promise<void> {
    await fs.writeFile(join(directory, 'size'), String(size));
    await fs.chmod(join(directory, 'root'), 0o755);
    await fs.rename(directory, this.#path('layers', layer)).catch(async (error: NodeJS.ErrnoException) => {
      // Another process was faster with the same content.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      await fs.rm(directory, { recursive: true, force: true });
    });
  }

  /** Undefined when the layer is not here: its size is written before it gets its name. */
  async #layerSize(layer: string): Promise<number | undefined> {
    const text = await fs.readFile(this.#path('layers', layer, 'size'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : Number(text);
  }

  async #image(name: string, tags: readonly [string, string][]): Promise<Image | undefined> {
    const record = await this.#record(name);
    if (record === undefined) return undefined;
    return {
      id: record.id,
      tags: tags.filter(([, id]) => id === record.id).map(([tag]) => tag),
      digests: record.digests,
      size: record.size,
      layers: record.layers.map((layer) => this.#path('layers', layer, 'root')),
      config: record.config.config ?? {},
    };
  }

  async #record(name: string): Promise<ImageRecord | undefined> {
    const text = await fs.readFile(this.#path('images', `${name}.json`), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as ImageRecord);
  }

  async #tags(): Promise<[string, string][]> {
    const files = await fs.readdir(this.#path('refs'));
    const pairs = await Promise.all(
      files.map(async (file): Promise<[string, string] | undefined> => {
        const id = await fs.readFile(this.#path('refs', file), 'utf8').catch(() => undefined);
        return id === undefined ? undefined : [decodeURIComponent(file), id];
      }),
    );
    return pairs.filter((pair) => pair !== undefined);
  }

  async #temporary(): Promise<string> {
    const name = Buffer.from(this.options.random.bytes(8)).toString('hex');
    const path = this.#path('tmp', name);
    await fs.mkdir(path, { recursive: true });
    return path;
  }

  /** Removes what crashed loads left behind an hour or more before `now` was made, by the file system's own clock. */
  async #sweep(now: string): Promise<void> {
    const { mtimeMs } = await fs.stat(now);
    for (const name of await fs.readdir(this.#path('tmp'))) {
      const stat = await fs.stat(this.#path('tmp', name)).catch(() => undefined);
      if (stat !== undefined && mtimeMs - stat.mtimeMs > 3_600_000)
        await fs.rm(this.#path('tmp', name), { recursive: true, force: true });
    }
  }

  async #write(path: string, text: string): Promise<void> {
    const temporary = join(await this.#temporary(), 'file');
    await fs.writeFile(temporary, text);
    await fs.rename(temporary, path);
    await fs.rm(join(temporary, '..'), { recursive: true, force: true });
  }

  #path(...parts: string[]): string {
    return join(this.options.directory, ...parts);
  }
}

const hex = (digest: string): string => digest.replace(/^sha256:/, '');
