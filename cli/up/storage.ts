import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { EtcdOptions } from '@trimtab/store';
import { CliError } from '../errors.js';

/** `up`'s options about where the state is, as the command line gives them. */
export interface RawStorageOptions {
  readonly storage?: string;
  readonly etcdServers?: string;
  readonly etcdPrefix?: string;
  readonly etcdCafile?: string;
  readonly etcdCertfile?: string;
  readonly etcdKeyfile?: string;
}

/** Where etcd is and how it is reached. */
export type EtcdStorage = Pick<EtcdOptions, 'endpoints' | 'prefix' | 'tls'>;

/** Undefined: the embedded store. Throws CliError naming the option. */
export function readStorage(raw: RawStorageOptions): EtcdStorage | undefined {
  const { storage = 'embedded', etcdServers } = raw;
  if (etcdServers !== undefined && storage !== 'embedded')
    throw new CliError('--storage and --etcd-servers say the same thing; give one of them');
  const given = etcdServers !== undefined ? fromServers(etcdServers) : fromStorage(storage);
  if (given === undefined) {
    const [name] =
      Object.entries(raw).find(([option, value]) => option.startsWith('etcd') && value !== undefined) ?? [];
    if (name === undefined) return undefined;
    throw new CliError(`--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} needs --storage etcd://HOST:PORT`);
  }
  const prefix = raw.etcdPrefix ?? given.prefix ?? '/trimtab';
  if (!/^\/[^\s.]/.test(prefix))
    throw new CliError(`the prefix ${prefix} in etcd: one begins with a slash, as /trimtab does`);
  const tls = tlsOf(raw, given.secure);
  return { endpoints: given.endpoints, prefix, ...(tls && { tls }) };
}

interface Given {
  readonly endpoints: readonly string[];
  readonly prefix?: string;
  readonly secure: boolean;
}

function fromStorage(storage: string): Given | undefined {
  if (storage === 'embedded') return undefined;
  const match = /^etcd:\/\/([^/\s]+)(\/.*)?$/.exec(storage);
  if (!match) throw new CliError(`--storage ${storage} is not known: embedded, or etcd://HOST:PORT,HOST:PORT/PREFIX`);
  const endpoints = match[1]!.split(',').map((address) => endpoint('--storage', address));
  const prefix = match[2] === undefined || match[2] === '/' ? undefined : match[2];
  return { endpoints, secure: false, ...(prefix && { prefix }) };
}

function fromServers(servers: string): Given {
  const urls = servers.split(',').map((text) => {
    const match = /^(https?):\/\/([^/\s]+)\/?$/.exec(text.trim());
    if (!match) throw new CliError(`--etcd-servers ${text}: one looks like https://10.0.0.1:2379`);
    return { secure: match[1] === 'https', endpoint: endpoint('--etcd-servers', match[2]!) };
  });
  const secure = urls[0]!.secure;
  if (urls.some((url) => url.secure !== secure)) throw new CliError('--etcd-servers: either all are https, or none');
  return { endpoints: urls.map((url) => url.endpoint), secure };
}

function endpoint(option: string, address: string): string {
  if (address.includes('@'))
    throw new CliError(
      `${option}: etcd's users are known by certificates here, --etcd-certfile and --etcd-keyfile; not by passwords`,
    );
  const match = /^(\[[\da-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/.exec(address);
  if (!match) throw new CliError(`${option}: ${address} is not an address; one looks like 10.0.0.1:2379`);
  return `${match[1]}:${match[2] ?? 2379}`;
}

function tlsOf(raw: RawStorageOptions, secure: boolean): EtcdStorage['tls'] {
  const { etcdCafile, etcdCertfile, etcdKeyfile } = raw;
  if ((etcdCertfile === undefined) !== (etcdKeyfile === undefined))
    throw new CliError('--etcd-certfile and --etcd-keyfile need each other');
  if (!secure && etcdCafile === undefined && etcdCertfile === undefined) return undefined;
  return {
    ...(etcdCafile !== undefined && { ca: pem('--etcd-cafile', etcdCafile, 'CERTIFICATE') }),
    ...(etcdCertfile !== undefined && { certificate: pem('--etcd-certfile', etcdCertfile, 'CERTIFICATE') }),
    ...(etcdKeyfile !== undefined && { key: pem('--etcd-keyfile', etcdKeyfile, 'PRIVATE KEY') }),
  };
}

function pem(option: string, file: string, what: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(resolve(file));
  } catch (error) {
    throw new CliError(`${option} ${file} cannot be read: ${(error as Error).message}`);
  }
  if (!bytes.includes(`${what}-----`))
    throw new CliError(`${option} ${file} holds no ${what.toLowerCase()} in PEM form`);
  return bytes;
}
