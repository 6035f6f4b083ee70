/**
 * Where commits become durable: an append-only sequence of records with deletion of old ones. A record number grows with the
 * revision; a batch is written whole or not at all, and is on disk when {@link Engine.append} resolves.
 */
export interface Engine {
  /** Everything written and not forgotten, in record order. Throws StoreFailedError naming a damaged record. */
  load(): Promise<Loaded>;
  append(records: readonly EngineRecord[]): Promise<void>;
  /** Notes the compacted revision and the newest one, and deletes records, atomically. */
  forget(records: readonly number[], meta: EngineMeta): Promise<void>;
  close(): Promise<void>;
}

export interface EngineMeta {
  readonly compacted: number;
  /** The newest revision when this was written: keeps revisions from being reused after their records are gone. */
  readonly revision: number;
}

export interface Loaded {
  readonly meta: EngineMeta;
  readonly records: Iterable<EngineRecord>;
}

export interface EngineRecord {
  readonly number: number;
  /** Canonical key of the object. */
  readonly key: string;
  /** JSON text of the object; absent for a deletion. */
  readonly value: string | undefined;
}

/** Operations one revision may hold; record numbers are `revision * OPERATIONS + index`. */
export const OPERATIONS = 1024;

export const recordNumber = (revision: number, index: number): number => revision * OPERATIONS + index;
export const revisionOf = (record: number): number => Math.floor(record / OPERATIONS);
