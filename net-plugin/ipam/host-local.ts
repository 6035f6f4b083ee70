import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '@trimtab/machinery';
import { formatIPv4, formatNetwork, type Network } from './address.js';
import { allocate, emptyPool, type Pool, type PoolRecord, poolOf, recordOf, release } from './pool.js';

/**
 * Hands out the node's pod addresses and remembers them in one file. An address is answered only once the file holds it, so
 * a crash at any instant leaves at most an address too many, never one given twice. Changes made at the same time share one
 * write. One process at a time may use a file.
 */
export class HostLocal {
  readonly #file: string;
  readonly #clock: Clock;
  #pool: Pool;
  #written: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  private constructor(file: string, clock: Clock, pool: Pool) {
    this.#file = file;
    this.#clock = clock;
    this.#pool = pool;
  }

  /** Rejects when the file is there but cannot be used, saying why; a wrong guess here would hand out used addresses. */
  static async open(file: string, network: Network, clock: Clock): Promise<HostLocal> {
    await mkdir(dirname(file), { recursive: true });
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return new HostLocal(file, clock, emptyPool(network));
    }
    try {
      return new HostLocal(file, clock, poolOf(JSON.parse(text) as PoolRecord, network));
    } catch (error) {
      throw new Error(
        `address allocations in ${file} cannot be used: ${(error as Error).message}; remove the file once no pod is running`,
      );
    }
  }

  /** The owner's address, the same every time it is asked for until released. */
  async allocate(owner: string): Promise<string> {
    const allocation = allocate(this.#pool, owner, this.#clock.now());
    if (!allocation)
      throw new Error(
        `no pod address is left in ${formatNetwork(this.#pool.network)}: ${this.#pool.byOwner.size} are in use`,
      );
    if (allocation.pool === this.#pool) {
      await this.#written;
      return allocation.address;
    }
    this.#pool = allocation.pool;
    await this.#write();
    return allocation.address;
  }

  /** Not waited for: a crash now leaves an address that GC frees. */
  release(owner: string): void {
    const pool = release(this.#pool, owner, this.#clock.now());
    if (pool === this.#pool) return;
    this.#pool = pool;
    this.#write().catch(() => {});
  }

  addressOf(owner: string): string | undefined {
    const address = this.#pool.byOwner.get(owner);
    return address === undefined ? undefined : formatIPv4(address);
  }

  owners(): readonly string[] {
    return [...this.#pool.byOwner.keys()];
  }

  /** Whether somebody has the address now. */
  isAllocated(address: string): boolean {
    return [...this.#pool.byAddress.keys()].some((value) => formatIPv4(value) === address);
  }

  /** Resolves when the present state is on disk; calls that come while one write runs share the next. */
  #write(): Promise<void> {
    this.#next ??= this.#written
      .catch(() => {})
      .then(async () => {
        this.#next = undefined;
        const temporary = `${this.#file}.new`;
        await writeFile(temporary, JSON.stringify(recordOf(this.#pool)), { mode: 0o600 });
        await rename(temporary, this.#file);
      });
    this.#written = this.#next;
    return this.#next;
  }
}
