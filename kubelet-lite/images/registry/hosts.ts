import type { RegistryCredential } from './credentials.js';

/** Where a registry is asked, and how. */
export interface Endpoint {
  /** Such as `https://registry-1.docker.io`, without `/v2`. */
  readonly url: string;
  readonly tls?: TlsOptions;
  readonly credential?: RegistryCredential;
  /** Repositories are named otherwise here. */
  readonly rewrite?: (repository: string) => string;
  /** False for a mirror: what is there may be older, so it is asked for content only. */
  readonly upstream: boolean;
}

export interface TlsOptions {
  /** Files; read when first used. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly insecureSkipVerify?: boolean;
}

interface MirrorEntry {
  readonly endpoint?: readonly string[];
  readonly rewrite?: Readonly<Record<string, string>>;
}

interface ConfigEntry {
  readonly auth?: {
    readonly username?: string;
    readonly password?: string;
    readonly auth?: string;
    readonly identity_token?: string;
  };
  readonly tls?: {
    readonly ca_file?: string;
    readonly cert_file?: string;
    readonly key_file?: string;
    readonly insecure_skip_verify?: boolean;
  };
}

/** The content of a registries file, as k3s writes it: `mirrors` and `configs`, both by registry (`*` for all others). */
export interface RegistriesConfig {
  readonly mirrors?: Readonly<Record<string, MirrorEntry | null>>;
  readonly configs?: Readonly<Record<string, ConfigEntry | null>>;
}

/** Throws with the field's path for anything that is not of that shape. */
export function checkRegistries(value: unknown): RegistriesConfig {
  const config = object(value ?? {}, 'the file');
  for (const key of Object.keys(config))
    if (key !== 'mirrors' && key !== 'configs') throw new Error(`${key}: unknown; there are mirrors and configs`);
  for (const [name, entry] of Object.entries(object(config.mirrors ?? {}, 'mirrors'))) {
    const { endpoint, rewrite, ...rest } = object(entry ?? {}, `mirrors["${name}"]`);
    for (const key of Object.keys(rest))
      throw new Error(`mirrors["${name}"].${key}: unknown; there are endpoint and rewrite`);
    if (endpoint !== undefined && !(Array.isArray(endpoint) && endpoint.every(isHttp)))
      throw new Error(`mirrors["${name}"].endpoint: a list of URLs of http or https is expected`);
    for (const [pattern, to] of Object.entries(object(rewrite ?? {}, `mirrors["${name}"].rewrite`))) {
      new RegExp(pattern);
      if (typeof to !== 'string') throw new Error(`mirrors["${name}"].rewrite["${pattern}"]: text is expected`);
    }
  }
  for (const [name, entry] of Object.entries(object(config.configs ?? {}, 'configs'))) {
    const { auth, tls, ...rest } = object(entry ?? {}, `configs["${name}"]`);
    for (const key of Object.keys(rest)) throw new Error(`configs["${name}"].${key}: unknown; there are auth and tls`);
    object(auth ?? {}, `configs["${name}"].auth`);
    object(tls ?? {}, `configs["${name}"].tls`);
  }
  return config as RegistriesConfig;
}

function object(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new Error(`${what}: a map is expected`);
  return value as Readonly<Record<string, unknown>>;
}

const isHttp = (text: unknown): boolean => typeof text === 'string' && /^https?:\/\/[^/]/.test(text);

/** Mirrors in their order, then the registry itself. Registries on this machine are asked without TLS unless one is configured. */
export function endpointsOf(registry: string, config: RegistriesConfig): readonly Endpoint[] {
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const mirror = config.mirrors?.[registry] ?? config.mirrors?.['*'];
  const rewrite = rewriteOf(mirror?.rewrite);
  const mirrors = (mirror?.endpoint ?? []).map((url) => url.replace(/\/+$/, '').replace(/\/v2$/, ''));
  const own = configOf(config, registry, host);
  const upstream = `${own?.tls === undefined && isLoopback(host) ? 'http' : 'https'}://${host}`;
  return [
    ...mirrors
      .filter((url) => url !== upstream)
      .map((url) => {
        const name = new URL(url).host;
        return { url, upstream: false, ...settings(configOf(config, name, name)), ...(rewrite ? { rewrite } : {}) };
      }),
    { url: mirrors.find((url) => url === upstream) ?? upstream, upstream: true, ...settings(own) },
  ];
}

const configOf = (config: RegistriesConfig, ...names: string[]): ConfigEntry | undefined =>
  names.map((name) => config.configs?.[name]).find((entry) => entry) ?? config.configs?.['*'] ?? undefined;

function settings(entry: ConfigEntry | undefined): Pick<Endpoint, 'tls' | 'credential'> {
  const { auth, tls } = entry ?? {};
  const [user, ...rest] = auth?.auth ? Buffer.from(auth.auth, 'base64').toString('utf8').split(':') : [];
  const username = user ?? auth?.username;
  const password = user === undefined ? auth?.password : rest.join(':');
  const identityToken = auth?.identity_token;
  return {
    ...(tls
      ? {
          tls: {
            ...(tls.ca_file ? { caFile: tls.ca_file } : {}),
            ...(tls.cert_file ? { certFile: tls.cert_file } : {}),
            ...(tls.key_file ? { keyFile: tls.key_file } : {}),
            insecureSkipVerify: tls.insecure_skip_verify ?? false,
          },
        }
      : {}),
    ...(username || identityToken
      ? {
          credential: {
            ...(username ? { username } : {}),
            ...(password ? { password } : {}),
            ...(identityToken ? { identityToken } : {}),
          },
        }
      : {}),
  };
}

/** Only the first pattern that fits is applied; `$1` stands for what its first group found. */
function rewriteOf(rules: Readonly<Record<string, string>> | undefined): ((repository: string) => string) | undefined {
  if (rules === undefined) return undefined;
  return (repository) => {
    for (const [pattern, to] of Object.entries(rules)) {
      const regex = new RegExp(pattern);
      if (regex.test(repository)) return repository.replace(regex, to);
    }
    return repository;
  };
}

function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, '');
  return name === 'localhost' || name === '[::1]' || /^127(\.\d+){3}$/.test(name);
}
