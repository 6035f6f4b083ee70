import type { Clock, Random } from '@trimtab/machinery';
import type { Engine } from '../engine.js';
import type { TlsFiles } from './connection.js';

export interface EtcdOptions {
  /** `host:port` of each member. */
  readonly endpoints: readonly string[];
  /** Where everything lies; default `/trimtab`. */
  readonly prefix?: string;
  /** Absent: no TLS. */
  readonly tls?: TlsFiles;
  readonly clock: Clock;
  readonly random: Random;
  /** Revisions read back when opening, so that watchers go on where they were; default 10,000. */
  readonly history?: number;
}

/**
 * An engine over an etcd cluster of version 3.4 or later, together with any number of others: its guarantees are
 * {@link Engine}'s, its layout that of `keys.ts`. Opening it rejects with StoreFailedError saying which address failed, how, and what
 * to give instead. Its libraries are loaded when it is made.
 */
export async function etcdEngine(options: EtcdOptions): Promise<Engine> {
  const { EtcdEngine } = await import('./etcd.js');
  return new EtcdEngine(options);
}
