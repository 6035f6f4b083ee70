import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import type { ImageConfig } from './image-store.js';
import { compressionOf, LayerError, layerMediaType } from './layer.js';
import {
  choosePlatform,
  type Descriptor,
  digestOf,
  isIndex,
  type Manifest,
  MediaTypes,
  parseManifest,
} from './manifest.js';

/** One image of an archive, its blobs spooled to files. */
export interface ArchivedImage {
  readonly tags: readonly string[];
  readonly config: Buffer;
  readonly manifest: Buffer;
  /** Whether the manifest is the archive's own; one of the docker kind has none, and is given one. */
  readonly named: boolean;
  /** Content of the layers. */
  readonly blobs: readonly { readonly digest: string; readonly file: string }[];
}

/** The OCI image configuration as far as it is used here. */
export interface ConfigFile {
  readonly architecture?: string;
  readonly os?: string;
  readonly config?: ImageConfig;
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
}

/** The machine's architecture in Go's words, which image manifests use. */
export type Architecture = 'amd64' | 'arm64' | (string & {});

/**
 * Reads a docker-save or OCI archive into `spool`: tar, or tar in gzip. Throws LayerError when it is neither.
 */
export async function readArchive(
  bytes: AsyncIterable<Uint8Array>,
  spool: string,
  architecture: Architecture,
): Promise<readonly ArchivedImage[]> {
  const files = await spoolEntries(bytes, spool).catch((error: Error) => {
    // What tar and gzip say of bytes that are neither names nothing a user knows; the system's own errors do.
    if ('syscall' in error) throw error;
    throw new LayerError(`not an image archive: neither tar nor tar in gzip, or cut short (${error.message})`);
  });
  // Archives that are both say more by the index: the manifests the images came with.
  const index = files.get('index.json');
  if (index !== undefined) return ociImages(index, files, architecture);
  const docker = files.get('manifest.json');
  if (docker !== undefined) return dockerImages(docker, files);
  throw new LayerError(
    'not an image archive: neither manifest.json (docker save) nor index.json (OCI layout) is in it',
  );
}

async function spoolEntries(bytes: AsyncIterable<Uint8Array>, spool: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const links: [string, string][] = [];
  const tar = extract();
  const feeding = pipeline(gunzipped(bytes), tar);
  feeding.catch(() => {});
  for await (const entry of tar) {
    const name = entry.header.name.replace(/^\.\//, '');
    if (entry.header.type === 'file') {
      const path = join(spool, String(files.size));
      await pipeline(entry, createWriteStream(path));
      files.set(name, path);
    } else {
      // Older docker save writes repeated layers as links between entries.
      if (entry.header.type === 'symlink') links.push([name, join(name, '..', entry.header.linkname ?? '')]);
      entry.resume();
    }
  }
  await feeding;
  for (const [name, target] of links) if (files.has(target)) files.set(name, files.get(target)!);
  return files;
}

/** A file of the archive that must be JSON. */
function parse<T>(bytes: Buffer): T {
  try {
    return JSON.parse(bytes.toString('utf8')) as T;
  } catch (error) {
    throw new LayerError(`not an image archive: what should be JSON in it is not (${(error as Error).message})`);
  }
}

async function dockerImages(manifest: string, files: Map<string, string>): Promise<ArchivedImage[]> {
  const entries = parse<
    {
      readonly Config: string;
      readonly RepoTags?: readonly string[] | null;
      readonly Layers: readonly string[];
    }[]
  >(await fs.readFile(manifest));
  const images: ArchivedImage[] = [];
  for (const { Config, RepoTags, Layers } of entries) {
    const config = await fs.readFile(entryOf(files, Config));
    parse<ConfigFile>(config);
    const layers = [];
    const blobs = [];
    for (const name of Layers) {
      const file = entryOf(files, name);
      const { digest, size } = await describe(file);
      layers.push({ mediaType: layerMediaType(await compressionOf(file)), digest, size });
      blobs.push({ digest, file });
    }
    const manifest = manifestOf(config, layers);
    images.push({ tags: RepoTags ?? [], config, manifest, named: false, blobs });
  }
  return images;
}

/** A manifest of the OCI kind, always the same for the same parts. */
export function manifestOf(config: Buffer, layers: readonly Descriptor[]): Buffer {
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaTypes.ociManifest,
    config: { mediaType: MediaTypes.ociConfig, digest: digestOf(config), size: config.length },
    layers,
  };
  return Buffer.from(JSON.stringify(manifest));
}

async function describe(file: string): Promise<{ readonly digest: string; readonly size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
    size += (chunk as Buffer).length;
  }
  return { digest: `sha256:${hash.digest('hex')}`, size };
}

async function ociImages(index: string, files: Map<string, string>, architecture: string): Promise<ArchivedImage[]> {
  const blob = (digest: string): string => entryOf(files, `blobs/${digest.replace(':', '/')}`);
  const images: ArchivedImage[] = [];
  const visit = async (descriptor: Descriptor, name: string | undefined): Promise<void> => {
    const bytes = await fs.readFile(blob(descriptor.digest));
    if (digestOf(bytes) !== descriptor.digest)
      throw new LayerError(`blob ${descriptor.digest} does not match its digest`);
    const manifest = parseManifest(bytes);
    if (isIndex(manifest)) {
      const chosen = choosePlatform(manifest, { os: 'linux', architecture });
      return visit(chosen, nameOf(chosen) ?? name);
    }
    const blobs = manifest.layers.map((layer) => ({ digest: layer.digest, file: blob(layer.digest) }));
    for (const { digest, file } of blobs)
      if ((await describe(file)).digest !== digest) throw new LayerError(`blob ${digest} does not match its digest`);
    const config = await fs.readFile(blob(manifest.config.digest));
    if (digestOf(config) !== manifest.config.digest)
      throw new LayerError(`blob ${manifest.config.digest} does not match its digest`);
    images.push({ tags: name === undefined ? [] : [name], config, manifest: bytes, named: true, blobs });
  };
  const top = parse<{ readonly manifests: readonly Descriptor[] }>(await fs.readFile(index));
  for (const descriptor of top.manifests) await visit(descriptor, nameOf(descriptor));
  return images;
}

/** Containerd's annotation holds the whole reference; the OCI one often only the tag, which names nothing by itself. */
function nameOf({ annotations = {} }: Descriptor): string | undefined {
  const whole = annotations['io.containerd.image.name'];
  const reference = annotations['org.opencontainers.image.ref.name'];
  return whole ?? (reference !== undefined && /[/:]/.test(reference) ? reference : undefined);
}

function entryOf(files: Map<string, string>, name: string): string {
  const path = files.get(name);
  if (path === undefined) throw new LayerError(`the archive is incomplete: ${name} is missing`);
  return path;
}

function gunzipped(bytes: AsyncIterable<Uint8Array>): NodeJS.ReadableStream {
  const source = Readable.from(bytes);
  let decided: NodeJS.WritableStream | undefined;
  const out = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (decided === undefined && chunk[0] === 0x1f && chunk[1] === 0x8b) {
        const gunzip = createGunzip();
        gunzip.on('data', (data: Buffer) => this.push(data));
        gunzip.on('error', (error) => this.destroy(error));
        decided = gunzip;
      }
      if (decided === undefined) return done(null, chunk);
      if (decided.write(chunk)) done();
      else decided.once('drain', () => done());
    },
    flush(done) {
      if (decided === undefined) return done();
      decided.once('end', () => done());
      decided.end();
    },
  });
  source.on('error', (error) => out.destroy(error));
  return source.pipe(out);
}
