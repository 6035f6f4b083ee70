import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { type Clock, systemClock } from '@trimtab/machinery';
import { parse } from 'yaml';
import { type CredentialSource, type ExecConfig, execCredentials } from './credentials.js';
import { bypasses } from './tunnel.js';

/** Where an API server is and who we are to it. PEM texts; a function as token is asked before every request. */
export interface Connection {
  /** `https://host:port`, without a path unless the server has one. */
  readonly server: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string | (() => Promise<string> | string);
  /** User and password, for servers in front of which somebody asks for them. */
  readonly basic?: { readonly username: string; readonly password: string };
  /** Credentials that run out and are renewed; stronger than `token`, `cert` and `key`. */
  readonly credentials?: CredentialSource;
  /** Sent with every request: impersonation. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** `http://`, `https://` or `socks5://`, with user and password where it wants them. */
  readonly proxy?: string;
  /** The name the server's certificate must carry, where it is not the host. */
  readonly serverName?: string;
  readonly insecure?: boolean;
  /** Of the context, for commands that name none. */
  readonly namespace?: string;
}

interface Cluster {
  readonly server?: string;
  readonly 'certificate-authority'?: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'tls-server-name'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
  readonly 'proxy-url'?: string;
}

interface User {
  readonly 'client-certificate'?: string;
  readonly 'client-certificate-data'?: string;
  readonly 'client-key'?: string;
  readonly 'client-key-data'?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly as?: string;
  readonly 'as-uid'?: string;
  readonly 'as-groups'?: readonly string[];
  readonly 'as-user-extra'?: Readonly<Record<string, readonly string[]>>;
  readonly exec?: ExecConfig;
  readonly 'auth-provider'?: object;
}

interface Context {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

export interface KubeconfigOptions {
  readonly context?: string;
  /** Credential plugins run in it; `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are read from it. Default: none. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}

/**
 * Reads a kubeconfig, or several merged as kubectl merges `$KUBECONFIG`: the first file to name something wins, and files
 * that are not there are passed over. Paths are relative to their file; embedded data wins over files.
 *
 * @throws Error naming the file and what is wrong with it.
 */
export async function loadKubeconfig(
  files: string | readonly string[],
  options: KubeconfigOptions = {},
): Promise<Connection> {
  const names = typeof files === 'string' ? [files] : files;
  const texts: ConfigFile[] = [];
  for (const file of names) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && names.length > 1) return undefined;
      throw new Error(`cannot read kubeconfig ${file}: ${error.message}`);
    });
    if (text !== undefined) texts.push({ text, directory: dirname(resolve(file)), origin: file });
  }
  if (texts.length === 0) throw new Error(`cannot read kubeconfig: none of ${names.join(', ')} is there`);
  return connectionOf(texts, options);
}

export const connectionFrom = (
  text: string,
  options: KubeconfigOptions & { readonly directory?: string; readonly origin?: string } = {},
): Promise<Connection> =>
  connectionOf([{ text, directory: options.directory ?? '.', origin: options.origin ?? 'kubeconfig' }], options);

interface ConfigFile {
  readonly text: string;
  readonly directory: string;
  readonly origin: string;
}

async function connectionOf(files: readonly ConfigFile[], options: KubeconfigOptions): Promise<Connection> {
  const origin = files.map((file) => file.origin).join(', ');
  const configs = files.map(({ text, directory }) => ({
    directory,
    config: (parse(text) ?? {}) as Record<string, unknown>,
  }));
  const fail = (why: string): never => {
    throw new Error(`${origin}: ${why}`);
  };
  const named = <T>(kind: 'contexts' | 'clusters' | 'users', name: string): { value: T; directory: string } => {
    const field = kind.slice(0, -1);
    for (const { config, directory } of configs) {
      const list = (config[kind] ?? []) as readonly Record<string, unknown>[];
      const found = Array.isArray(list) ? list.find((entry) => entry.name === name) : undefined;
      if (found?.[field]) return { value: found[field] as T, directory };
    }
    return fail(`there is no ${field} "${name}" in ${kind}`);
  };
  const current = configs.map(({ config }) => config['current-context'] as string | undefined).find(Boolean);
  const contextName = options.context ?? current ?? fail('current-context is not set');
  const { value: context } = named<Context>('contexts', contextName);
  const { value: cluster, directory: clusterDirectory } = named<Cluster>('clusters', context.cluster ?? '');
  const { value: user, directory } = context.user
    ? named<User>('users', context.user)
    : { value: {} as User, directory: '.' };
  const server = cluster.server ?? fail(`cluster "${context.cluster}" has no server`);
  if (user['auth-provider'])
    fail(
      `user "${context.user}" logs in by auth-provider, which Kubernetes gave up in 1.26; have its tool write an exec entry`,
    );
  const pem = async (data: string | undefined, name: string | undefined, base: string): Promise<string | undefined> => {
    if (data) return Buffer.from(data, 'base64').toString();
    return name
      ? readFile(below(base, name), 'utf8').catch((error: Error) => fail(`cannot read ${name}: ${error.message}`))
      : undefined;
  };
  const ca = await pem(cluster['certificate-authority-data'], cluster['certificate-authority'], clusterDirectory);
  const cert = await pem(user['client-certificate-data'], user['client-certificate'], directory);
  const key = await pem(user['client-key-data'], user['client-key'], directory);
  const { tokenFile } = user;
  const token = user.token ?? (tokenFile ? () => readToken(below(directory, tokenFile)) : undefined);
  const { environment = {}, clock = systemClock } = options;
  const proxy = cluster['proxy-url'] || proxyFor(server, environment);
  const credentials =
    user.exec &&
    execCredentials(user.exec, {
      clock,
      environment,
      directory,
      cluster: {
        server,
        ...(ca ? { 'certificate-authority-data': Buffer.from(ca).toString('base64') } : {}),
        ...(cluster['tls-server-name'] ? { 'tls-server-name': cluster['tls-server-name'] } : {}),
        ...(cluster['proxy-url'] ? { 'proxy-url': cluster['proxy-url'] } : {}),
      },
    });
  const headers = impersonation(user);
  return {
    server: server.replace(/\/+$/, ''),
    ...(credentials ? { credentials } : {}),
    ...(user.username ? { basic: { username: user.username, password: user.password ?? '' } } : {}),
    ...(headers ? { headers } : {}),
    ...(proxy ? { proxy } : {}),
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    ...(token ? { token } : {}),
    ...(cluster['tls-server-name'] ? { serverName: cluster['tls-server-name'] } : {}),
    ...(cluster['insecure-skip-tls-verify'] ? { insecure: true } : {}),
    ...(context.namespace ? { namespace: context.namespace } : {}),
  };
}

const below = (directory: string, name: string): string => (isAbsolute(name) ? name : resolve(directory, name));

function impersonation(user: User): Connection['headers'] | undefined {
  if (!user.as) return undefined;
  return {
    'impersonate-user': user.as,
    ...(user['as-uid'] ? { 'impersonate-uid': user['as-uid'] } : {}),
    ...(user['as-groups'] ? { 'impersonate-group': user['as-groups'] } : {}),
    ...Object.fromEntries(
      Object.entries(user['as-user-extra'] ?? {}).map(([name, values]) => [
        `impersonate-extra-${encodeURIComponent(name.toLowerCase())}`,
        values,
      ]),
    ),
  };
}

/** The proxy the environment names for an address, by the variables every client knows. */
function proxyFor(server: string, environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const variable = (name: string) => environment[name] ?? environment[name.toLowerCase()];
  const { protocol, hostname } = new URL(server);
  const proxy = variable(protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY') ?? variable('ALL_PROXY');
  const host = hostname.replace(/^\[|\]$/g, '');
  if (!proxy || host === 'localhost' || host === '::1' || host.startsWith('127.')) return undefined;
  return bypasses(variable('NO_PROXY') ?? '', host) ? undefined : proxy;
}

/**
 * A pod's own connection: the service account mounted into it, and the address the kubelet put into its environment
 * (`KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT`).
 *
 * @throws Error when this is no pod, naming what is missing.
 */
export async function inClusterConnection(
  environment: { readonly host: string | undefined; readonly port: string | undefined },
  directory = '/var/run/secrets/kubernetes.io/serviceaccount',
): Promise<Connection> {
  const { host, port } = environment;
  if (!host || !port) throw new Error('not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set');
  const file = (name: string) =>
    readFile(resolve(directory, name), 'utf8').catch((error: Error) => {
      throw new Error(`not in a pod: cannot read ${resolve(directory, name)}: ${error.message}`);
    });
  const [ca, namespace] = await Promise.all([file('ca.crt'), file('namespace')]);
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca,
    token: () => readToken(resolve(directory, 'token')),
    namespace: namespace.trim(),
  };
}

/** Kubelets rotate the files under us, so it is read each time. */
const readToken = async (file: string): Promise<string> => (await readFile(file, 'utf8')).trim();
