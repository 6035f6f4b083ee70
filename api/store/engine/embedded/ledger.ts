import { OPERATIONS } from '../engine.js';
import { HEADER } from './frame.js';

/** A file of frames, and what of it is still needed. */
export interface Segment {
  readonly from: number;
  readonly name: string;
  /** Whole length, header included. */
  bytes: number;
  /** Numbers of records nobody needs any more. */
  readonly garbage: Set<number>;
  garbageBytes: number;
}

export interface Place {
  readonly number: number;
  readonly bytes: number;
}

/** A place that compaction past `revision` makes garbage. */
interface Superseded extends Place {
  readonly revision: number;
  readonly key: string;
  readonly deletes: boolean;
}

/** A record that was left out of a rewritten file. */
export interface Dropped extends Place {
  readonly key: string;
  readonly deletes: boolean;
}

/** A record's number grows with its revision. */
export const recordNumber = (revision: number, index: number): number => revision * OPERATIONS + index;
export const revisionOf = (number: number): number => Math.floor(number / OPERATIONS);

/**
 * Pure bookkeeping over segments: where every key's newest record is, what compaction makes garbage, and which files are worth
 * writing anew. A deletion stays until all earlier records of its key are gone from every file, or they would rise again.
 */
export class Ledger {
  /** In revision order; the last one is written to. */
  readonly segments: Segment[] = [];
  readonly #newest = new Map<string, Place>();
  readonly #superseded: Superseded[] = [];
  #head = 0;
  /** Garbage values still in files, by key; and deletions that wait for them. */
  readonly #buried = new Map<string, number>();
  readonly #waiting = new Map<string, Place[]>();
  compacted = 0;

  /** The revision of the key's last change, 0 where it does not exist. */
  revisionOf(key: string): number {
    const place = this.#newest.get(key);
    return place === undefined ? 0 : revisionOf(place.number);
  }

  get keys(): number {
    return this.#newest.size;
  }

  get bytes(): number {
    return this.segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get garbageBytes(): number {
    return this.segments.reduce((sum, { garbageBytes }) => sum + garbageBytes, 0);
  }

  addSegment(from: number, name: string): Segment {
    const segment = { from, name, bytes: HEADER, garbage: new Set<number>(), garbageBytes: 0 };
    this.segments.push(segment);
    return segment;
  }

  /** Notes a record as accepted; gives what undoes it, for the reverse order. */
  record(key: string, revision: number, index: number, bytes: number, deletes: boolean): () => void {
    const before = this.#newest.get(key);
    const place = { number: recordNumber(revision, index), bytes };
    const added = (before === undefined ? 0 : 1) + (deletes ? 1 : 0);
    if (before !== undefined) this.#superseded.push({ ...before, revision, key, deletes: false });
    if (deletes) {
      this.#newest.delete(key);
      this.#superseded.push({ ...place, revision, key, deletes: true });
    } else this.#newest.set(key, place);
    return () => {
      this.#superseded.length -= added;
      if (before === undefined) this.#newest.delete(key);
      else this.#newest.set(key, before);
    };
  }

  /** Makes garbage of everything superseded at or before `revision`. */
  compact(revision: number): void {
    this.compacted = Math.max(this.compacted, revision);
    for (; this.#head < this.#superseded.length; this.#head++) {
      const entry = this.#superseded[this.#head]!;
      if (entry.revision > this.compacted) break;
      if (!entry.deletes) {
        this.#buried.set(entry.key, (this.#buried.get(entry.key) ?? 0) + 1);
        this.#discard(entry);
      } else if (this.#buried.has(entry.key)) {
        const waiting = this.#waiting.get(entry.key);
        if (waiting === undefined) this.#waiting.set(entry.key, [entry]);
        else waiting.push(entry);
      } else this.#discard(entry);
    }
    if (this.#head < 4096 || this.#head * 2 < this.#superseded.length) return;
    this.#superseded.splice(0, this.#head);
    this.#head = 0;
  }

  #discard({ number, bytes }: Place): void {
    const segment = this.segmentOf(revisionOf(number));
    if (segment === undefined || segment.garbage.has(number)) return;
    segment.garbage.add(number);
    segment.garbageBytes += bytes;
  }

  segmentOf(revision: number): Segment | undefined {
    let low = 0;
    let high = this.segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.segments[middle]!.from > revision) high = middle;
      else low = middle + 1;
    }
    return this.segments[low - 1];
  }

  /** Neighbours to be written anew as one file: the most garbage first, with what fits beside it. */
  worthRewriting(segmentBytes: number): readonly Segment[] | undefined {
    const sealed = this.segments.length - 1;
    if (sealed < 1) return undefined;
    const useful = (s: Segment) => s.bytes - s.garbageBytes;
    const total = this.segments.reduce((sum, s) => sum + useful(s), 0);
    const garbage = this.garbageBytes - this.segments[sealed]!.garbageBytes;
    const tooMany = sealed > 8 + (2 * total) / segmentBytes;
    if (garbage < Math.max(total / 2, segmentBytes / 2) && !tooMany) return undefined;
    let best = 0;
    for (let i = 1; i < sealed; i++) if (this.segments[i]!.garbageBytes > this.segments[best]!.garbageBytes) best = i;
    let [first, end] = [best, best + 1];
    let size = useful(this.segments[best]!);
    for (let grown = true; grown; ) {
      grown = false;
      for (const [i, at] of [
        [first - 1, 'first'],
        [end, 'end'],
      ] as const) {
        const next = i < 0 || i >= sealed ? undefined : this.segments[i]!;
        if (next === undefined || size + useful(next) > segmentBytes) continue;
        size += useful(next);
        if (at === 'first') first = i;
        else end = i + 1;
        grown = true;
      }
    }
    if (end - first === 1 && this.segments[best]!.garbageBytes === 0) return undefined;
    return this.segments.slice(first, end);
  }

  /** Notes that `run` is one file of `bytes` now, without the dropped records. */
  rewritten(run: readonly Segment[], bytes: number, dropped: readonly Dropped[]): void {
    const garbage = new Set<number>();
    for (const segment of run) for (const number of segment.garbage) garbage.add(number);
    let garbageBytes = run.reduce((sum, s) => sum + s.garbageBytes, 0);
    for (const { number, bytes: freed } of dropped) {
      garbage.delete(number);
      garbageBytes -= freed;
    }
    const { from, name } = run[0]!;
    this.segments.splice(this.segments.indexOf(run[0]!), run.length, { from, name, bytes, garbage, garbageBytes });
    for (const { key, deletes } of dropped) if (!deletes) this.#unbury(key);
  }

  #unbury(key: string): void {
    const left = (this.#buried.get(key) ?? 1) - 1;
    if (left > 0) {
      this.#buried.set(key, left);
      return;
    }
    this.#buried.delete(key);
    for (const place of this.#waiting.get(key) ?? []) this.#discard(place);
    this.#waiting.delete(key);
  }
}
