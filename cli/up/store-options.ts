import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Clock, type Logger, parseYaml, type Random } from '@trimtab/machinery';
import {
  embeddedEngine,
  encryptingCodec,
  etcdEngine,
  openStore,
  parseEncryptionConfiguration,
  type Store,
} from '@trimtab/store';
import { CliError } from '../errors.js';
import type { EtcdStorage } from './storage.js';

/** What the command line says of the store. */
export interface RawStoreOptions {
  readonly historyCommits?: number;
  /** Mebibytes. */
  readonly historySize?: number;
  /** Minutes. */
  readonly historyAge?: number;
  readonly encryptionProviderConfig?: string;
  readonly encryptionRewrite?: boolean;
  /** How long events are kept, in minutes; 0: for ever. */
  readonly eventTtl?: number;
}

/** Opens the cluster's store; with `encryptionRewrite`, everything in it is encrypted by the first key when this resolves. */
export async function openClusterStore(
  directory: string,
  options: RawStoreOptions & { readonly etcd?: EtcdStorage | undefined },
  { clock, random, logger }: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
): Promise<Store> {
  const { historyCommits = 50_000, historySize = 64, historyAge = 10, encryptionProviderConfig: file } = options;
  const eventSeconds = (options.eventTtl ?? 60) * 60;
  const codec = file === undefined ? undefined : encryptingCodec(readConfiguration(file), random);
  const store = await openStore({
    engine:
      options.etcd === undefined
        ? await embeddedEngine(directory)
        : await etcdEngine({ ...options.etcd, clock, random, history: Math.min(historyCommits, 10_000) }),
    clock,
    // An etcd removes events also while no controllers run, as kube-apiserver has it do.
    ttlOf: (resource) => (resource === '/events' && eventSeconds > 0 ? eventSeconds : undefined),
    // What is in memory cannot be mended; a new process reads it anew.
    ended: (error) => {
      logger.error({ err: error }, 'the store is gone: stopping, to be started again');
      process.exitCode = 1;
      process.kill(process.pid, 'SIGTERM');
    },
    retention: { commits: historyCommits, bytes: historySize * 1024 * 1024, ageMs: historyAge * 60_000 },
    ...(codec && { codec }),
  });
  try {
    if (options.encryptionRewrite) await store.rewriteStale();
    return store;
  } catch (error) {
    await store.close().catch(() => {});
    throw error;
  }
}

function readConfiguration(file: string) {
  let text: string;
  try {
    text = readFileSync(resolve(file), 'utf8');
  } catch (error) {
    throw new CliError(`--encryption-provider-config ${file}: ${(error as Error).message}`);
  }
  return parseEncryptionConfiguration(parseYaml(text));
}
