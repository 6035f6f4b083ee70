import type { Clock, Random } from '@trimtab/machinery';
import type { Transaction } from '../engine.js';
import type { Connection } from './connection.js';
import type { Methods } from './messages.js';

/** One lease is for everything written within so long, and for so much (apiserver: etcd3/lease_manager.go). */
const SHARED_SECONDS = 60;
const SHARED_BY = 1000;

interface Lease {
  readonly id: Promise<number>;
  readonly until: number;
  left: number;
}

/**
 * Leases for what is wanted for a while only: etcd itself removes it when nobody has for so long, whether or not any API server is
 * there. What is on one lease goes at once, so each lasts a minute longer than asked for.
 */
export class Leases {
  readonly #shared = new Map<number, Lease>();

  constructor(
    readonly connection: Connection,
    readonly methods: Methods,
    readonly clock: Clock,
    readonly random: Random,
  ) {}

  /** The leases of a transaction's changes, by the seconds they ask for. */
  async of({ changes }: Transaction, deadline: number): Promise<ReadonlyMap<number, number>> {
    const leases = new Map<number, number>();
    for (const { ttlSeconds } of changes)
      if (ttlSeconds !== undefined) leases.set(ttlSeconds, await this.#lease(ttlSeconds, deadline));
    return leases;
  }

  /** A lease was not found: none of them can be relied on. */
  forget(): void {
    this.#shared.clear();
  }

  #lease(seconds: number, deadline: number): Promise<number> {
    let lease = this.#shared.get(seconds);
    if (lease === undefined || lease.left === 0 || this.clock.now() >= lease.until) {
      const until = this.clock.now() + SHARED_SECONDS * 1000;
      const id = this.#grant(seconds + SHARED_SECONDS, deadline);
      const made = { id, until, left: SHARED_BY };
      id.catch(() => {
        if (this.#shared.get(seconds) === made) this.#shared.delete(seconds);
      });
      this.#shared.set(seconds, made);
      lease = made;
    }
    lease.left--;
    return lease.id;
  }

  async #grant(ttl: number, deadline: number): Promise<number> {
    for (;;) {
      // Not one that the server chooses: those do not fit into a double.
      const id = Buffer.from(this.random.bytes(6)).readUIntBE(0, 6) + 1;
      try {
        await this.connection.call(this.methods.grant, { ttl, id });
        return id;
      } catch (error) {
        await this.connection.next(error, deadline);
      }
    }
  }
}
