import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type Pack, pack } from 'tar-stream';
import { manifestOf } from './archive.js';
import type { DirectoryImageStore } from './directory-store.js';
import type { ImageRecord } from './image-records.js';
import { ImageError } from './image-store.js';
import { layerMediaType } from './layer.js';
import { type Descriptor, hexOf, type Manifest, MediaTypes, parseManifest } from './manifest.js';
import { formatReference, parseReference } from './reference.js';
import type { PushOptions } from './registry/push.js';

/** The record of an image together with the bytes of its manifest. Rejects with an ImageError when either is missing. */
async function stored(
  store: DirectoryImageStore,
  reference: string,
): Promise<{ record: ImageRecord; manifest: Buffer }> {
  const image = await store.find(reference);
  const record = image && (await store.parts.records.get(image.id));
  if (record === undefined) throw new ImageError('ErrImageNeverPull', reference, `no image ${reference} is here`);
  const manifest = record.manifest ? await store.parts.blobs.read(record.manifest) : undefined;
  if (manifest === undefined)
    throw new ImageError(
      'ErrImageNeverPull',
      reference,
      `${reference} was brought by an older version that kept no blobs: load it again`,
    );
  return { record, manifest };
}

/**
 * Sends an image to a registry, under another name when `as` gives one, and resolves with the digest it has there. Layers that
 * came uncompressed are compressed first, always to the same bytes, and kept so.
 */
export async function push(
  store: DirectoryImageStore,
  reference: string,
  as: string | undefined,
  options: Pick<PushOptions, 'credentials' | 'progress'>,
): Promise<string> {
  const { records, blobs, marks } = store.parts;
  const target = parseReference(as ?? reference);
  const { pushImage } = await import('./registry/push.js');
  return marks.bringing(async () => {
    const { record, manifest } = await stored(store, reference);
    const compressed = await withCompressedLayers(store, record, manifest);
    const here = record.digests.map(parseReference).filter((r) => r.registry === target.registry);
    const digest = await pushImage(target, compressed, blobs, {
      ...(await store.registryOptions()),
      ...options,
      mountFrom: here.map((r) => r.repository).filter((repository) => repository !== target.repository),
    });
    const name = formatReference({ registry: target.registry, repository: target.repository, digest });
    await records.put({
      ...record,
      manifest: digest,
      digests: [...new Set([...record.digests, name])],
    });
    return digest;
  });
}

async function withCompressedLayers(store: DirectoryImageStore, record: ImageRecord, bytes: Buffer): Promise<Buffer> {
  const manifest = parseManifest(bytes) as Manifest;
  if (!manifest.layers.some((layer) => layer.mediaType === MediaTypes.ociLayer)) return bytes;
  const { blobs } = store.parts;
  const layers: Descriptor[] = [];
  for (const layer of manifest.layers)
    layers.push(layer.mediaType === MediaTypes.ociLayer ? await compressLayer(store, layer) : layer);
  const config = (await blobs.read(record.id))!;
  const compressed = manifestOf(config, layers);
  const digest = `sha256:${createHash('sha256').update(compressed).digest('hex')}`;
  await blobs.write(digest, compressed);
  return compressed;
}

async function compressLayer(store: DirectoryImageStore, layer: Descriptor): Promise<Descriptor> {
  const { blobs, layers } = store.parts;
  const work = await layers.temporary();
  try {
    const file = join(work, 'layer');
    const hash = createHash('sha256');
    const hashed = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of source) {
        hash.update(chunk);
        yield chunk;
      }
    };
    const content = createReadStream(blobs.path(layer.digest), { highWaterMark: 1 << 18 });
    await pipeline(content, createGzip(), hashed, createWriteStream(file));
    const digest = `sha256:${hash.digest('hex')}`;
    const { size } = await fs.stat(file);
    await blobs.adopt(digest, file);
    return { mediaType: layerMediaType('gzip'), digest, size };
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}

/** Times in archives are constant, so that the same images give the same archive. */
const EPOCH = new Date(0);

/**
 * Images as one tar stream that is both an OCI layout and what `docker load` reads. Manifests are those the images came with, so
 * digests stay.
 */
export async function* save(store: DirectoryImageStore, references: readonly string[]): AsyncGenerator<Uint8Array> {
  const images = await Promise.all(
    references.map(async (reference) => ({ reference, ...(await stored(store, reference)) })),
  );
  const tar = pack();
  const filling = fill(tar, store, images).then(
    () => tar.finalize(),
    (error: Error) => tar.destroy(error),
  );
  yield* tar as AsyncIterable<Uint8Array>;
  await filling;
}

async function fill(
  tar: Pack,
  { parts: { blobs } }: DirectoryImageStore,
  images: readonly { readonly reference: string; readonly record: ImageRecord; readonly manifest: Buffer }[],
): Promise<void> {
  const wanted = new Set<string>();
  const index: object[] = [];
  const docker: object[] = [];
  for (const { reference, record, manifest } of images) {
    const { layers, mediaType } = parseManifest(manifest) as Manifest;
    for (const digest of [...layers.map((layer) => layer.digest), record.id, record.manifest!]) wanted.add(digest);
    const byId = /^(sha256:)?[0-9a-f]{64}$/.test(reference);
    const name = byId ? undefined : parseReference(reference);
    index.push({
      mediaType: mediaType ?? MediaTypes.ociManifest,
      digest: record.manifest,
      size: manifest.length,
      ...(name
        ? {
            annotations: {
              'io.containerd.image.name': formatReference(name),
              ...(name.tag ? { 'org.opencontainers.image.ref.name': name.tag } : {}),
            },
          }
        : {}),
    });
    docker.push({
      Config: pathOf(record.id),
      RepoTags: name?.tag ? [formatReference(name).replace(/^docker\.io\/(library\/)?/, '')] : null,
      Layers: layers.map((layer) => pathOf(layer.digest)),
    });
  }
  const text = (name: string, value: object): void => {
    tar.entry({ name, mtime: EPOCH }, JSON.stringify(value));
  };
  text('oci-layout', { imageLayoutVersion: '1.0.0' });
  for (const digest of [...wanted].sort()) {
    const size = await blobs.size(digest);
    if (size === undefined) throw new Error(`blob ${digest} is missing: pull or load the image again`);
    const entry = tar.entry({ name: pathOf(digest), size, mode: 0o644, mtime: EPOCH });
    await pipeline(createReadStream(blobs.path(digest), { highWaterMark: 1 << 18 }), entry);
  }
  text('index.json', { schemaVersion: 2, mediaType: MediaTypes.ociIndex, manifests: index });
  text('manifest.json', docker);
}

const pathOf = (digest: string): string => `blobs/sha256/${hexOf(digest)}`;
