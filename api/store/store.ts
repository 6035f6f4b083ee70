import type { KubeObject } from '@trimtab/machinery';
import type { Observable } from 'rxjs';

/**
 * An ordered stream of immutable revisions. One revision sequence for everything; state is an immutable ordered map, so a
 * snapshot, a page, a read at an old revision and a watch's starting point are all just an older root.
 *
 * Guarantees: a commit resolves only once it is durable; readers and watchers never see what is not durable; revisions
 * grow strictly and are never reused, also across crashes; a watch delivers every event of its scope after its starting
 * revision exactly once and in order, or errors with {@link CompactedError}.
 */
export interface Store {
  /** The newest durable revision. */
  readonly revision: number;
  /** The oldest revision that can still be read or watched from. */
  readonly compacted: number;
  /** The newest durable state, or the state as of `revision`; throws {@link CompactedError} or {@link FutureRevisionError}. */
  snapshot(revision?: number): Snapshot;
  /**
   * Applies all operations as one revision, or none. Expectations are checked against the newest accepted state (durable
   * or about to be), in call order; a failed one rejects with {@link ConflictError} and changes nothing.
   */
  commit(operations: readonly Operation[]): Promise<Commit>;
  /** The newest accepted state of one key, durable or not: what the next commit's expectation is held against. */
  pending(key: StoreKey): Entry | undefined;
  /**
   * Events after `from` within the scope, each exactly once, in revision order; those of one commit share a revision.
   * Subscribing replays what is retained and goes on live with no gap. A subscriber is called synchronously and must not
   * throw; it does its own bounded buffering.
   */
  watch(scope: Scope, from: number): Observable<StoreEvent>;
  /** The JSON of an object of a commit not long ago, as it was written down; for those who send the same text on. */
  text?(object: KubeObject): string | undefined;
  /** Forgets history before `revision`; the current state stays. */
  compact(revision: number): Promise<void>;
  /** Whether others write to it as well, so that what is seen here may be behind {@link Store.latest}. */
  readonly shared?: boolean;
  /** A revision that is at least as new as everything any writer had acknowledged when this was called, and is visible here. */
  latest(): Promise<number>;
  /** The newest revision whose commit was no later than `time` (Unix milliseconds); undefined when that is not retained. */
  revisionAt(time: number): number | undefined;
  /** When the newest commit at or before `revision` was made (Unix milliseconds); undefined when that is not retained. */
  timeOf(revision: number): number | undefined;
  /** The oldest commit that is retained, which is the oldest moment that can be read. */
  readonly oldest: Moment | undefined;
  /** Commits after `after`, oldest first, as far as they are retained when they are asked for; throws {@link CompactedError}. */
  commitsAfter(after: number): Iterable<PastCommit>;
  /**
   * Writes everything anew that is not stored as it would be now (other key, not encrypted), forgets the past and leaves nothing of the
   * former forms on disk. Gives the number of objects. What changes meanwhile is written anew by that change.
   */
  rewriteStale(): Promise<number>;
  /** Commits since the store was opened, by resource and operation. */
  figures?(): Iterable<WriteFigures>;
  /** Whether writes are taken at the moment. A store that cannot write still reads and is watched. */
  readonly health: StoreHealth;
  close(): Promise<void>;
}

/** One commit of the retained past. */
export interface PastCommit extends Moment {
  readonly events: readonly StoreEvent[];
}

export interface Moment {
  readonly revision: number;
  /** Unix milliseconds. */
  readonly time: number;
}

/** One key that differs between two snapshots; absent on the side that does not have it. */
export interface Difference {
  readonly key: StoreKey;
  readonly before?: Entry;
  readonly after?: Entry;
}

export interface WriteFigures {
  readonly resource: string;
  readonly operation: 'create' | 'update' | 'delete';
  /** Answered; refused expectations included. */
  readonly count: number;
  /** That the engine could not carry out. */
  readonly errors: number;
  /** All together. */
  readonly seconds: number;
  /** How many took no longer than each of `durationBounds`. */
  readonly within: readonly number[];
}

export interface StoreHealth {
  readonly writable: boolean;
  /** What is wrong, where, and how to mend it; absent while writable. */
  readonly reason?: string;
  /** Bytes on disk, where they are this store's. */
  readonly bytes?: number;
}

/** The place of one object: `resource` is `<group>/<plural>`, with `""` as the core group's name: `/pods`, `apps/deployments`. */
export interface StoreKey {
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

/** Narrower scopes are found by index, not by filtering. */
export interface Scope {
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
}

export interface Entry {
  readonly key: StoreKey;
  /** With `metadata.resourceVersion` set to the revision of its last change. */
  readonly object: KubeObject;
  readonly revision: number;
}

export interface Snapshot {
  readonly revision: number;
  get(key: StoreKey): Entry | undefined;
  /** In key order (namespace, then name), from the first key after `after` where given. Lazy: pages cost what they hold. */
  range(scope: Scope, after?: { readonly namespace: string; readonly name: string }): Iterable<Entry>;
  /** An object that stays the same one for as long as nothing of the resource changes; undefined where there is none to tell by. */
  identity?(resource: string): object | undefined;
  /** How many entries the scope holds, or of them come after `after`; O(log n) for a resource or namespace. */
  count(scope: Scope, after?: { readonly namespace: string; readonly name: string }): number;
}

/** `expect` is the entry's revision, or 0 for «does not exist»; omitted: no expectation. */
export type Operation =
  | { readonly type: 'put'; readonly key: StoreKey; readonly object: KubeObject; readonly expect?: number }
  | { readonly type: 'delete'; readonly key: StoreKey; readonly expect?: number }
  /** Changes nothing; the commit fails if the expectation does not hold. */
  | { readonly type: 'check'; readonly key: StoreKey; readonly expect: number };

export interface Commit {
  readonly revision: number;
  /** One per operation: what was stored, or for a delete the last state, stamped with the deletion's revision. */
  readonly entries: readonly (Entry | undefined)[];
}

export interface StoreEvent {
  readonly type: 'put' | 'delete';
  readonly revision: number;
  readonly key: StoreKey;
  /** The new state; for a delete the last state, stamped with the deletion's revision. */
  readonly object: KubeObject;
  /** The state before, absent when the event creates. */
  readonly previous?: KubeObject;
}

export class ConflictError extends Error {
  constructor(
    readonly key: StoreKey,
    readonly expected: number,
    readonly actual: number,
  ) {
    super(`${key.resource} ${key.namespace}/${key.name}: expected revision ${expected}, found ${actual}`);
    this.name = 'ConflictError';
  }
}

export class CompactedError extends Error {
  constructor(
    readonly revision: number,
    readonly compacted: number,
  ) {
    super(`revision ${revision} has been compacted; the oldest is ${compacted}`);
    this.name = 'CompactedError';
  }
}

export class FutureRevisionError extends Error {
  constructor(
    readonly revision: number,
    readonly current: number,
  ) {
    super(`revision ${revision} is in the future; the newest is ${current}`);
    this.name = 'FutureRevisionError';
  }
}
