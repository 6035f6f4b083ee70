/**
 * Where the sequence of revisions lives: etcd's model (compare, put, delete, range, watch, compact) in as few words as a
 * {@link Store} needs. An engine knows keys and bytes; objects, indexes, history and watchers are the store's.
 *
 * Guarantees every engine gives (`contract.ts` is the proof): a transaction is one revision or nothing; it resolves only once
 * it is durable and after the follower has been told; it is told of a failed comparison only once what it failed against is durable; revisions grow strictly and no revision that was ever acknowledged or
 * shown is given again, also across crashes; the follower is told every batch after the opened state once, in order, and none
 * that is not durable; what was opened is all of one instant.
 */
export interface Engine {
  /**
   * Reads what is there and follows what comes; called once, before everything else. Rejects with StoreFailedError naming file,
   * key and revision of what is damaged.
   */
  open(follower: Follower): Promise<Opened>;
  /**
   * The revision the next transaction will get, where this process is the only writer and so can know; undefined where other
   * writers exist and only the engine decides.
   */
  readonly next: number | undefined;
  /**
   * All changes as one revision, if every comparison holds against the newest accepted state; transactions are judged in call
   * order, also while earlier ones are not yet durable; where `next` is unknown, those of one key are. Rejects with
   * {@link CompareFailedError}, or StoreFailedError where it cannot be written. Gives the revision; without changes, the newest one as of when the comparisons held.
   */
  transact(transaction: Transaction): Promise<number>;
  /** The newest durable revision, asked of whoever decides: a reader that has reached it has read everything acknowledged. */
  confirm(): Promise<number>;
  /** What is needed only for reads before `revision` may be dropped, now or later; never stalls a transaction by more than 50 ms. */
  compact(revision: number): Promise<void>;
  /** Leaves nothing on disk of what compaction has made superseded; resolves when it is gone. */
  purge?(): Promise<void>;
  /** True: nothing is kept for another opening, so values need not be written out; they are then empty. */
  readonly fleeting?: boolean;
  /** Whether transactions can be taken at the moment, and what is wrong where not. */
  readonly health: EngineHealth;
  /** Everything accepted is durable or refused when this resolves. */
  close(): Promise<void>;
}

/** Whoever keeps a picture of the engine's state: the store. Called synchronously; must not throw. */
export interface Follower {
  /** A batch became durable. */
  next(batch: Batch): void;
  /** Where `next` is known: nothing accepted and not yet told will happen. Their transactions reject right after. */
  refused?(error: Error): void;
  /** No more batches come (connection lost for good, compacted past us): the picture must be made anew. */
  ended?(error: Error): void;
}

export interface Opened {
  /** The newest durable revision. */
  readonly revision: number;
  /** The oldest revision whose state can be told. */
  readonly compacted: number;
  /**
   * In revision order, what the state at `compacted` consists of and every change after it. May hold superseded batches before
   * `compacted`. Read it to its end once, before the first transaction.
   */
  readonly batches: AsyncIterable<readonly Batch[]>;
}

/** One transaction's changes, as they became durable. */
export interface Batch {
  readonly revision: number;
  /** Milliseconds since the Unix epoch, where the engine keeps it. */
  readonly time?: number;
  readonly changes: readonly Change[];
}

/** Text goes in as it is; what is read comes as either. */
export type Value = string | Uint8Array;

export interface Change {
  /** Free of line breaks; at most 4 KiB in UTF-8. */
  readonly key: string;
  /** Absent: the key is deleted. */
  readonly value: Value | undefined;
  /** So long it is wanted at least; an engine that can removes it by itself some time after, others leave that to others. */
  readonly ttlSeconds?: number;
}

/** Holds if the key's last change was at `revision`; 0: if the key does not exist. */
export interface Compare {
  readonly key: string;
  readonly revision: number;
}

export interface Transaction {
  readonly compares: readonly Compare[];
  /** At most {@link OPERATIONS}, each key once. */
  readonly changes: readonly Change[];
  /** Milliseconds since the Unix epoch; kept where the engine can. */
  readonly time: number;
}

export interface EngineHealth {
  readonly writable: boolean;
  /** What, where and how to mend; absent while writable. */
  readonly reason?: string;
  /** Bytes on disk, where they are this engine's. */
  readonly bytes?: number;
}

/** Changes one revision may hold. */
export const OPERATIONS = 1024;

export class CompareFailedError extends Error {
  constructor(
    readonly compare: Compare,
    /** The revision found, 0 for absent. */
    readonly actual: number,
  ) {
    super(`${compare.key}: expected revision ${compare.revision}, found ${actual}`);
    this.name = 'CompareFailedError';
  }
}

/** The store cannot be read or written (disk full, corruption); the message names the place, the cause and how to mend. */
export class StoreFailedError extends Error {
  override name = 'StoreFailedError';
}

/** Asked, and never answered: it may have happened, or not, and only a look will tell. */
export class UnknownOutcomeError extends StoreFailedError {
  override name = 'UnknownOutcomeError';
}

export function textOf(value: Value): string {
  return typeof value === 'string'
    ? value
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
}
