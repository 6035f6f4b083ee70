import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { parse } from 'yaml';

/** Where an API server is and who we are to it. PEM texts; a function as token is asked before every request. */
export interface Connection {
  /** `https://host:port`, without a path unless the server has one. */
  readonly server: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string | (() => Promise<string> | string);
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
  readonly exec?: object;
  readonly 'auth-provider'?: object;
}

interface Context {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

/**
 * Reads a kubeconfig. Paths in it are relative to it; embedded data wins over files, as in kubectl.
 *
 * @throws Error naming the file and what is wrong with it; ways to authenticate that are not supported are refused.
 */
export async function loadKubeconfig(file: string, options: { readonly context?: string } = {}): Promise<Connection> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new Error(`cannot read kubeconfig ${file}: ${error.message}`);
  });
  return connectionFrom(text, { ...options, directory: dirname(resolve(file)), origin: file });
}

export async function connectionFrom(
  text: string,
  options: { readonly context?: string; readonly directory?: string; readonly origin?: string } = {},
): Promise<Connection> {
  const { directory = '.', origin = 'kubeconfig' } = options;
  const config = (parse(text) ?? {}) as Record<string, unknown>;
  const fail = (why: string): never => {
    throw new Error(`${origin}: ${why}`);
  };
  const named = <T>(kind: 'contexts' | 'clusters' | 'users', name: string): T => {
    const field = kind.slice(0, -1);
    const list = (config[kind] ?? []) as readonly Record<string, unknown>[];
    const found = Array.isArray(list) ? list.find((entry) => entry.name === name) : undefined;
    return (found?.[field] as T | undefined) ?? fail(`there is no ${field} "${name}" in ${kind}`);
  };
  const contextName =
    options.context ?? (config['current-context'] as string | undefined) ?? fail('current-context is not set');
  const context = named<Context>('contexts', contextName);
  const cluster = named<Cluster>('clusters', context.cluster ?? '');
  const user = context.user ? named<User>('users', context.user) : {};
  if (!cluster.server) fail(`cluster "${context.cluster}" has no server`);
  if (cluster['proxy-url']) fail('proxy-url is not supported; reach the server directly');
  for (const plugin of ['exec', 'auth-provider', 'username'] as const)
    if (user[plugin])
      fail(`user "${context.user}" logs in by ${plugin}, which is not supported; use a certificate or a token`);
  const path = (name: string) => (isAbsolute(name) ? name : resolve(directory, name));
  const pem = async (data: string | undefined, name: string | undefined): Promise<string | undefined> => {
    if (data) return Buffer.from(data, 'base64').toString();
    return name
      ? readFile(path(name), 'utf8').catch((error: Error) => fail(`cannot read ${name}: ${error.message}`))
      : undefined;
  };
  const ca = await pem(cluster['certificate-authority-data'], cluster['certificate-authority']);
  const cert = await pem(user['client-certificate-data'], user['client-certificate']);
  const key = await pem(user['client-key-data'], user['client-key']);
  const { tokenFile } = user;
  const token = user.token ?? (tokenFile ? () => readToken(path(tokenFile)) : undefined);
  return {
    server: cluster.server!.replace(/\/+$/, ''),
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    ...(token ? { token } : {}),
    ...(cluster['tls-server-name'] ? { serverName: cluster['tls-server-name'] } : {}),
    ...(cluster['insecure-skip-tls-verify'] ? { insecure: true } : {}),
    ...(context.namespace ? { namespace: context.namespace } : {}),
  };
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
