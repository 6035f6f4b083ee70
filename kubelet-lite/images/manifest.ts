import { createHash } from 'node:crypto';

/** Content addressed by digest (OCI image specification, descriptor). */
export interface Descriptor {
  readonly mediaType?: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
}

export interface Platform {
  readonly architecture?: string;
  readonly os?: string;
  readonly variant?: string;
}

/** The manifest of one image for one platform. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A list of manifests, one for each platform. */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly manifests: readonly Descriptor[];
}

export const MediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const;

/** What is asked for when a manifest is fetched. */
export const ACCEPTED_MANIFESTS: string = [
  MediaTypes.ociIndex,
  MediaTypes.dockerList,
  MediaTypes.ociManifest,
  MediaTypes.dockerManifest,
].join(', ');

export class ManifestError extends Error {
  override name = 'ManifestError';
}

/** Parses either kind by its content, since media types are not always sent. Throws a {@link ManifestError}. */
export function parseManifest(bytes: Uint8Array): Manifest | Index {
  let value: Partial<Omit<Manifest & Index, 'schemaVersion'>> & {
    readonly schemaVersion?: number;
    readonly fsLayers?: unknown;
  };
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new ManifestError(`the manifest is not JSON (${(error as Error).message})`);
  }
  if (value?.schemaVersion === 1 || value?.fsLayers !== undefined)
    throw new ManifestError('the image has a manifest of schema 1, which is no longer supported: push it again');
  if (Array.isArray(value?.manifests)) return { ...value, manifests: value.manifests.map(checked) } as unknown as Index;
  if (value?.config === undefined || !Array.isArray(value.layers))
    throw new ManifestError('what should be a manifest names neither layers nor manifests');
  checked(value.config);
  for (const layer of value.layers) checked(layer);
  return value as unknown as Manifest;
}

export const isIndex = (value: Manifest | Index): value is Index => 'manifests' in value;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

function checked(descriptor: Descriptor): Descriptor {
  if (typeof descriptor?.digest !== 'string' || !DIGEST.test(descriptor.digest))
    throw new ManifestError(`digest ${JSON.stringify(descriptor?.digest)} is not one of sha256`);
  if (!Number.isSafeInteger(descriptor.size) || descriptor.size < 0)
    throw new ManifestError(`the size of ${descriptor.digest} is not a number of bytes`);
  return descriptor;
}

/** Variants a machine can run, best first: arm64 is v8, arm runs every older one. */
const VARIANTS: Readonly<Record<string, readonly (string | undefined)[]>> = {
  arm64: ['v8', undefined],
  arm: ['v7', undefined, 'v6', 'v5'],
  amd64: [undefined, 'v1'],
};

/**
 * The entry of an index for a platform; entries that are no images (attestations have the platform unknown/unknown) are
 * passed over, an entry without a platform fits any. Throws a {@link ManifestError} that names what there is.
 */
export function choosePlatform(index: Index, { os = 'linux', architecture, variant }: Platform): Descriptor {
  const fitting = index.manifests.filter(
    ({ platform: p }) => p === undefined || ((p.os ?? 'linux') === os && p.architecture === architecture),
  );
  const order = variant !== undefined ? [variant] : (VARIANTS[architecture ?? ''] ?? [undefined]);
  const rank = (d: Descriptor): number => {
    const at = order.indexOf(d.platform?.variant);
    return d.platform === undefined ? order.length + 1 : at < 0 ? order.length : at;
  };
  const best = [...fitting].sort((a, b) => rank(a) - rank(b))[0];
  if (best !== undefined) return best;
  const there = index.manifests.map((m) => m.platform).filter((p) => p?.os !== 'unknown' && p !== undefined);
  throw new ManifestError(
    `no match for platform in manifest: ${os}/${architecture}${variant ? `/${variant}` : ''} is not among ${there.map(formatPlatform).join(', ') || 'none'}`,
  );
}

const formatPlatform = (p: Platform | undefined): string =>
  [p?.os, p?.architecture, p?.variant].filter((part) => part !== undefined).join('/');

/** `linux/arm64/v8` and shorter, as `--platform` takes it. */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant] = text.includes('/') ? text.split('/') : ['linux', text];
  const plain = { x86_64: 'amd64', aarch64: 'arm64' }[architecture ?? ''] ?? architecture;
  return { os, architecture: plain, ...(variant ? { variant } : {}) };
}

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export const hexOf = (digest: string): string => digest.replace(/^sha256:/, '');
