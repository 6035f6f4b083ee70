import { type Clock, sleep } from '@trimtab/machinery';
import {
  type Batch,
  type Engine,
  type EngineHealth,
  type Follower,
  OPERATIONS,
  type Opened,
  StoreFailedError,
  type Transaction,
  UnknownOutcomeError,
} from '../engine.js';
import { batchesOfState, type Step } from './batches.js';
import { Compactor } from './compactor.js';
import { CallFailed, Connection } from './connection.js';
import { FULL, isCompacted, isNotFound, versionProblem } from './errors.js';
import { Feed } from './feed.js';
import type { EtcdOptions } from './index.js';
import { type Keys, keysUnder } from './keys.js';
import { Leases } from './leases.js';
import { etcdMethods, type KeyValue, type Methods } from './messages.js';
import { Session } from './session.js';
import { outcomeOf, txnOf } from './transaction.js';
import { Turns } from './turns.js';

/** How long a cluster without a leader, or out of reach, is waited for. */
const PATIENCE_MS = 15_000;
const HISTORY = 10_000;
/** A page of a range is made to hold about this much. */
const PAGE_BYTES = 4 * 1024 * 1024;
const FULL_AGAIN_MS = 5_000;

/** See {@link etcdEngine}. */
export class EtcdEngine implements Engine {
  readonly next = undefined;
  readonly #options: EtcdOptions;
  readonly #clock: Clock;
  readonly #keys: Keys;
  readonly #methods: Methods;
  readonly #connection: Connection;
  readonly #session: Session;
  readonly #leases: Leases;
  readonly #compactor: Compactor;
  readonly #turns = new Turns();
  /** Transactions of ours whose end we wait to see, and where they were seen. */
  readonly #marks = new Map<string, number | undefined>();
  #feed: Feed | undefined;
  #told: (step: Step) => void = () => {};
  #trouble: string | undefined;
  #cancelLook: (() => void) | undefined;
  #confirming: Promise<number> | undefined;
  #confirmingNext: Promise<number> | undefined;
  #count = 0;
  #shown = 0;
  #closed = false;

  constructor(options: EtcdOptions) {
    const { clock, random } = options;
    this.#options = options;
    this.#clock = clock;
    this.#keys = keysUnder(options.prefix ?? '/trimtab');
    this.#methods = etcdMethods();
    this.#connection = new Connection(options);
    this.#session = new Session(this.#connection, this.#methods, this.#keys, clock, random);
    this.#leases = new Leases(this.#connection, this.#methods, clock, random);
    this.#compactor = new Compactor(this.#connection, this.#methods, this.#keys, this.#session);
  }

  get health(): EngineHealth {
    return this.#trouble === undefined ? { writable: true } : { writable: false, reason: this.#trouble };
  }

  async open(follower: Follower): Promise<Opened> {
    const deadline = this.#deadline();
    const status = await this.#asked(this.#connection.ask(this.#methods.status, {}, deadline));
    const problem = versionProblem(status.version, this.#connection.endpoint);
    if (problem) throw problem;
    const { fence } = await this.#fenced(deadline);
    const tip = await this.#asked(this.#tip(deadline));
    const newest = Math.max(fence, tip);
    let after = Math.max(0, newest - (this.#options.history ?? HISTORY));
    for (;;) {
      const batches: Batch[] = [];
      this.#told = ({ batch }) => {
        if (batch) batches.push(batch);
      };
      const compacted = await this.#follow(after, newest, follower);
      if (compacted !== undefined) {
        after = compacted;
        continue;
      }
      const state = await this.#stateAt(after, deadline).catch((error: unknown) => {
        if (error instanceof CallFailed && isCompacted(error.cause)) return undefined;
        throw error instanceof CallFailed ? error.failure.error : error;
      });
      if (state === undefined) {
        this.#feed?.close();
        continue;
      }
      const base = batchesOfState(state, this.#keys);
      this.#shown = Math.max(batches.at(-1)?.revision ?? 0, base.at(-1)?.revision ?? 0, tip);
      this.#told = ({ batch }) => {
        if (!batch) return;
        this.#shown = batch.revision;
        follower.next(batch);
      };
      return {
        revision: this.#shown,
        compacted: after,
        batches: (async function* () {
          yield base;
          yield batches;
        })(),
      };
    }
  }

  async transact(transaction: Transaction): Promise<number> {
    const { compares, changes } = transaction;
    if (this.#closed || this.#feed === undefined) throw new StoreFailedError('the store is closed');
    if (changes.length > OPERATIONS) throw new RangeError(`a transaction holds at most ${OPERATIONS} changes`);
    return this.#turns.take(
      [...compares, ...changes].map(({ key }) => key),
      () => this.#transact(transaction),
    );
  }

  confirm(): Promise<number> {
    if (this.#closed) return Promise.reject(new StoreFailedError('the store is closed'));
    // One that is under way may have looked before the caller asked.
    const begin = () => {
      this.#confirmingNext = undefined;
      this.#confirming = this.#confirm().finally(() => {
        this.#confirming = undefined;
      });
      return this.#confirming;
    };
    if (this.#confirming === undefined) return begin();
    this.#confirmingNext ??= this.#confirming.then(begin, begin);
    return this.#confirmingNext;
  }

  async compact(revision: number): Promise<void> {
    await this.#compactor.compact(revision, this.#deadline());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelLook?.();
    await this.#turns.settled();
    await this.#session.close();
    this.#feed?.close();
    this.#connection.close();
  }

  async #transact(transaction: Transaction): Promise<number> {
    const deadline = this.#deadline();
    const id = `${this.#session.id}.${++this.#count}`;
    const mark = { time: transaction.time, id };
    this.#marks.set(id, undefined);
    try {
      for (;;) {
        const { fence } = this.#session;
        const leases = await this.#asked(this.#leases.of(transaction, deadline));
        const request = txnOf(transaction, mark, fence, this.#keys, leases);
        let outcome: ReturnType<typeof outcomeOf>;
        try {
          outcome = outcomeOf(transaction, fence, await this.#connection.call(this.#methods.txn, request));
        } catch (error) {
          if (error instanceof CallFailed && isNotFound(error.cause)) this.#leases.forget();
          const seen = await this.#lookedFor(error, id, fence, deadline);
          if (seen !== undefined) return seen;
          continue;
        }
        this.#well();
        if (outcome.type === 'fenced') {
          await this.#asked(this.#session.found(outcome.session, fence, deadline));
          continue;
        }
        if (outcome.type === 'failed') {
          await this.#feed!.reached(outcome.newest, deadline);
          throw outcome.error;
        }
        await this.#feed!.reached(outcome.revision, deadline).catch((cause: unknown) => {
          throw unknownOutcome(cause);
        });
        return outcome.revision;
      }
    } finally {
      this.#marks.delete(id);
    }
  }

  /** What became of a transaction without an answer: its revision, undefined if it can be made again; rejects if it is refused. */
  async #lookedFor(
    error: unknown,
    id: string,
    fence: { readonly session: Buffer; readonly revision: number },
    deadline: number,
  ): Promise<number | undefined> {
    if (!(error instanceof CallFailed)) throw error;
    const { type, error: told } = error.failure;
    if (type === 'full') this.#full();
    if (type === 'full' || type === 'refused') throw told;
    this.#connection.leave(error.endpoint);
    if (type === 'unknown') {
      try {
        const { revision } = await this.#asked(this.#session.renew(fence, deadline));
        // The session is under the prefix, so its revision is told, and all before it.
        await this.#feed!.reached(revision, deadline);
      } catch (cause) {
        throw unknownOutcome(cause);
      }
      const seen = this.#marks.get(id);
      if (seen !== undefined) return seen;
    }
    if (this.#clock.now() >= deadline) {
      this.#trouble = told.message;
      throw told;
    }
    await sleep(this.#clock, 50);
    return undefined;
  }

  async #confirm(): Promise<number> {
    const deadline = this.#deadline();
    await this.#feed!.reached(await this.#asked(this.#tip(deadline)), deadline);
    return this.#shown;
  }

  /** The newest transaction of all. */
  async #tip(deadline: number): Promise<number> {
    const { kvs } = await this.#connection.ask(this.#methods.range, { key: this.#keys.tip, keysOnly: true }, deadline);
    return Number(kvs[0]?.modRevision ?? 0);
  }

  /** Makes the session; where etcd is full, only reads are possible. */
  async #fenced(deadline: number): Promise<{ readonly fence: number }> {
    try {
      return { fence: (await this.#session.renew(this.#session.fence, deadline)).revision };
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (error.failure.type !== 'full') throw error.failure.error;
      this.#full();
      return { fence: 0 };
    }
  }

  /** Follows from a revision on and resolves once there; gives the oldest revision there is where that is later. */
  #follow(after: number, until: number, follower: Follower): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      let opening = true;
      const end = (error: Error) => {
        this.#trouble = error.message;
        if (opening) reject(error);
        else follower.ended?.(error);
      };
      const feed = new Feed(this.#connection, this.#methods, this.#keys, this.#clock, after, {
        step: (step) => {
          if (step.mark && this.#marks.has(step.mark.id)) this.#marks.set(step.mark.id, step.revision);
          this.#told(step);
        },
        compacted: (revision) => {
          if (opening) resolve(revision);
          else
            end(
              new StoreFailedError(
                `etcd has forgotten what came after revision ${feed.told} while it was out of reach: it is compacted to ${revision}; start this API server anew`,
              ),
            );
        },
        refused: end,
      });
      this.#feed = feed;
      feed.reached(until, this.#deadline()).then(
        () => {
          opening = false;
          resolve(undefined);
        },
        (error: unknown) => reject(error),
      );
    });
  }

  async #stateAt(revision: number, deadline: number): Promise<readonly KeyValue[]> {
    const all: KeyValue[] = [];
    if (revision === 0) return all;
    const { from, to: rangeEnd } = this.#keys;
    let limit = 500;
    for (let key = from; ; ) {
      const page = await this.#connection.ask(this.#methods.range, { key, rangeEnd, limit, revision }, deadline);
      all.push(...page.kvs);
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return all;
      key = Buffer.concat([last.key, Buffer.from([0])]);
      const bytes = page.kvs.reduce((sum, { value }) => sum + value.length, 0);
      limit = Math.min(5_000, Math.max(10, Math.floor((PAGE_BYTES / (bytes + 1)) * page.kvs.length)));
    }
  }

  async #asked<T>(call: Promise<T>): Promise<T> {
    try {
      const answer = await call;
      if (this.#trouble !== FULL) this.#well();
      return answer;
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (error.failure.type === 'full') this.#full();
      else this.#trouble = error.failure.error.message;
      throw error.failure.error;
    }
  }

  #well(): void {
    this.#trouble = undefined;
  }

  /** Looks now and then whether somebody has mended it: nothing else would tell. */
  #full(): void {
    this.#trouble = FULL;
    this.#cancelLook?.();
    this.#cancelLook = this.#clock.after(FULL_AGAIN_MS, () => {
      this.#connection.call(this.#methods.alarm, { action: 0 }).then(
        ({ alarms }) => (alarms.length === 0 ? this.#well() : this.#full()),
        () => this.#full(),
      );
    });
  }

  #deadline(): number {
    return this.#clock.now() + PATIENCE_MS;
  }
}

const unknownOutcome = (cause: unknown): UnknownOutcomeError =>
  new UnknownOutcomeError(`${(cause as Error).message}; whether it was written is not known`, { cause });
