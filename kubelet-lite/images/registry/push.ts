import { createReadStream } from 'node:fs';
import type { BlobStore } from '../blob-store.js';
import { ImageError } from '../image-store.js';
import { type Descriptor, digestOf, type Manifest, MediaTypes, parseManifest } from '../manifest.js';
import { formatReference, type Reference } from '../reference.js';
import { type CredentialEntries, credentialsFor, type RegistryCredential } from './credentials.js';
import { endpointsOf } from './hosts.js';
import { type RegistryOptions, sessionFor } from './pull.js';
import { RegistryError, type RegistrySession } from './session.js';
import { TransportError } from './transport.js';

export interface PushOptions extends RegistryOptions {
  readonly credentials: readonly CredentialEntries[];
  /** Repositories of the same registry that may hold the blobs already: they are mounted instead of sent. */
  readonly mountFrom?: readonly string[];
  readonly progress?: (event: {
    readonly digest: string;
    readonly state: 'sent' | 'present' | 'mounted';
    readonly size: number;
  }) => void;
}

/** Sends a manifest and all it names; the digest the registry knows it by is that of `manifest`. Rejects with an ImageError. */
export async function pushImage(
  reference: Reference,
  manifest: Buffer,
  blobs: BlobStore,
  options: PushOptions,
): Promise<string> {
  const name = formatReference(reference);
  // Mirrors are for reading.
  const endpoint = endpointsOf(reference.registry, options.config).at(-1)!;
  const credentials: (RegistryCredential | undefined)[] = [...credentialsFor(reference, options.credentials)];
  if (endpoint.credential) credentials.push(endpoint.credential);
  if (credentials.length === 0) credentials.push(undefined);
  let failure: unknown;
  for (const credential of credentials) {
    const session = sessionFor(endpoint, credential, reference, 'pull,push', options);
    try {
      return await pushWith(session, reference, manifest, blobs, options);
    } catch (error) {
      failure = error;
      if (!(error instanceof RegistryError) || (error.status !== 401 && error.status !== 403)) break;
    } finally {
      session.close();
    }
  }
  throw new ImageError('ErrImagePull', name, `failed to push image "${name}": ${explain(failure)}`);
}

async function pushWith(
  session: RegistrySession,
  reference: Reference,
  bytes: Buffer,
  blobs: BlobStore,
  options: PushOptions,
): Promise<string> {
  const manifest = parseManifest(bytes) as Manifest;
  // Layers first: a registry may refuse a manifest that names what it does not hold.
  await Promise.all(manifest.layers.map((layer) => pushBlob(session, layer, blobs, options)));
  await pushBlob(session, manifest.config, blobs, options);
  const digest = digestOf(bytes);
  const response = await session.request(
    {
      method: 'PUT',
      url: session.url(`manifests/${reference.tag ?? digest}`),
      headers: { 'Content-Type': manifest.mediaType ?? MediaTypes.ociManifest, 'Content-Length': String(bytes.length) },
      body: () => bytes,
    },
    200,
    201,
    202,
  );
  response.resume();
  return digest;
}

async function pushBlob(
  session: RegistrySession,
  { digest, size }: Descriptor,
  blobs: BlobStore,
  { mountFrom = [], progress }: PushOptions,
): Promise<void> {
  const there = await session.request({ method: 'HEAD', url: session.url(`blobs/${digest}`) }, 200, 404);
  there.resume();
  if (there.statusCode === 200) return progress?.({ digest, state: 'present', size });
  const begin = session.url('blobs/uploads/');
  if (mountFrom[0] !== undefined) {
    begin.searchParams.set('mount', digest);
    begin.searchParams.set('from', mountFrom[0]);
  }
  const begun = await session.request({ method: 'POST', url: begin, headers: { 'Content-Length': '0' } }, 201, 202);
  begun.resume();
  if (begun.statusCode === 201) return progress?.({ digest, state: 'mounted', size });
  const location = begun.headers.location;
  if (location === undefined) throw new RegistryError(502, '', 'the registry does not say where to upload to');
  const url = new URL(location, session.url(''));
  url.searchParams.set('digest', digest);
  const sent = await session.request(
    {
      method: 'PUT',
      url,
      headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': String(size) },
      body: () => createReadStream(blobs.path(digest), { highWaterMark: 1 << 18 }),
    },
    201,
    204,
  );
  sent.resume();
  progress?.({ digest, state: 'sent', size });
}

function explain(error: unknown): string {
  if (error instanceof TransportError) return `failed to do request: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
