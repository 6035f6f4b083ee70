import { anotherTurn } from '@trimtab/machinery';
import {
  type Batch,
  CompareFailedError,
  type Engine,
  type EngineHealth,
  type Follower,
  OPERATIONS,
  type Opened,
  StoreFailedError,
  type Transaction,
} from '../engine.js';
import { lockDirectory } from '../lock.js';
import { type Disk, type DiskFile, directoryDisk } from './disk.js';
import { encodeFrame, encodeHeader, frameSize, HEADER, KIND, recordSize } from './frame.js';
import { Ledger, type Segment } from './ledger.js';
import { rewrite } from './rewrite.js';
import {
  decodeSegment,
  FORMAT,
  formatOf,
  listSegments,
  readSegment,
  type SegmentContent,
  type SegmentFile,
  segmentName,
  writeFormat,
} from './segment-files.js';

export interface EmbeddedOptions {
  /** Bounds of a segment's length; the share of all data that one holds lies between. */
  readonly segmentBytes?: { readonly least: number; readonly most: number };
}

/** The durable engine on this machine's disk, for one process: takes the directory until it is closed. */
export async function embeddedEngine(directory: string, options: EmbeddedOptions = {}): Promise<Engine> {
  const disk = await directoryDisk(directory);
  const unlock = lockDirectory(directory);
  return new EmbeddedEngine(disk, unlock, options);
}

/** The same on any disk. */
export const engineOn = (disk: Disk, options: EmbeddedOptions = {}): Engine =>
  new EmbeddedEngine(disk, () => {}, options);

/** More than can be under way at once: revisions that a crashed process may have given to what it never acknowledged. */
const LEAP = 65_536;
/** Frames written at once; what is more waits for the next sync. */
const FLUSH = 4 * 1024 * 1024;
/** What is told of in one turn of the event loop: whoever hears of it goes on at once, and all others wait for that. */
const TOLD_AT_ONCE = 16;
const SEGMENT = { least: 1024 * 1024, most: 32 * 1024 * 1024 };
const SHARE = 8;

interface Accepted {
  readonly batch: Batch & { readonly time: number };
  readonly bytes: number;
  readonly undo: readonly (() => void)[];
  readonly done: Promise<number>;
  readonly resolve: (revision: number) => void;
  readonly reject: (error: Error) => void;
}

/**
 * An append-only log in segments. Many writers, one write and one sync: whatever is accepted while a sync is under way is the
 * next batch. Superseded records go when their segment is rewritten, in the background and in slices.
 */
class EmbeddedEngine implements Engine {
  readonly #ledger = new Ledger();
  #follower: Follower | undefined;
  #file: DiskFile | undefined;
  #durable = 0;
  #next = 1;
  #queue: Accepted[] = [];
  /** Being written. */
  #taken: readonly Accepted[] = [];
  #flushing: Promise<void> | undefined;
  #rewriting: Promise<void> | undefined;
  #scratch = Buffer.alloc(0);
  /** The active segment may have more in it than was acknowledged. */
  #tainted = false;
  #noted = 0;
  /** The next write begins a segment. */
  #seal = false;
  #failure: StoreFailedError | undefined;
  #closed = false;

  constructor(
    readonly disk: Disk,
    readonly unlock: () => void,
    readonly options: EmbeddedOptions,
  ) {}

  get next(): number {
    return this.#next;
  }

  get health(): EngineHealth {
    const bytes = this.#ledger.bytes;
    return this.#failure === undefined
      ? { writable: true, bytes }
      : { writable: false, reason: this.#failure.message, bytes };
  }

  async open(follower: Follower): Promise<Opened> {
    this.#follower = follower;
    const format = await formatOf(this.disk);
    if (format === undefined) await writeFormat(this.disk);
    else if (format < FORMAT) await (await import('./migrate.js')).migrate(this.disk, format);
    const { segments, leftOver } = await listSegments(this.disk);
    for (const name of leftOver) await this.disk.remove(name);
    const last = segments.at(-1);
    const newest = last && (await readSegment(this.disk, last.name, true));
    const notes = newest?.frames.filter(({ kind }) => kind === KIND.compacted).map(({ number }) => number) ?? [];
    const compacted = Math.max(0, ...segments.map((segment) => segment.compacted), ...notes);
    const end = newest?.frames.at(-1);
    this.#durable = Math.max(compacted, end?.revision ?? 0);
    // A segment nothing was acknowledged in says nothing of what is durable.
    for (const { name } of end === undefined ? segments.slice(0, -1).reverse() : []) {
      const { frames } = await readSegment(this.disk, name, false);
      this.#durable = Math.max(this.#durable, frames.at(-1)?.revision ?? 0);
      if (frames.length > 0) break;
    }
    const given = Math.max(this.#durable, last?.from ?? 0, last?.through ?? 0);
    this.#next = given + 1 + (last === undefined || end?.kind === KIND.closed ? 0 : LEAP);
    this.#noted = compacted;
    return { revision: this.#durable, compacted, batches: this.#read(segments, compacted, newest) };
  }

  /** While one file is looked through the next is on its way from the disk. */
  async *#read(
    segments: readonly SegmentFile[],
    compacted: number,
    last: SegmentContent | undefined,
  ): AsyncGenerator<readonly Batch[]> {
    const begin = (place: number): Promise<Buffer> | undefined => {
      const reading = place < segments.length - 1 ? this.disk.read(segments[place]!.name) : undefined;
      reading?.catch(() => {});
      return reading;
    };
    let ahead = begin(0);
    for (const [place, { name, from, through }] of segments.entries()) {
      const newest = place === segments.length - 1;
      const bytes = newest ? undefined : await ahead!;
      ahead = begin(place + 1);
      const { frames, end, torn } = bytes ? decodeSegment(`${this.disk.place}/${name}`, bytes, false) : last!;
      const segment = this.#ledger.addSegment(from, name);
      segment.bytes = end;
      const batches: Batch[] = [];
      for (const { kind, revision, number, records } of frames) {
        if (kind !== KIND.commit) continue;
        for (const { index, key, value } of records)
          this.#ledger.record(key, revision, index, recordSize(key, value), value === undefined);
        // Format 1 kept no times.
        batches.push({ revision, time: number || undefined, changes: records });
      }
      this.#ledger.compact(compacted);
      yield batches;
      if (!newest || through > 0) continue;
      this.#file = await this.disk.open(name, { synced: true });
      try {
        if (torn > 0) await this.#file.truncate(end);
        // Who wrote this may have been killed before it was synced, and it is told of from now on.
        await this.#file.sync();
      } catch (error) {
        throw unsynced(`${this.disk.place}/${name}`, error);
      }
    }
  }

  transact({ compares, changes, time }: Transaction): Promise<number> {
    if (this.#closed || this.#follower === undefined)
      return Promise.reject(new StoreFailedError('the store is closed'));
    if (changes.length > OPERATIONS)
      return Promise.reject(new RangeError(`a transaction holds at most ${OPERATIONS} changes`));
    for (const compare of compares) {
      const actual = this.#ledger.revisionOf(compare.key);
      if (actual === compare.revision) continue;
      return this.#settled().then(() => Promise.reject(new CompareFailedError(compare, actual)));
    }
    if (changes.length === 0) return this.#settled();
    const revision = this.#next++;
    let bytes = frameSize([]);
    const undo = changes.map(({ key, value }, index) => {
      const size = recordSize(key, value);
      bytes += size;
      return this.#ledger.record(key, revision, index, size, value === undefined);
    });
    let resolve: Accepted['resolve'];
    let reject: Accepted['reject'];
    const done = new Promise<number>((...both) => {
      [resolve, reject] = both;
    });
    this.#queue.push({ batch: { revision, time, changes }, bytes, undo, done, resolve: resolve!, reject: reject! });
    this.#flushing ??= this.#flush();
    return done;
  }

  async confirm(): Promise<number> {
    return this.#durable;
  }

  async compact(revision: number): Promise<void> {
    this.#ledger.compact(Math.min(revision, this.#durable));
    if (this.#rewriting !== undefined) return;
    this.#rewriting = this.#rewrite();
    void this.#rewriting.then(() => {
      this.#rewriting = undefined;
    });
  }

  async purge(): Promise<void> {
    this.#seal = true;
    this.#flushing ??= this.#flush();
    await this.#flushing;
    await this.#rewriting;
    const { segments } = this.#ledger;
    for (const segment of segments.slice(0, -1))
      if (segment.garbage.size > 0)
        await rewrite(this.disk, this.#ledger, [segment], segments[segments.indexOf(segment) + 1]!.from - 1);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#flushing;
    await this.#rewriting;
    try {
      // Only a directory that was opened whole has a place to write to.
      if (this.#file !== undefined && !this.#tainted) await this.#write([], KIND.closed);
    } catch {
      // The next start finds everything acknowledged all the same, and leaps.
    } finally {
      await this.#file?.close().catch(() => {});
      this.unlock();
    }
  }

  /** What was judged by something not yet durable is answered only once that is; rejects where it is refused. */
  #settled(): Promise<number> {
    const last = this.#queue.at(-1) ?? this.#taken.at(-1);
    return last === undefined ? Promise.resolve(this.#durable) : last.done;
  }

  async #flush(): Promise<void> {
    // Lets every transaction of this turn of the event loop into the first batch.
    await Promise.resolve();
    while (this.#queue.length > 0 || this.#seal) {
      const taken = this.#take();
      this.#taken = taken;
      try {
        await this.#write(taken);
      } catch (error) {
        // What is refused must not rise again after a crash; where the disk does not even shrink a file, it may.
        await this.#untaint().catch(() => {});
        this.#refuse([...taken, ...this.#queue], error);
        break;
      }
      this.#failure = undefined;
      for (const [place, { batch, resolve }] of taken.entries()) {
        if (place > 0 && place % TOLD_AT_ONCE === 0) await anotherTurn();
        this.#durable = batch.revision;
        this.#follower!.next(batch);
        resolve(batch.revision);
      }
      this.#taken = [];
    }
    this.#taken = [];
    this.#flushing = undefined;
  }

  #take(): Accepted[] {
    let count = 0;
    for (let bytes = 0; count < this.#queue.length; count++) {
      bytes += this.#queue[count]!.bytes;
      if (bytes > FLUSH && count > 0) break;
    }
    return this.#queue.splice(0, count);
  }

  /** Durable when it resolves. */
  async #write(taken: readonly Accepted[], last?: number): Promise<void> {
    const { compacted } = this.#ledger;
    const revision = taken.at(-1)?.batch.revision ?? this.#durable;
    const note = { kind: KIND.compacted, revision, number: compacted, records: [] };
    const notes = compacted > this.#noted ? [note] : [];
    if (last !== undefined) notes.push({ ...note, kind: last as typeof note.kind });
    const size = taken.reduce((sum, { bytes }) => sum + bytes, notes.length * frameSize([]));
    const { file, segment } = await this.#room(size, taken[0]?.batch.revision ?? this.#next);
    if (this.#scratch.length < size) this.#scratch = Buffer.allocUnsafeSlow(Math.max(size, 64 * 1024));
    const flush = segment.bytes;
    let at = 0;
    for (const { batch } of taken) {
      const { revision, time: number, changes } = batch;
      const records = changes.map(({ key, value }, index) => ({ index, key, value }));
      at = encodeFrame(this.#scratch, at, { kind: KIND.commit, revision, number, flush, records });
    }
    for (const frame of notes) at = encodeFrame(this.#scratch, at, { ...frame, flush });
    this.#tainted = true;
    await file.write(this.#scratch.subarray(0, at), flush);
    this.#tainted = false;
    segment.bytes += at;
    this.#noted = compacted;
  }

  /** The active segment, without anything unacknowledged at its end; a new one where the last is full. */
  async #room(size: number, revision: number): Promise<{ file: DiskFile; segment: Segment }> {
    const segment = this.#ledger.segments.at(-1);
    const full = this.#seal;
    this.#seal = false;
    if (segment !== undefined && this.#file !== undefined) {
      await this.#untaint();
      const fits = segment.bytes + size <= this.#segmentBytes() && !full;
      if (segment.bytes === HEADER || fits) return { file: this.#file, segment };
    }
    const name = segmentName(revision);
    const file = await this.disk.create(name, { synced: true });
    try {
      const header = { from: revision, through: 0, compacted: this.#ledger.compacted };
      await file.write(encodeHeader(header), 0);
      await this.disk.syncNames();
    } catch (error) {
      await file.close().catch(() => {});
      await this.disk.remove(name).catch(() => {});
      throw error;
    }
    await this.#file?.close().catch(() => {});
    this.#file = file;
    return { file, segment: this.#ledger.addSegment(revision, name) };
  }

  async #untaint(): Promise<void> {
    const segment = this.#ledger.segments.at(-1);
    if (!this.#tainted || this.#file === undefined || segment === undefined) return;
    await this.#file.truncate(segment.bytes);
    await this.#file.sync();
    this.#tainted = false;
  }

  #segmentBytes(): number {
    const { least, most } = this.options.segmentBytes ?? SEGMENT;
    return Math.min(Math.max((this.#ledger.bytes - this.#ledger.garbageBytes) / SHARE, least), most);
  }

  /** Nothing of this happened. Revisions it was given are not given again. */
  #refuse(refused: readonly Accepted[], error: unknown): void {
    this.#queue = [];
    const failure = unwritable(this.disk.place, error);
    this.#failure = failure;
    for (const { undo } of refused.toReversed()) for (const step of undo.toReversed()) step();
    this.#follower!.refused?.(failure);
    for (const { reject } of refused) reject(failure);
  }

  async #rewrite(): Promise<void> {
    try {
      for (;;) {
        const run = this.#closed ? undefined : this.#ledger.worthRewriting(this.#segmentBytes());
        if (run === undefined) break;
        const { segments } = this.#ledger;
        const after = segments[segments.indexOf(run.at(-1)!) + 1]!;
        await rewrite(this.disk, this.#ledger, run, after.from - 1);
      }
    } catch {
      // Nothing is lost but space; the next compaction tries again.
    }
  }
}

const isFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function unsynced(file: string, error: unknown): StoreFailedError {
  const mend = isFull(error) ? 'the disk is full: free some space there and start again' : 'look after the disk';
  return new StoreFailedError(`cannot sync ${file}, so what is in it may not last: ${mend} (${reasonOf(error)})`, {
    cause: error,
  });
}

function unwritable(place: string, error: unknown): StoreFailedError {
  const mend = isFull(error)
    ? 'the disk is full; free some space there, and writing goes on by itself. Reading and watching go on meanwhile'
    : 'nothing of it was written; reading and watching go on';
  return new StoreFailedError(`cannot write to ${place}: ${mend} (${reasonOf(error)})`, { cause: error });
}
