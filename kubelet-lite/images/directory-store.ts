import * as fs from 'node:fs/promises';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import { type Architecture, type ArchivedImage, type ConfigFile, readArchive } from './archive.js';
import { BlobStore } from './blob-store.js';
import { BuildCache } from './build/cache.js';
import { ImageRecords } from './image-records.js';
import type { Image, ImageStore, ImageUpkeep, ImageUsage, PullOptions, RemoveUnused } from './image-store.js';
import { ImageError } from './image-store.js';
import { LayerError } from './layer.js';
import { LayerStore } from './layer-store.js';
import { digestOf, hexOf, type Manifest, parsePlatform } from './manifest.js';
import { formatReference, parseReference, type Reference } from './reference.js';
import type { RegistriesConfig } from './registry/hosts.js';
import type { Proxies } from './registry/proxies.js';
import type { RegistryOptions } from './registry/pull.js';
import { imageOf, removeUnreferenced, usageOf } from './upkeep.js';
import { UseMarks } from './use-marks.js';

export interface DirectoryStoreOptions {
  /** Holds tags, records, blobs and unpacked layers. */
  readonly directory: string;
  /** The native core, which unpacks layers. */
  readonly coreBinary: string;
  readonly architecture: Architecture;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Mirrors and settings of registries; asked at each pull, so that it may change. */
  readonly registries?: () => Promise<RegistriesConfig>;
  /** Sent to registries. */
  readonly userAgent?: string;
  /** Through which registries are asked; default directly. */
  readonly proxies?: Proxies;
}

/** What the parts of a store share. */
export interface StoreParts {
  readonly records: ImageRecords;
  readonly blobs: BlobStore;
  readonly layers: LayerStore;
  readonly marks: UseMarks;
  readonly cache: BuildCache;
}

/**
 * Images in a directory. Every change is one rename, so several processes may use it at once and a crash at any instant
 * leaves either the old or the new state; what was begun is gone on with by the next pull, or swept by the next removal.
 */
export async function directoryImageStore(options: DirectoryStoreOptions): Promise<DirectoryImageStore> {
  const { directory, coreBinary, clock, random } = options;
  const parts: StoreParts = {
    records: new ImageRecords(directory, random),
    blobs: new BlobStore(directory, random),
    layers: new LayerStore(directory, coreBinary, random),
    marks: new UseMarks(`${directory}/marks`, clock, random),
    cache: new BuildCache(directory),
  };
  for (const part of Object.values(parts)) await part.make();
  return new DirectoryImageStore(options, parts);
}

interface ImageOrigin {
  readonly index?: string;
  readonly digests: readonly string[];
  /** Its manifest was written here. */
  readonly made?: boolean;
  /** A registry has it. */
  readonly pulled?: boolean;
}

export class DirectoryImageStore implements ImageStore, ImageUpkeep {
  readonly #options: DirectoryStoreOptions;
  readonly #pulls = new Map<string, Promise<Image>>();

  constructor(
    options: DirectoryStoreOptions,
    /** For whoever builds, saves or pushes images. */
    readonly parts: StoreParts,
  ) {
    this.#options = options;
  }

  async find(reference: string): Promise<Image | undefined> {
    const { records } = this.parts;
    if (/^(sha256:)?[0-9a-f]{64}$/.test(reference)) return this.#image(reference);
    const wanted = formatReference(parseReference(reference));
    const id = await records.tag(wanted);
    if (id !== undefined) return this.#image(id);
    const record = wanted.includes('@') ? (await records.list()).find((r) => r.digests.includes(wanted)) : undefined;
    return record === undefined ? undefined : imageOf(this.parts, record, await records.tags());
  }

  pull(reference: string, options: PullOptions = {}): Promise<Image> {
    // Whoever has other credentials may be shown another image, or none.
    const key = JSON.stringify([reference, options.platform, options.credentials ?? []]);
    const running = this.#pulls.get(key);
    if (running !== undefined) return running;
    const pull = this.#pull(reference, options).finally(() => this.#pulls.delete(key));
    this.#pulls.set(key, pull);
    return pull;
  }

  async #pull(text: string, options: PullOptions): Promise<Image> {
    const reference = parseReference(text);
    const { blobs, layers, marks } = this.parts;
    const { fetchImage } = await import('./registry/pull.js');
    const registry = await this.registryOptions().catch((error: Error) => {
      throw new ImageError('ErrImagePull', text, `failed to pull image "${text}": ${error.message}`);
    });
    return marks.bringing(async () => {
      const diffIds = (config: Buffer): readonly string[] =>
        (JSON.parse(config.toString()) as ConfigFile).rootfs.diff_ids;
      const fetched = await fetchImage(reference, blobs, {
        ...registry,
        platform: parsePlatform(options.platform ?? this.#options.architecture),
        credentials: options.credentials ?? [],
        progress: options.progress,
        signal: options.signal,
        isPresent: async (layer) => (await blobs.size(layer.digest)) !== undefined,
        onLayer: async (layer, index, _manifest, config) => {
          const diffId = diffIds(config)[index];
          if (diffId === undefined) throw new LayerError('the image has more layers than its configuration names');
          await layers.ensure(diffId, blobs.path(layer.digest));
        },
      });
      const named = { registry: reference.registry, repository: reference.repository };
      return this.#record(fetched.config, fetched.manifestDigest, [reference], {
        index: fetched.digest,
        digests: [fetched.digest].map((digest) => formatReference({ ...named, digest })),
        pulled: true,
      });
    });
  }

  async registryOptions(): Promise<RegistryOptions> {
    const { clock, random, userAgent = 'trimtab', registries, proxies } = this.#options;
    return { config: (await registries?.()) ?? {}, clock, random, userAgent, proxies };
  }

  /** Makes an image of blobs and layers that are here be known. Layers are looked for once more: a record promises them. */
  async #record(
    config: Buffer,
    manifest: string,
    references: readonly Reference[],
    { index, digests, made, pulled }: ImageOrigin,
  ): Promise<Image> {
    const { records, layers } = this.parts;
    const id = digestOf(config);
    const parsed = JSON.parse(config.toString('utf8')) as ConfigFile;
    const names = parsed.rootfs.diff_ids.map(hexOf);
    const sizes = await Promise.all(names.map((name) => layers.size(name)));
    if (sizes.includes(undefined)) throw new LayerError(`a layer of ${id} was removed meanwhile: try again`);
    const before = await records.get(id);
    const local = !pulled && (before === undefined || before.local === true);
    await records.put({
      id,
      digests: [...new Set([...digests, ...(before?.digests ?? [])])],
      // One that the image came with says more than one that was made here.
      manifest: (made ? before?.manifest : undefined) ?? manifest,
      ...(index !== undefined && index !== manifest ? { index } : {}),
      size: sizes.reduce<number>((sum, size) => sum + size!, 0),
      layers: names.reverse(),
      config: parsed,
      ...(before?.pinned ? { pinned: true } : {}),
      ...(local ? { local } : {}),
    });
    for (const reference of references) if (reference.tag) await records.setTag(formatReference(reference), id);
    return (await this.#image(id))!;
  }

  /**
   * Makes an image of a configuration and a manifest be known under `references`; the layers' blobs are here already. For builds
   * and archives: `digests` are names by which it can be found besides.
   */
  async add(
    config: Buffer,
    manifest: Buffer,
    references: readonly Reference[],
    digests: readonly string[] = [],
    made = true,
  ): Promise<Image> {
    const { blobs, layers } = this.parts;
    const parsed = JSON.parse(config.toString('utf8')) as ConfigFile;
    const described = (JSON.parse(manifest.toString('utf8')) as Manifest).layers;
    if (described.length !== parsed.rootfs.diff_ids.length)
      throw new LayerError(
        `image ${digestOf(config)} names ${parsed.rootfs.diff_ids.length} layers, its manifest ${described.length}`,
      );
    for (const [at, layer] of described.entries())
      await layers.ensure(parsed.rootfs.diff_ids[at]!, blobs.path(layer.digest));
    await blobs.write(digestOf(config), config);
    await blobs.write(digestOf(manifest), manifest);
    return this.#record(config, digestOf(manifest), references, { digests, made });
  }

  async load(archive: AsyncIterable<Uint8Array>): Promise<readonly Image[]> {
    const { layers, marks } = this.parts;
    const spool = await layers.temporary();
    try {
      return await marks.bringing(async () => {
        const loaded: Image[] = [];
        for (const image of await readArchive(archive, spool, this.#options.architecture))
          loaded.push(await this.#loadOne(image));
        return loaded;
      });
    } finally {
      await fs.rm(spool, { recursive: true, force: true });
      await layers.sweep();
    }
  }

  async #loadOne(image: ArchivedImage): Promise<Image> {
    const { blobs } = this.parts;
    for (const { digest, file } of image.blobs)
      if ((await blobs.size(digest)) === undefined) {
        // Two images of an archive may share a layer, and the first has taken it.
        const shared = `${file}.copy`;
        await fs.link(file, shared);
        await blobs.adopt(digest, shared);
      }
    const references = image.tags.map(parseReference);
    const digests = image.named
      ? references.map((r) => formatReference({ ...r, digest: digestOf(image.manifest) }))
      : [];
    return this.add(image.config, image.manifest, references, digests, !image.named);
  }

  async list(): Promise<readonly Image[]> {
    const tags = await this.parts.records.tags();
    return (await this.parts.records.list()).map((record) => imageOf(this.parts, record, tags));
  }

  async remove(reference: string): Promise<boolean> {
    const { records } = this.parts;
    const image = await this.find(reference);
    if (image === undefined) return false;
    const byTag = !reference.includes(hexOf(image.id)) && !reference.includes('@') && image.tags.length > 1;
    const going = byTag ? [formatReference(parseReference(reference))] : image.tags;
    for (const tag of going) await records.removeTag(tag);
    if (byTag) return true;
    await records.remove(image.id);
    await removeUnreferenced(this.parts, this.#options.clock.now());
    return true;
  }

  async tag(reference: string, as: string): Promise<boolean> {
    const image = await this.find(reference);
    if (image === undefined) return false;
    await this.parts.records.setTag(formatReference(parseReference(as)), image.id);
    return true;
  }

  usage(): Promise<ImageUsage> {
    return usageOf(this.parts);
  }

  used(id: string, at: number): Promise<void> {
    return this.parts.records.used(id, at);
  }

  async pin(reference: string, pinned: boolean): Promise<boolean> {
    const image = await this.find(reference);
    const record = image && (await this.parts.records.get(image.id));
    if (record === undefined) return false;
    await this.parts.records.put({ ...record, pinned });
    return true;
  }

  async removeUnused(request: RemoveUnused): Promise<{ readonly removed: readonly Image[]; readonly bytes: number }> {
    const { bytes: before, images } = await this.usage();
    const going = images
      .filter(({ image, pinned }) => !pinned && !request.inUse.has(image.id))
      .filter(({ lastUsed }) => request.now - lastUsed >= (request.minAgeMs ?? 0))
      .filter(({ image, local }) => image.tags.length === 0 || !(request.danglingOnly || (local && !request.localToo)))
      .sort((a, b) => a.lastUsed - b.lastUsed);
    const removed: Image[] = [];
    // Layers of earlier builds go first: they can be made again from what is at hand.
    if (!request.danglingOnly) await this.parts.cache.clear();
    await removeUnreferenced(this.parts, request.now);
    let freed = before - (await this.usage()).bytes;
    for (const { image } of going) {
      if (request.bytes !== undefined && freed >= request.bytes) break;
      for (const tag of image.tags) await this.parts.records.removeTag(tag);
      await this.parts.records.remove(image.id);
      removed.push(image);
      await removeUnreferenced(this.parts, request.now);
      freed = before - (await this.usage()).bytes;
    }
    return { removed, bytes: freed };
  }

  async #image(id: string): Promise<Image | undefined> {
    const record = await this.parts.records.get(hexOf(id));
    return record && imageOf(this.parts, record, await this.parts.records.tags());
  }
}
