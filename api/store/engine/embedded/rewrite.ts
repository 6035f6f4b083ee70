import type { Disk, DiskFile } from './disk.js';
import { encodeFrame, encodeHeader, frameSize, HEADER, KIND, type ReadFrame, recordSize } from './frame.js';
import { type Dropped, type Ledger, recordNumber, type Segment } from './ledger.js';
import { sealedFrames } from './segment-files.js';

/** Written between two turns of the event loop. */
const SLICE = 512 * 1024;
/** Written between two syncs, so that none holds up those of commits for long. */
const UNSYNCED = 2 * 1024 * 1024;

/**
 * Writes neighbouring segments anew as one, without their garbage, beside commits that go on. At every instant the directory
 * has either the old files or the new one with the old ones as left-overs.
 */
export async function rewrite(disk: Disk, ledger: Ledger, run: readonly Segment[], through: number): Promise<void> {
  const { name, from } = run[0]!;
  const temporary = `${name}.tmp`;
  const file = await disk.create(temporary);
  const dropped: Dropped[] = [];
  let bytes: number;
  try {
    const writer = new SliceWriter(file, HEADER);
    for (const segment of run) {
      for await (const frame of sealedFrames(disk, segment.name)) {
        if (frame.kind !== KIND.commit) continue;
        const records = frame.records.filter((record) => {
          const number = recordNumber(frame.revision, record.index);
          if (!segment.garbage.has(number)) return true;
          const { key, value } = record;
          dropped.push({ number, key, bytes: recordSize(key, value), deletes: value === undefined });
          return false;
        });
        if (records.length > 0) await writer.frame({ ...frame, records, flush: 0 });
      }
    }
    bytes = await writer.end();
    // Last, for what was dropped may be superseded by what came meanwhile.
    await file.write(encodeHeader({ from, through, compacted: ledger.compacted }), 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, name);
  await disk.syncNames();
  ledger.rewritten(run, bytes, dropped);
  for (const segment of run.slice(1)) await disk.remove(segment.name);
}

/** Appends frames to a file in slices, with the event loop's turn between them. */
export class SliceWriter {
  #buffer = Buffer.allocUnsafeSlow(SLICE);
  #used = 0;
  #unsynced = 0;

  constructor(
    readonly file: DiskFile,
    private position: number,
  ) {}

  async frame(frame: Omit<ReadFrame, 'start' | 'end'>): Promise<void> {
    const size = frameSize(frame.records);
    if (this.#used + size > this.#buffer.length) await this.#write();
    if (size > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(size);
    this.#used = encodeFrame(this.#buffer, this.#used, frame);
  }

  /** Gives the file's length. */
  async end(): Promise<number> {
    await this.#write();
    return this.position;
  }

  async #write(): Promise<void> {
    if (this.#used === 0) return;
    await this.file.write(this.#buffer.subarray(0, this.#used), this.position);
    this.position += this.#used;
    this.#unsynced += this.#used;
    this.#used = 0;
    if (this.#unsynced < UNSYNCED) return;
    this.#unsynced = 0;
    await this.file.sync();
  }
}
