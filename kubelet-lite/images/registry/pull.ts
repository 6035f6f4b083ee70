import type { IncomingMessage } from 'node:http';
import type { Clock, Random } from '@trimtab/machinery';
import { type BlobStore, DigestError } from '../blob-store.js';
import { ImageError, type PullProgress } from '../image-store.js';
import {
  ACCEPTED_MANIFESTS,
  choosePlatform,
  type Descriptor,
  digestOf,
  isIndex,
  type Manifest,
  ManifestError,
  type Platform,
  parseManifest,
} from '../manifest.js';
import { formatReference, type Reference } from '../reference.js';
import { type CredentialEntries, credentialsFor, type RegistryCredential } from './credentials.js';
import { type Endpoint, endpointsOf, type RegistriesConfig } from './hosts.js';
import type { Proxies } from './proxies.js';
import { MAX_ATTEMPTS, RegistryError, RegistrySession } from './session.js';
import { bodyOf, TransportError } from './transport.js';

export interface RegistryOptions {
  readonly config: RegistriesConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly userAgent: string;
  readonly proxies?: Proxies | undefined;
}

export interface FetchOptions extends RegistryOptions {
  readonly platform: Platform;
  /** In order of precedence. */
  readonly credentials: readonly CredentialEntries[];
  readonly progress?: PullProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as soon as a layer's blob is here, in any order; the fetch fails when it rejects. */
  readonly onLayer: (layer: Descriptor, index: number, manifest: Manifest, config: Buffer) => Promise<void>;
  /** Layers that need not be fetched. */
  readonly isPresent: (layer: Descriptor) => Promise<boolean>;
}

export interface Fetched {
  /** What the tag names: an index's digest, or the manifest's own. */
  readonly digest: string;
  readonly manifestDigest: string;
  readonly manifest: Manifest;
  readonly config: Buffer;
}

interface Resolved {
  readonly session: RegistrySession;
  readonly digest: string;
  readonly bytes: Buffer;
}

const PARALLEL_LAYERS = 4;

/**
 * Brings an image's manifest, configuration and layers into `blobs` by the distribution specification. Rejects with an
 * {@link ImageError} in the words of container runtimes.
 */
export async function fetchImage(reference: Reference, blobs: BlobStore, options: FetchOptions): Promise<Fetched> {
  const name = formatReference(reference);
  const failed = (what: string): ImageError =>
    new ImageError('ErrImagePull', name, `failed to pull and unpack image "${name}": ${what}`);
  const resolved = await resolve(reference, options).catch((error) => {
    throw failed(`failed to resolve reference "${name}": ${explain(name, error)}`);
  });
  try {
    return await fetchResolved(resolved, blobs, options);
  } catch (error) {
    throw failed(error instanceof Error ? error.message : String(error));
  } finally {
    resolved.session.close();
  }
}

async function fetchResolved(
  { session, digest, bytes }: Resolved,
  blobs: BlobStore,
  options: FetchOptions,
): Promise<Fetched> {
  await blobs.write(digest, bytes);
  let manifest = parseManifest(bytes);
  let manifestDigest = digest;
  for (let depth = 0; isIndex(manifest); depth++) {
    if (depth > 3) throw new ManifestError('indexes within indexes, too deep');
    const chosen = choosePlatform(manifest, options.platform);
    const inner = (await blobs.read(chosen.digest)) ?? (await fetchManifest(session, chosen.digest)).bytes;
    await blobs.write(chosen.digest, inner);
    manifest = parseManifest(inner);
    manifestDigest = chosen.digest;
  }
  const found: Manifest = manifest;
  await fetchBlob(session, blobs, found.config, () => {});
  const config = (await blobs.read(found.config.digest))!;
  const { progress } = options;
  progress?.({ type: 'resolved', digest, layers: found.layers.map(({ digest: d, size }) => ({ digest: d, size })) });
  const pending = [...found.layers.entries()];
  const lane = async (): Promise<void> => {
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      const [index, layer] = next;
      const report = (bytesDone: number): void => progress?.({ type: 'layer', digest: layer.digest, bytes: bytesDone });
      if (!(await options.isPresent(layer))) await fetchBlob(session, blobs, layer, report);
      await options.onLayer(layer, index, found, config);
      progress?.({ type: 'unpacked', digest: layer.digest });
    }
  };
  // All lanes are waited for, so that nothing is still being written when the caller hears of a failure.
  const lanes = await Promise.allSettled(Array.from({ length: PARALLEL_LAYERS }, lane));
  const failed = lanes.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return { digest, manifestDigest, manifest: found, config };
}

async function fetchBlob(
  session: RegistrySession,
  blobs: BlobStore,
  { digest, size }: Descriptor,
  progress: (bytes: number) => void,
): Promise<void> {
  let mismatches = 0;
  await blobs.ingest(
    digest,
    size,
    async (offset) => {
      const headers: Record<string, string> = offset > 0 ? { Range: `bytes=${offset}-` } : {};
      const response = await session.request({ method: 'GET', url: session.url(`blobs/${digest}`), headers }, 200, 206);
      return { offset: response.statusCode === 206 ? offset : 0, content: response };
    },
    async (error, attempt) => {
      if (error instanceof DigestError) return ++mismatches === 1;
      if (error instanceof RegistryError || (error as Error).name === 'AbortError' || attempt >= MAX_ATTEMPTS)
        return false;
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
      await session.pause(attempt);
      return true;
    },
    progress,
  );
}

/** Asks mirrors, then the registry, each with every credential that fits; the first that knows the image wins. */
async function resolve(reference: Reference, options: FetchOptions): Promise<Resolved> {
  let failure: unknown;
  for (const endpoint of endpointsOf(reference.registry, options.config)) {
    const credentials: (RegistryCredential | undefined)[] = [...credentialsFor(reference, options.credentials)];
    if (endpoint.credential) credentials.push(endpoint.credential);
    if (credentials.length === 0) credentials.push(undefined);
    for (const credential of credentials)
      try {
        return await resolveAt(endpoint, credential, reference, options);
      } catch (error) {
        failure = error;
        if (!isRefusal(error)) break;
      }
  }
  throw failure;
}

const isRefusal = (error: unknown): boolean =>
  error instanceof RegistryError && (error.status === 401 || error.status === 403);

async function resolveAt(
  endpoint: Endpoint,
  credential: RegistryCredential | undefined,
  reference: Reference,
  options: FetchOptions,
): Promise<Resolved> {
  const session = sessionFor(endpoint, credential, reference, 'pull', options);
  try {
    return { session, ...(await fetchManifest(session, reference.digest ?? reference.tag!)) };
  } catch (error) {
    session.close();
    throw error;
  }
}

export function sessionFor(
  endpoint: Endpoint,
  credential: RegistryCredential | undefined,
  { repository }: Reference,
  actions: 'pull' | 'pull,push',
  { clock, random, userAgent, proxies, signal }: RegistryOptions & { readonly signal?: AbortSignal | undefined },
): RegistrySession {
  return new RegistrySession({ endpoint, repository, actions, credential, clock, random, userAgent, proxies, signal });
}

async function fetchManifest(
  session: RegistrySession,
  tagOrDigest: string,
): Promise<{ digest: string; bytes: Buffer }> {
  const response: IncomingMessage = await session.request(
    { method: 'GET', url: session.url(`manifests/${tagOrDigest}`), headers: { Accept: ACCEPTED_MANIFESTS } },
    200,
  );
  const bytes = await bodyOf(response);
  const digest = digestOf(bytes);
  const asked = tagOrDigest.startsWith('sha256:') ? tagOrDigest : response.headers['docker-content-digest'];
  if (asked !== undefined && asked !== digest)
    throw new DigestError(`the manifest that came for ${tagOrDigest} has the digest ${digest} instead of ${asked}`);
  return { digest, bytes };
}

function explain(name: string, error: unknown): string {
  if (error instanceof RegistryError && error.status === 404) return `${name}: not found`;
  if (error instanceof TransportError) return `failed to do request: ${error.message}`;
  if (isRefusal(error))
    return `pull access denied, repository does not exist or may require authorization: ${(error as Error).message}`;
  return error instanceof Error ? error.message : String(error);
}
