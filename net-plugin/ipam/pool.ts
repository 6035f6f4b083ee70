import { contains, formatIPv4, formatNetwork, type Network, parseIPv4 } from './address.js';

/**
 * The node's addresses: which owner has which, and when freed ones were freed. Decides only; every function answers a new
 * pool. Allocation goes round the network, so that a freed address is the last to be used again.
 */
export interface Pool {
  readonly network: Network;
  readonly byOwner: ReadonlyMap<string, number>;
  readonly byAddress: ReadonlyMap<number, string>;
  /** When each freed address was freed, oldest first. */
  readonly freed: ReadonlyMap<number, number>;
  /** The address given out last. */
  readonly cursor: number;
}

/** Connections, caches and DNS answers of the previous owner die out in this time. */
export const QUARANTINE_MS = 60_000;

/** First address, network and broadcast are never given out; in networks of four or fewer nothing is. */
export const gatewayOf = (network: Network): string => formatIPv4(network.base + 1);

export function emptyPool(network: Network): Pool {
  return { network, byOwner: new Map(), byAddress: new Map(), freed: new Map(), cursor: network.base + 1 };
}

export interface Allocation {
  readonly pool: Pool;
  readonly address: string;
}

/**
 * The owner's address: the one it has, else one that is free and out of quarantine, else the one freed longest ago.
 * Undefined when every address is in use.
 */
export function allocate(pool: Pool, owner: string, now: number): Allocation | undefined {
  const known = pool.byOwner.get(owner);
  if (known !== undefined) return { pool, address: formatIPv4(known) };
  const chosen = nextFree(pool, now);
  if (chosen === undefined) return undefined;
  const freed = new Map(pool.freed);
  freed.delete(chosen);
  return {
    address: formatIPv4(chosen),
    pool: {
      ...pool,
      cursor: chosen,
      freed,
      byOwner: new Map(pool.byOwner).set(owner, chosen),
      byAddress: new Map(pool.byAddress).set(chosen, owner),
    },
  };
}

function nextFree(pool: Pool, now: number): number | undefined {
  const first = pool.network.base + 2;
  const count = pool.network.size - 3;
  for (let i = 0; i < count; i++) {
    const candidate = first + ((pool.cursor - first + 1 + i + count) % count);
    if (pool.byAddress.has(candidate)) continue;
    const since = pool.freed.get(candidate);
    if (since === undefined || now - since >= QUARANTINE_MS) return candidate;
  }
  return pool.freed.keys().next().value;
}

/** No error when the owner has none. */
export function release(pool: Pool, owner: string, now: number): Pool {
  const address = pool.byOwner.get(owner);
  if (address === undefined) return pool;
  const byOwner = new Map(pool.byOwner);
  const byAddress = new Map(pool.byAddress);
  const freed = new Map(pool.freed);
  byOwner.delete(owner);
  byAddress.delete(address);
  freed.delete(address);
  freed.set(address, now);
  return { ...pool, byOwner, byAddress, freed };
}

/** What the state file holds. */
export interface PoolRecord {
  readonly version: 1;
  readonly network: string;
  readonly cursor: string;
  readonly owners: Readonly<Record<string, string>>;
  readonly freed: Readonly<Record<string, number>>;
}

export function recordOf(pool: Pool): PoolRecord {
  return {
    version: 1,
    network: formatNetwork(pool.network),
    cursor: formatIPv4(pool.cursor),
    owners: Object.fromEntries([...pool.byOwner].map(([owner, address]) => [owner, formatIPv4(address)])),
    freed: Object.fromEntries([...pool.freed].map(([address, at]) => [formatIPv4(address), at])),
  };
}

/** Throws, saying what is wrong, on a record of another network or with an address twice. */
export function poolOf(record: PoolRecord, network: Network): Pool {
  if (record.version !== 1) throw new Error(`version ${String(record.version)} is not known`);
  if (record.network !== formatNetwork(network))
    throw new Error(`it is for ${record.network}, the node's pod network is ${formatNetwork(network)}`);
  const byOwner = new Map<string, number>();
  const byAddress = new Map<number, string>();
  for (const [owner, text] of Object.entries(record.owners)) {
    const address = parseIPv4(text);
    if (address === undefined || !contains(network, address)) throw new Error(`"${text}" is no address of the network`);
    if (byAddress.has(address)) throw new Error(`${text} has two owners`);
    byOwner.set(owner, address);
    byAddress.set(address, owner);
  }
  const freed = Object.entries(record.freed).flatMap(([text, at]) => {
    const address = parseIPv4(text);
    return address === undefined || byAddress.has(address) ? [] : [[address, at] as const];
  });
  return {
    network,
    byOwner,
    byAddress,
    freed: new Map(freed.sort(([, a], [, b]) => a - b)),
    cursor: parseIPv4(record.cursor) ?? network.base + 1,
  };
}
