import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Disk, directoryDisk } from '../engine/embedded/disk.js';
import { HEADER, KIND } from '../engine/embedded/frame.js';
import { recordNumber } from '../engine/embedded/ledger.js';
import { SliceWriter } from '../engine/embedded/rewrite.js';
import { FORMAT, formatOf, listSegments, readSegment, type SegmentFile } from '../engine/embedded/segment-files.js';
import { StoreFailedError } from '../engine/engine.js';
import { hashed, type SnapshotSummary, snapshotHeader, trailer } from './snapshot-file.js';

/** Rewriting of segments that came between, before it is given up. */
const ATTEMPTS = 10;

/** The store changed its files while they were read. */
class ChangedError extends Error {}

/**
 * Writes what a store's directory holds into a file: consistent as of its newest revision, also while another process writes to the
 * store, which is not disturbed. The file is there whole or not at all. Throws StoreFailedError naming what is damaged.
 */
export async function saveSnapshot(directory: string, path: string): Promise<SnapshotSummary> {
  const disk = await storeDisk(directory);
  for (let attempt = 1; ; attempt++) {
    try {
      return await save(disk, path);
    } catch (error) {
      const changed = error instanceof ChangedError || (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!changed) throw error;
      if (attempt === ATTEMPTS)
        throw new StoreFailedError(`${directory}: compaction does not stand still long enough; try again`);
    }
  }
}

/** Checks every byte of a store's directory; gives what it holds. Throws StoreFailedError naming what is damaged. */
export async function verifyStore(directory: string): Promise<SnapshotSummary> {
  const disk = await storeDisk(directory);
  const { segments } = await listSegments(disk);
  const { newest, revision, bytes } = await survey(disk, segments);
  return { revision, records: newest.size, bytes };
}

async function storeDisk(directory: string): Promise<Disk> {
  if (!existsSync(directory)) throw new StoreFailedError(`${directory} holds no store`);
  const disk = await directoryDisk(directory);
  const format = await formatOf(disk);
  if (format === undefined) throw new StoreFailedError(`${directory} holds no store`);
  if (format !== FORMAT)
    throw new StoreFailedError(
      `${directory} has format ${format}; start the cluster once, which brings it to ${FORMAT}`,
    );
  return disk;
}

async function save(disk: Disk, path: string): Promise<SnapshotSummary> {
  const { segments } = await listSegments(disk);
  const { newest, revision } = await survey(disk, segments);
  const target = await directoryDisk(dirname(path));
  const temporary = `${basename(path)}.tmp`;
  const raw = await target.create(temporary);
  const file = hashed(raw);
  try {
    await file.write(snapshotHeader(revision), 0);
    const writer = new SliceWriter(file, HEADER);
    let records = 0;
    for (const { name } of segments) {
      const { frames } = await readSegment(disk, name, name === segments.at(-1)!.name);
      for (const frame of frames) {
        if (frame.kind !== KIND.commit || frame.revision > revision) continue;
        const kept = frame.records.filter(({ key, index }) => newest.get(key) === recordNumber(frame.revision, index));
        if (kept.length === 0) continue;
        records += kept.length;
        await writer.frame({ ...frame, records: kept, flush: 0 });
      }
    }
    const end = await writer.end();
    await unchanged(disk, segments);
    if (records !== newest.size) throw new ChangedError();
    const last = trailer(records, file.hash.digest());
    await raw.write(last, end);
    await file.sync();
    await target.rename(temporary, basename(path));
    await target.syncNames();
    return { revision, records, bytes: end + last.length };
  } finally {
    await file.close();
    await target.remove(temporary).catch(() => {});
  }
}

/** The number of every live key's record, as of the newest revision. */
async function survey(disk: Disk, segments: readonly SegmentFile[]) {
  const newest = new Map<string, number>();
  let revision = Math.max(0, ...segments.flatMap(({ compacted, through }) => [compacted, through]));
  let bytes = 0;
  for (const { name } of segments) {
    const { frames, end } = await readSegment(disk, name, name === segments.at(-1)!.name);
    bytes += end;
    for (const frame of frames) {
      revision = Math.max(revision, frame.revision);
      if (frame.kind !== KIND.commit) continue;
      for (const { key, index, value } of frame.records)
        if (value === undefined) newest.delete(key);
        else newest.set(key, recordNumber(frame.revision, index));
    }
  }
  return { newest, revision, bytes };
}

/** A file rewritten meanwhile may lack a deletion of something in a file that was read before. */
async function unchanged(disk: Disk, before: readonly SegmentFile[]): Promise<void> {
  const { segments } = await listSegments(disk);
  const same = before.every(({ name, through, compacted }, i) => {
    const now = segments[i];
    return now?.name === name && now.through === through && now.compacted === compacted;
  });
  if (!same) throw new ChangedError();
}
