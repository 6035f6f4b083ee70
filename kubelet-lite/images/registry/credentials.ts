import type { Reference } from '../reference.js';

/** What a registry is told about who asks. */
export interface RegistryCredential {
  readonly username?: string;
  readonly password?: string;
  /** An OAuth2 refresh token, exchanged for access tokens. */
  readonly identityToken?: string;
  /** Sent as it is. */
  readonly registryToken?: string;
}

/** Keys of a docker configuration to what they are for, as they were written. */
export type CredentialEntries = readonly (readonly [key: string, credential: RegistryCredential])[];

interface AuthEntry {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

export class CredentialError extends Error {
  override name = 'CredentialError';
}

/**
 * Reads `.dockerconfigjson` / `config.json` (`{"auths": …}`) or the older `.dockercfg` (the map itself). Throws a
 * {@link CredentialError} that never holds the text, which is secret.
 */
export function parseDockerConfig(text: string): CredentialEntries {
  let value: Readonly<Record<string, unknown>>;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CredentialError('the docker configuration is not JSON');
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new CredentialError('the docker configuration is not a JSON object');
  const whole = 'auths' in value || 'credHelpers' in value || 'credsStore' in value || 'HttpHeaders' in value;
  const auths = (whole ? (value.auths ?? {}) : value) as Readonly<Record<string, AuthEntry>>;
  return Object.entries(auths)
    .filter(([, entry]) => entry !== null && typeof entry === 'object')
    .map(([key, entry]) => [key, credentialOf(key, entry)] as const)
    .filter(([, credential]) => Object.keys(credential).length > 0);
}

function credentialOf(key: string, entry: AuthEntry): RegistryCredential {
  let { username, password } = entry;
  if (entry.auth) {
    const decoded = Buffer.from(entry.auth, 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    if (colon < 0) throw new CredentialError(`auths["${key}"].auth is not base64 of user:password`);
    username = decoded.slice(0, colon);
    // Docker's own client pads with NUL bytes.
    password = decoded.slice(colon + 1).replace(/\0+$/, '');
  }
  return {
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(entry.identitytoken ? { identityToken: entry.identitytoken } : {}),
    ...(entry.registrytoken ? { registryToken: entry.registrytoken } : {}),
  };
}

const DEFAULT_KEYS = ['index.docker.io', 'docker.io', 'registry-1.docker.io'];

/**
 * Those that may be tried for an image, best first: the key that names most of its path wins; keys may have `*` in the parts of
 * the host's name. Entries of `sources` come in the sources' order among equals, so secrets go before the node's own file. Follows
 * the kubelet's keyring (documented under "Configuration file interpretation" of Kubernetes' images page).
 */
export function credentialsFor(image: Reference, sources: readonly CredentialEntries[]): readonly RegistryCredential[] {
  const found: { readonly key: string; readonly source: number; readonly credential: RegistryCredential }[] = [];
  for (const [source, entries] of sources.entries())
    for (const [raw, credential] of entries) {
      const key = normalKey(raw);
      const names = image.registry === 'docker.io' ? DEFAULT_KEYS : [image.registry];
      if (names.some((host) => matches(key, `${host}/${image.repository}`))) found.push({ key, source, credential });
    }
  found.sort(
    (a, b) => a.source - b.source || b.key.split('/').length - a.key.split('/').length || (a.key < b.key ? 1 : -1),
  );
  const seen = new Set<string>();
  return found
    .map(({ credential }) => credential)
    .filter((credential) => {
      const text = JSON.stringify(credential);
      return !seen.has(text) && seen.add(text);
    });
}

/** `https://index.docker.io/v1/` is written for `index.docker.io`. */
function normalKey(key: string): string {
  return key
    .replace(/^https?:\/\//, '')
    .replace(/\/v[12]\/?$/, '')
    .replace(/\/+$/, '');
}

function matches(key: string, target: string): boolean {
  const [keyHost = '', ...keyPath] = key.split('/');
  const [host = '', ...path] = target.split('/');
  const [keyName, keyPort] = splitPort(keyHost);
  const [name, port] = splitPort(host);
  if (keyPort !== port) return false;
  const keyParts = keyName.split('.');
  const parts = name.split('.');
  if (keyParts.length !== parts.length) return false;
  if (!keyParts.every((part, index) => glob(part, parts[index]!))) return false;
  return path.join('/').startsWith(keyPath.join('/'));
}

function splitPort(host: string): [string, string | undefined] {
  const match = /^(.*):(\d+)$/.exec(host);
  return match ? [match[1]!, match[2]] : [host, undefined];
}

function glob(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`).test(text);
}
