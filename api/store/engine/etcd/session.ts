import type { Clock, Random } from '@trimtab/machinery';
import { CallFailed, type Connection } from './connection.js';
import { isNotFound } from './errors.js';
import type { Keys } from './keys.js';
import type { Methods } from './messages.js';
import type { Fence } from './transaction.js';

const TTL_SECONDS = 60;

/**
 * This process in etcd: a key on a lease. While its revision is what a transaction compared, the transaction can happen; put anew,
 * none that is still under way can. So a lost answer is no riddle: put anew, then look.
 */
export class Session {
  readonly id: string;
  readonly key: Buffer;
  #lease = 0;
  #revision = 0;
  #renewing: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #stop: (() => void) | undefined;

  constructor(
    readonly connection: Connection,
    readonly methods: Methods,
    keys: Keys,
    readonly clock: Clock,
    readonly random: Random,
  ) {
    this.id = Buffer.from(random.bytes(8)).toString('hex');
    this.key = keys.session(this.id);
  }

  get fence(): Fence {
    return { session: this.key, revision: this.#revision };
  }

  /** Resolves once no transaction with this fence, or an older one, can happen any more. */
  async renew(than: Fence, deadline: number): Promise<Fence> {
    if (this.#revision === than.revision) {
      this.#renewing ??= this.#put(deadline).finally(() => {
        this.#renewing = undefined;
      });
      await this.#renewing;
    }
    return this.fence;
  }

  /** The key was found at this revision, 0 for gone, by somebody who expected it at another. */
  async found(revision: number, expected: Fence, deadline: number): Promise<void> {
    if (revision > this.#revision) this.#revision = revision;
    else await this.renew(expected, deadline);
  }

  async close(): Promise<void> {
    this.#cancel?.();
    this.#stop?.();
    if (this.#lease !== 0) await this.connection.call(this.methods.revoke, { id: this.#lease }).catch(() => {});
  }

  async #put(deadline: number): Promise<void> {
    for (;;) {
      try {
        if (this.#lease === 0) await this.#grant();
        const put = { key: this.key, value: Buffer.alloc(0), lease: this.#lease };
        const { header } = await this.connection.call(this.methods.txn, {
          compare: [],
          success: [{ put }],
          failure: [],
        });
        this.#revision = Math.max(this.#revision, Number(header.revision));
        return;
      } catch (error) {
        if (error instanceof CallFailed && isNotFound(error.cause)) this.#lease = 0;
        else await this.connection.next(error, deadline);
      }
    }
  }

  async #grant(): Promise<void> {
    // Not one that the server chooses: those do not fit into a double.
    const id = Buffer.from(this.random.bytes(6)).readUIntBE(0, 6) + 1;
    await this.connection.call(this.methods.grant, { ttl: TTL_SECONDS, id });
    this.#lease = id;
    this.#keepAlive();
  }

  #keepAlive(): void {
    this.#cancel?.();
    this.#cancel = this.clock.after((TTL_SECONDS * 1000) / 3, () => {
      this.#stop?.();
      this.#stop = this.connection.stream(
        this.methods.keepAlive,
        { id: this.#lease },
        {
          next: () => this.#stop?.(),
          ended: () => {},
        },
      );
      this.#keepAlive();
    });
  }
}
