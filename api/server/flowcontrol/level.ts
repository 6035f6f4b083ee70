import type { Clock } from '@trimtab/machinery';
import { FairQueues, type Running } from './fair-queues.js';
import { dealHand } from './shuffle-shard.js';
import type { PriorityLevel, RejectReason } from './types.js';

export interface Seat {
  release(): void;
}

export class Rejected extends Error {
  constructor(readonly reason: RejectReason) {
    super(reason);
  }
}

const exemptSeat: Seat = { release: () => {} };
const remembered = 1024;

/** One priority level at work: hands out seats, at once or in turn. */
export class Level {
  #queues: FairQueues;
  readonly #hands = new Map<string, readonly number[]>();
  readonly counts = { dispatched: 0, rejected: new Map<RejectReason, number>() };
  /** The most seats wanted at once since it was last asked. */
  #highest = 0;

  constructor(
    readonly config: PriorityLevel,
    readonly nominal: number,
    readonly clock: Clock,
    /** Told when a request has to wait: others may have seats to lend. */
    readonly pressed: () => void,
  ) {
    const count = this.#queuing ? (this.#queuing.queues ?? 64) : 1;
    this.#queues = new FairQueues(count, Math.max(1, nominal), this.#now());
  }

  get isExempt(): boolean {
    return this.config.spec?.type === 'Exempt';
  }
  get seatsTaken(): number {
    return this.#queues.seatsTaken;
  }
  get executing(): number {
    return this.#queues.executing;
  }
  get waiting(): number {
    return this.#queues.waiting;
  }
  get limit(): number {
    return this.#queues.limit;
  }

  /** Seats wanted at most since this was last asked. */
  takeDemand(): number {
    const demand = Math.max(this.#highest, this.#queues.demand);
    this.#highest = this.#queues.demand;
    return demand;
  }

  setLimit(limit: number): void {
    if (limit !== this.#queues.limit) this.#queues.setLimit(limit, this.#now());
  }

  /** A seat now, or one to wait for at most `maxWaitMs`. Rejects with {@link Rejected}. */
  take(flow: string, seats: number, maxWaitMs: number, signal: () => AbortSignal | undefined): Seat | Promise<Seat> {
    if (this.isExempt) {
      this.counts.dispatched++;
      return exemptSeat;
    }
    const queues = this.#queues;
    const index = this.#queuing ? queues.leastLoaded(this.#hand(flow)) : 0;
    if (queues.isFree(seats)) {
      const seat = this.#seat(queues.begin(index, seats, this.#now()));
      this.counts.dispatched++;
      if (queues.demand > this.#highest) this.#highest = queues.demand;
      return seat;
    }
    this.#highest = Math.max(this.#highest, queues.demand + seats);
    this.pressed();
    if (!this.#queuing) throw this.#reject('concurrency-limit');
    if (queues.lengthOf(index) >= (this.#queuing.queueLengthLimit ?? 50)) throw this.#reject('queue-full');
    return this.#wait(index, seats, maxWaitMs, signal());
  }

  #wait(index: number, seats: number, maxWaitMs: number, signal: AbortSignal | undefined): Promise<Seat> {
    return new Promise((resolve, reject) => {
      const start = (running: Running) => {
        done();
        this.counts.dispatched++;
        resolve(this.#seat(running));
      };
      const leave = this.#queues.enqueue(index, { seats, start }, this.#now());
      const give = (reason: RejectReason) => {
        if (!leave()) return;
        done();
        reject(this.#reject(reason));
      };
      const cancelled = () => give('cancelled');
      const cancel = this.clock.after(maxWaitMs, () => give('time-out'));
      const done = () => {
        cancel();
        signal?.removeEventListener('abort', cancelled);
      };
      signal?.addEventListener('abort', cancelled, { once: true });
      this.#queues.dispatch(this.#now());
    });
  }

  #seat(running: Running): Seat {
    let taken = true;
    return {
      release: () => {
        if (!taken) return;
        taken = false;
        this.#queues.finish(running, this.#now());
      },
    };
  }

  #reject(reason: RejectReason): Rejected {
    this.counts.rejected.set(reason, (this.counts.rejected.get(reason) ?? 0) + 1);
    return new Rejected(reason);
  }

  #hand(flow: string): readonly number[] {
    let hand = this.#hands.get(flow);
    if (!hand) {
      hand = dealHand(flow, this.#queues.queues, this.#queuing?.handSize ?? 8);
      if (this.#hands.size >= remembered) this.#hands.clear();
      this.#hands.set(flow, hand);
    }
    return hand;
  }

  get #queuing() {
    const response = this.config.spec?.limited?.limitResponse;
    return response?.type === 'Queue' ? (response.queuing ?? {}) : undefined;
  }

  #now(): number {
    return this.clock.now() / 1000;
  }
}
