import { type Client, interpose, isWrite } from '@trimtab/client';
import type { Clock, Lease, Logger, ObjectKey, Random } from '@trimtab/machinery';
import { forbidden, isReason, Leases } from '@trimtab/machinery';
import { LEASE_TIMES, type LeaseSight, type LeaseTimes, leaseMove, recordOf } from './lease.js';

export interface LeaderElectionOptions {
  readonly client: Client;
  readonly lease: ObjectKey;
  /** Must be unique among those who compete. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly times?: Partial<LeaseTimes>;
  /** Called once at a time, when we begin to lead. */
  readonly onElected: () => void;
  /** Called when we have stopped leading; nobody else leads yet. */
  readonly onLost: () => void;
  /** `leader_election_master_status` */
  readonly metrics?: { leading?(name: string, leading: boolean): void };
}

/**
 * Elects one of many by a Lease, as client-go does (15 s, 10 s, 2 s, jitter 1.2): whoever holds it renews it, and whoever
 * sees it unchanged for its duration takes it. {@link fenced} is the other half: a leader that has not renewed for 10 s,
 * because it hung, slept or lost the network, writes nothing any more, 5 s before anybody else may begin.
 */
export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #times: LeaseTimes;
  #sight: LeaseSight | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #leading = false;
  #running = false;
  #cancel: () => void = () => {};
  #attempt: Promise<void> = Promise.resolve();
  #holder = '';

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#times = { ...LEASE_TIMES, ...options.times };
    const { durationMs, renewMs, retryMs } = this.#times;
    if (!(durationMs > renewMs && renewMs > 1.2 * retryMs))
      throw new Error(`lease times must be: duration > renew > 1.2 × retry, not ${durationMs}, ${renewMs}, ${retryMs}`);
  }

  /** Whether what we write now is the leader's: also false when we only have not noticed yet that we are late. */
  get leading(): boolean {
    return this.#leading && this.#options.clock.now() - this.#renewedAt < this.#times.renewMs;
  }

  /** Who leads, as far as we know. */
  get holder(): string {
    return this.#holder;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#try();
  }

  /** Gives the lease back, so that another need not wait for it to run out. Call when nothing of ours writes any more. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#cancel();
    await this.#attempt;
    const led = this.leading;
    this.#lose();
    if (led) await this.#move(true).catch((error: unknown) => this.#complain(error));
  }

  /** The same client, which refuses to write unless we lead. The lease itself is written past it. */
  fenced(client: Client): Client {
    return interpose(client, (call, next) => {
      if (isWrite(call) && !this.leading && 'type' in call)
        throw forbidden(
          call.type,
          this.#options.identity,
          `no longer the leader; it may be ${this.#holder || 'nobody'}`,
        );
      return next(call);
    });
  }

  #try(): void {
    const { clock, random } = this.#options;
    this.#attempt = this.#move(false)
      .catch((error: unknown) => this.#complain(error))
      .then(() => {
        if (!this.#running) return;
        if (this.#leading && !this.leading) this.#lose();
        const late = this.#leading ? this.#renewedAt + this.#times.renewMs - clock.now() : Number.POSITIVE_INFINITY;
        const wait = this.#times.retryMs * (this.#leading ? 1 : 1 + 1.2 * random.next());
        this.#cancel = clock.after(Math.max(0, Math.min(wait, late)), () => this.#try());
      });
    if (!this.#leading) return;
    // A request that hangs does not keep us in office.
    const giveUp = clock.after(this.#renewedAt + this.#times.renewMs - clock.now(), () => {
      if (!this.leading) this.#lose();
    });
    void this.#attempt.then(giveUp);
  }

  async #move(release: boolean): Promise<void> {
    const { client, lease: key, clock, identity } = this.#options;
    const found = await client.get(Leases, key).catch((error: unknown) => {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    });
    if (found && this.#sight?.record !== recordOf(found)) this.#sight = { record: recordOf(found), at: clock.now() };
    const now = clock.now();
    if (release && found?.spec?.holderIdentity !== identity) return;
    const move = leaseMove(found, this.#sight, { identity, now, times: this.#times, release });
    if (move.type === 'wait') {
      this.#holder = move.holder;
      if (this.#leading) this.#lose();
      return;
    }
    const lease: Lease = { ...move.lease, metadata: { ...move.lease.metadata, ...key } };
    const written = move.type === 'create' ? await client.create(Leases, lease) : await client.update(Leases, lease);
    this.#sight = { record: recordOf(written), at: now };
    if (release || !this.#running) return;
    // From when we asked: the answer may have taken its time.
    this.#renewedAt = now;
    this.#holder = identity;
    if (this.#leading || !this.#inTime()) return;
    this.#leading = true;
    this.#options.logger.info({ lease: key, identity }, 'leading');
    this.#options.metrics?.leading?.(key.name, true);
    this.#options.onElected();
  }

  #inTime(): boolean {
    return this.#options.clock.now() - this.#renewedAt < this.#times.renewMs;
  }

  #lose(): void {
    if (!this.#leading) return;
    this.#leading = false;
    const { logger, lease, identity, metrics, onLost } = this.#options;
    logger.warn({ lease, identity, holder: this.#holder }, 'no longer leading');
    metrics?.leading?.(lease.name, false);
    onLost();
  }

  #complain(error: unknown): void {
    // Somebody was faster: the next attempt will see who.
    if (isReason(error, 'Conflict', 'AlreadyExists')) return;
    this.#options.logger.warn({ lease: this.#options.lease, error: String(error) }, 'lease not renewed');
  }
}
