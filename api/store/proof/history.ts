/**
 * What clients of a store did and saw, and what the store in the end holds. Values are text, unique to their transaction; times are
 * of one clock. Pure data: recorded anywhere, judged by `check.ts`.
 */

/** What a transaction asks. */
export interface TransactionRequest {
  /** Key and the revision it is expected at, 0 for absent. */
  readonly expects: readonly (readonly [key: string, revision: number])[];
  /** Key and new value, null to delete. */
  readonly changes: readonly (readonly [key: string, value: string | null])[];
}

export type TransactionAnswer =
  | { readonly revision: number }
  | { readonly conflict: { readonly key: string; readonly actual: number } }
  /** Said not to have happened. */
  | { readonly refused: string };

export interface RecordedTransaction {
  readonly id: string;
  readonly start: number;
  readonly request: TransactionRequest;
  /** Absent: never answered, may or may not have happened. */
  readonly end?: number;
  readonly answer?: TransactionAnswer;
}

/** A read of everything, or of one key, at the newest revision. */
export interface RecordedRead {
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly revision: number;
  readonly key?: string;
  readonly entries: readonly (readonly [key: string, revision: number, value: string])[];
}

export interface RecordedWatch {
  readonly id: string;
  /** Events after this revision are asked for. */
  readonly from: number;
  /** Keys that begin with this. */
  readonly prefix: string;
  readonly notices: readonly WatchNotice[];
  /** Whoever wrote the notices down died: they may end between the events of one revision. */
  readonly cut?: boolean;
}

export type WatchNotice =
  | {
      readonly type: 'event';
      readonly revision: number;
      readonly key: string;
      readonly value: string | null;
      /** The value before; null where the event says that it creates. */
      readonly previous: string | null;
    }
  /** Everything up to this revision has been told. */
  | { readonly type: 'bookmark'; readonly revision: number };

/** One revision as the store holds it after everything. */
export interface PersistedRevision {
  readonly revision: number;
  readonly changes: readonly (readonly [key: string, value: string | null])[];
}

export interface History {
  /** Revisions up to this one were there before and are taken as given. */
  readonly since?: number;
  readonly persisted: readonly PersistedRevision[];
  readonly transactions: readonly RecordedTransaction[];
  readonly reads: readonly RecordedRead[];
  readonly watches: readonly RecordedWatch[];
}

/** `rule` is one of a few words, so that a test can ask for it; `detail` says what and where. */
export interface Violation {
  readonly rule: string;
  readonly detail: string;
}
