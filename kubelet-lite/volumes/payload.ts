import type {
  ClusterTrustBundle,
  ConfigMap,
  DownwardAPIVolumeFile,
  KeyToPath,
  Secret,
  Volume,
  VolumeProjection,
} from '@trimtab/machinery';
import { type DownwardFacts, fieldValue, resourceValue } from '../container/downward.js';
import { trustAnchors } from './trust-anchors.js';

/** Files of a volume by path relative to it; `mode` without file type bits. */
export type Payload = ReadonlyMap<string, PayloadFile>;

export interface PayloadFile {
  readonly data: Uint8Array;
  readonly mode: number;
  /** Owned by this user instead of root: a token for a container that runs as one. */
  readonly uid?: number;
}

export interface PayloadSources {
  readonly downward: DownwardFacts;
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  bundles(): readonly ClusterTrustBundle[];
  /** The current token for a `serviceAccountToken` source, by the place of the source in its volume. */
  token(source: number): string;
}

const DEFAULT_MODE = 0o644;
const TOKEN_MODE = 0o600;

/** True for volumes whose content is made of API objects and written by us. */
export function isPayloadVolume(volume: Volume): boolean {
  return Boolean(volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected);
}

/** The complete content of such a volume. Throws an Error that names what is missing. */
export function payloadOf(volume: Volume, sources: PayloadSources): Payload {
  const files = new Map<string, PayloadFile>();
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) addConfigMap(files, configMap, configMap.defaultMode ?? DEFAULT_MODE, sources);
  if (secret) addSecret(files, { ...secret, name: secret.secretName }, secret.defaultMode ?? DEFAULT_MODE, sources);
  if (downwardAPI) addDownward(files, downwardAPI.items, downwardAPI.defaultMode ?? DEFAULT_MODE, sources);
  projected?.sources?.forEach((source, index) => {
    addProjection(files, source, index, projected.defaultMode ?? DEFAULT_MODE, sources);
  });
  return files;
}

function addProjection(
  files: Map<string, PayloadFile>,
  source: VolumeProjection,
  index: number,
  mode: number,
  sources: PayloadSources,
): void {
  if (source.configMap) addConfigMap(files, source.configMap, mode, sources);
  if (source.secret) addSecret(files, source.secret, mode, sources);
  if (source.downwardAPI) addDownward(files, source.downwardAPI.items, mode, sources);
  if (source.serviceAccountToken) {
    const uid = commonUser(sources);
    const shared = uid === undefined && sources.downward.pod.spec.securityContext?.fsGroup === undefined;
    const data = Buffer.from(sources.token(index));
    const tokenMode = shared ? mode : TOKEN_MODE;
    add(files, source.serviceAccountToken.path, { data, mode: tokenMode, ...(uid === undefined ? {} : { uid }) });
  }
  if (source.clusterTrustBundle) {
    const { path } = source.clusterTrustBundle;
    add(files, path, { data: Buffer.from(trustAnchors(source.clusterTrustBundle, sources.bundles())), mode });
  }
  if (source.podCertificate)
    throw new Error(
      'projected source podCertificate is not supported by this node; a serviceAccountToken proves to others who the pod is',
    );
}

/** The user whom all containers run as, where the pod says so: a token is theirs alone (kubernetes: FsUserFrom). */
function commonUser({ downward }: PayloadSources): number | undefined {
  const { spec } = downward.pod;
  const users = new Set(
    [...(spec.initContainers ?? []), ...spec.containers].map(
      (c) => c.securityContext?.runAsUser ?? spec.securityContext?.runAsUser,
    ),
  );
  return users.size === 1 ? [...users][0] : undefined;
}

interface ObjectSource {
  readonly name?: string;
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
}

function addConfigMap(
  files: Map<string, PayloadFile>,
  from: ObjectSource,
  mode: number,
  sources: PayloadSources,
): void {
  const map = sources.configMap(from.name ?? '');
  if (!map && !from.optional) throw new Error(`configmap "${from.name}" not found`);
  const data = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(map?.data ?? {})) data.set(key, Buffer.from(value));
  for (const [key, value] of Object.entries(map?.binaryData ?? {})) data.set(key, Buffer.from(value, 'base64'));
  addKeys(files, data, from, mode, 'config');
}

function addSecret(files: Map<string, PayloadFile>, from: ObjectSource, mode: number, sources: PayloadSources): void {
  const secret = sources.secret(from.name ?? '');
  if (!secret && !from.optional) throw new Error(`secret "${from.name}" not found`);
  const data = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(secret?.data ?? {})) data.set(key, Buffer.from(value, 'base64'));
  addKeys(files, data, from, mode, 'secret');
}

function addKeys(
  files: Map<string, PayloadFile>,
  data: ReadonlyMap<string, Uint8Array>,
  from: ObjectSource,
  mode: number,
  what: string,
): void {
  if (!from.items?.length) {
    for (const [key, bytes] of data) add(files, key, { data: bytes, mode });
    return;
  }
  for (const item of from.items) {
    const bytes = data.get(item.key);
    if (bytes) add(files, item.path, { data: bytes, mode: item.mode ?? mode });
    else if (!from.optional) throw new Error(`references non-existent ${what} key: ${item.key}`);
  }
}

function addDownward(
  files: Map<string, PayloadFile>,
  items: readonly DownwardAPIVolumeFile[] | undefined,
  mode: number,
  sources: PayloadSources,
): void {
  for (const item of items ?? []) {
    const text = item.fieldRef
      ? fieldValue(item.fieldRef, sources.downward)
      : item.resourceFieldRef
        ? resourceValue(item.resourceFieldRef, sources.downward)
        : '';
    add(files, item.path, { data: Buffer.from(text), mode: item.mode ?? mode });
  }
}

function add(files: Map<string, PayloadFile>, path: string, file: PayloadFile): void {
  const parts = path.split('/');
  if (path === '' || path.startsWith('/') || parts.includes('..') || path.startsWith('..')) {
    throw new Error(`path "${path}" must be relative, must not contain ".." and must not start with ".."`);
  }
  files.set(path, file);
}
