import type { Clock } from '@trimtab/machinery';
import { StoreFailedError } from '../engine.js';
import { Assembler, type Step } from './batches.js';
import type { CallFailed, Connection } from './connection.js';
import type { Keys } from './keys.js';
import type { Methods, WatchResponse } from './messages.js';

/** A watch that is behind for so long is begun anew. */
const BEHIND_MS = 2_000;
const AGAIN_MS = 200;

export interface FeedHandlers {
  step(step: Step): void;
  /** What was asked for is not there any more; nothing comes after it. */
  compacted(revision: number): void;
  /** Etcd will not let us watch. */
  refused(error: Error): void;
}

/** Every revision under the prefix after a start, once and in order, whatever becomes of connections. */
export class Feed {
  readonly #assembler: Assembler;
  readonly #waiting = new Set<{
    readonly revision: number;
    readonly resolve: () => void;
    readonly reject: (e: Error) => void;
  }>();
  #told: number;
  #stop: (() => void) | undefined;
  #cancelAgain: (() => void) | undefined;
  #over: Error | undefined;
  readonly #unhook: () => void;

  constructor(
    readonly connection: Connection,
    readonly methods: Methods,
    readonly keys: Keys,
    readonly clock: Clock,
    after: number,
    readonly handlers: FeedHandlers,
  ) {
    this.#assembler = new Assembler(keys);
    this.#told = after;
    this.#unhook = connection.onMove(() => this.#begin());
    this.#begin();
  }

  /** Everything up to here has been told. */
  get told(): number {
    return this.#told;
  }

  /** Resolves once everything up to the revision, which there must be under the prefix, has been told. */
  reached(revision: number, deadline: number): Promise<void> {
    if (this.#told >= revision) return Promise.resolve();
    if (this.#over !== undefined) return Promise.reject(this.#over);
    return new Promise((resolve, reject) => {
      let cancel = (): void => {};
      const done = (settle: () => void) => {
        cancel();
        this.#waiting.delete(waiter);
        settle();
      };
      const waiter = { revision, resolve: () => done(resolve), reject: (error: Error) => done(() => reject(error)) };
      this.#waiting.add(waiter);
      const look = () => {
        if (this.clock.now() >= deadline) {
          waiter.reject(
            new StoreFailedError(
              `etcd at ${this.connection.endpoint} is at revision ${revision} and has told of ${this.#told} only`,
            ),
          );
          return;
        }
        this.#begin();
        cancel = this.clock.after(BEHIND_MS, look);
      };
      cancel = this.clock.after(BEHIND_MS, look);
    });
  }

  close(error: Error = new StoreFailedError('the store is closed')): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#unhook();
    this.#cancelAgain?.();
    this.#stop?.();
    for (const { reject } of [...this.#waiting]) reject(error);
  }

  #begin(): void {
    if (this.#over !== undefined) return;
    this.#cancelAgain?.();
    this.#stop?.();
    this.#assembler.reset();
    const { from, to } = this.keys;
    // Progress is told every ten minutes, so that a watch of a quiet prefix does not begin again before what others compact.
    const create = { key: from, rangeEnd: to, startRevision: this.#told + 1, progressNotify: true, fragment: true };
    this.#stop = this.connection.stream(
      this.methods.watch,
      { create },
      {
        next: (response) => this.#next(response),
        ended: (error) => this.#again(error),
      },
    );
  }

  #again(error: CallFailed): void {
    if (error.failure.type === 'refused') {
      this.#end(error.failure.error, () => this.handlers.refused(error.failure.error));
      return;
    }
    this.connection.leave(error.endpoint);
    this.#cancelAgain?.();
    this.#cancelAgain = this.clock.after(AGAIN_MS, () => this.#begin());
  }

  #next(response: WatchResponse): void {
    if (response.canceled) {
      this.#canceled(response);
      return;
    }
    for (const step of this.#assembler.take(response)) {
      // What was told before a watch was begun anew is not told again.
      if (step.revision <= this.#told) continue;
      this.#told = step.revision;
      this.handlers.step(step);
    }
    if (response.events.length === 0 && !response.created)
      this.#told = Math.max(this.#told, Number(response.header.revision));
    for (const waiter of [...this.#waiting]) if (waiter.revision <= this.#told) waiter.resolve();
  }

  #canceled({ compactRevision, cancelReason }: WatchResponse): void {
    const compacted = Number(compactRevision);
    if (compacted > 0) {
      const error = new StoreFailedError(`revision ${this.#told + 1} has been compacted; the oldest is ${compacted}`);
      this.#end(error, () => this.handlers.compacted(compacted));
      return;
    }
    if (/permission|user name|auth token/i.test(cancelReason)) {
      const error = new StoreFailedError(`etcd at ${this.connection.endpoint} does not let us watch: ${cancelReason}`);
      this.#end(error, () => this.handlers.refused(error));
      return;
    }
    // Its member has no leader, most of the time.
    this.connection.leave(this.connection.endpoint);
    this.#cancelAgain?.();
    this.#cancelAgain = this.clock.after(AGAIN_MS, () => this.#begin());
  }

  #end(error: Error, tell: () => void): void {
    this.close(error);
    tell();
  }
}
