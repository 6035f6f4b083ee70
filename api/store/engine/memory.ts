import {
  type Batch,
  CompareFailedError,
  type Engine,
  type Follower,
  OPERATIONS,
  StoreFailedError,
  type Transaction,
} from './engine.js';

/** Superseded batches that may lie about before they are swept. */
const SLACK = 4096;

export interface MemoryOptions {
  /** Behave as an engine with other writers: revisions are known only when transactions resolve. */
  readonly shared?: boolean;
  /** Never opened again: what is committed is not written out, which for a test's world is a twentieth of all it does. */
  readonly fleeting?: boolean;
}

/**
 * Keeps everything in memory: for tests and throw-away clusters. Opened again after a `close` it has what it had. A transaction
 * becomes «durable» when the current turn of the event loop's promise callbacks lets it, together with those accepted meanwhile.
 */
export function memoryEngine({ shared = false, fleeting = false }: MemoryOptions = {}): Engine {
  return new MemoryEngine(shared, fleeting);
}

class MemoryEngine implements Engine {
  #batches: Batch[] = [];
  readonly #revisions = new Map<string, number>();
  #follower: Follower | undefined;
  #accepted = 0;
  #durable = 0;
  #compacted = 0;
  #superseded = 0;
  readonly health = { writable: true };

  constructor(
    readonly shared: boolean,
    readonly fleeting: boolean,
  ) {}

  get next(): number | undefined {
    return this.shared ? undefined : this.#accepted + 1;
  }

  async open(follower: Follower) {
    this.#follower = follower;
    const batches = this.#batches;
    return {
      revision: this.#durable,
      compacted: this.#compacted,
      batches: (async function* () {
        yield batches;
      })(),
    };
  }

  async transact({ compares, changes, time }: Transaction): Promise<number> {
    if (this.#follower === undefined) throw new StoreFailedError('the store is closed');
    if (changes.length > OPERATIONS) throw new RangeError(`a transaction holds at most ${OPERATIONS} changes`);
    for (const compare of compares) {
      const actual = this.#revisions.get(compare.key) ?? 0;
      if (actual === compare.revision) continue;
      await Promise.resolve();
      throw new CompareFailedError(compare, actual);
    }
    if (changes.length === 0) {
      await Promise.resolve();
      return this.#durable;
    }
    const revision = ++this.#accepted;
    for (const { key, value } of changes) {
      if (this.#revisions.has(key)) this.#superseded++;
      if (value === undefined) this.#revisions.delete(key);
      else this.#revisions.set(key, revision);
    }
    await Promise.resolve();
    const batch = { revision, time, changes };
    this.#batches.push(batch);
    this.#durable = revision;
    this.#follower?.next(batch);
    return revision;
  }

  async confirm(): Promise<number> {
    return this.#durable;
  }

  async compact(revision: number): Promise<void> {
    this.#compacted = Math.max(this.#compacted, Math.min(revision, this.#durable));
    if (this.#superseded < SLACK) return;
    this.#superseded = 0;
    this.#batches = withoutSuperseded(this.#batches, this.#compacted);
  }

  async close(): Promise<void> {
    this.#follower = undefined;
  }
}

/** What the state at `compacted`, and everything after, needs. */
function withoutSuperseded(batches: readonly Batch[], compacted: number): Batch[] {
  const seen = new Set<string>();
  const kept: Batch[] = [];
  for (const batch of batches.toReversed()) {
    if (batch.revision > compacted) {
      kept.push(batch);
      continue;
    }
    const changes = batch.changes.filter(({ key, value }) => !seen.has(key) && value !== undefined);
    for (const { key } of batch.changes) seen.add(key);
    if (changes.length > 0) kept.push({ ...batch, changes });
  }
  return kept.reverse();
}
