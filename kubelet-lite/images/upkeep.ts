import type { StoreParts } from './directory-store.js';
import type { ImageRecord } from './image-records.js';
import type { Image, ImageUsage } from './image-store.js';
import { hexOf, isIndex, parseManifest } from './manifest.js';

export function imageOf(
  { layers }: StoreParts,
  record: ImageRecord,
  tags: readonly (readonly [string, string])[],
): Image {
  return {
    id: record.id,
    tags: tags.filter(([, id]) => id === record.id).map(([tag]) => tag),
    digests: record.digests,
    size: record.size,
    layers: record.layers.map((layer) => layers.root(layer)),
    config: record.config.config ?? {},
  };
}

export async function usageOf(parts: StoreParts): Promise<ImageUsage> {
  const { records, blobs, layers } = parts;
  const tags = await records.tags();
  const sizes = await Promise.all([
    ...(await layers.list()).map((name) => layers.size(name)),
    ...(await blobs.list()).map((digest) => blobs.size(digest)),
  ]);
  return {
    bytes: sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0),
    images: await Promise.all(
      (await records.list()).map(async (record) => ({
        image: imageOf(parts, record, tags),
        lastUsed: await records.lastUsed(record.id),
        pinned: record.pinned ?? false,
        // Records of older versions do not say it; what came from a registry has a digest there.
        local: record.local ?? record.digests.length === 0,
      })),
    ),
  };
}

/** Blobs and layers that records and the build cache name. Derived each time: a count that is stored can be wrong. */
async function referenced({ records, blobs, cache }: StoreParts): Promise<{ blobs: Set<string>; layers: Set<string> }> {
  const found = { blobs: new Set<string>(), layers: new Set<string>() };
  for (const { diffId, descriptor } of await cache.list()) {
    found.layers.add(hexOf(diffId));
    found.blobs.add(descriptor.digest);
  }
  for (const record of await records.list()) {
    found.blobs.add(record.id);
    for (const layer of record.layers) found.layers.add(layer);
    if (record.index) found.blobs.add(record.index);
    if (!record.manifest) continue;
    found.blobs.add(record.manifest);
    const bytes = await blobs.read(record.manifest);
    const manifest = bytes && parseManifest(bytes);
    if (manifest && !isIndex(manifest)) for (const layer of manifest.layers) found.blobs.add(layer.digest);
  }
  return found;
}

/** Removes layers and blobs that no image names, except layers that containers stand on. Does nothing while somebody pulls. */
export async function removeUnreferenced(parts: StoreParts, now: number): Promise<void> {
  const { blobs, layers, marks } = parts;
  const taken = await marks.clearing(async () => {
    const wanted = await referenced(parts);
    const unused = (await layers.list()).filter((name) => !wanted.layers.has(name));
    // Reading every process's mounts is dear; mostly there is nothing to ask about.
    const mounted = unused.length > 0 ? await layers.mounted() : new Set<string>();
    const going = await Promise.all(unused.filter((name) => !mounted.has(name)).map((name) => layers.take(name)));
    for (const digest of await blobs.list()) if (!wanted.blobs.has(digest)) await blobs.remove(digest);
    return going;
  });
  for (const gone of taken ?? []) await gone();
  await layers.sweep();
  await blobs.sweep(now);
}
