import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { directoryDisk } from '../engine/embedded/disk.js';
import { encodeHeader, HEADER } from '../engine/embedded/frame.js';
import { SliceWriter } from '../engine/embedded/rewrite.js';
import { segmentName, writeFormat } from '../engine/embedded/segment-files.js';
import { StoreFailedError } from '../engine/engine.js';
import { DirectoryInUseError, directoryHolder } from '../engine/lock.js';
import { verifyStore } from './save.js';
import { readSnapshot, type SnapshotSummary } from './snapshot-file.js';

export interface RestoreOptions {
  /** Put another store out of the way. */
  readonly force?: boolean;
  /** Added to the newest revision known, so that none which clients may have seen is given again. */
  readonly bumpRevision: number;
}

export interface Restored extends SnapshotSummary {
  /** Where the store that was there is now. */
  readonly before?: string;
}

/**
 * Makes a store of a snapshot. Everything up to its new revision counts as compacted, so that clients which knew another past list
 * anew. The directory is there whole or as it was. Throws StoreFailedError, also where there is a store and `force` is not set.
 */
export async function restoreSnapshot(path: string, directory: string, options: RestoreOptions): Promise<Restored> {
  const holder = directoryHolder(directory);
  if (holder !== undefined) throw new DirectoryInUseError(directory, holder);
  const there = (await readdir(directory).catch(() => [])).length > 0;
  if (there && !options.force)
    throw new StoreFailedError(
      `${directory} is not empty; with --force it is put aside and the snapshot takes its place`,
    );
  // What is damaged may well be why one restores.
  const known = there ? await verifyStore(directory).catch(() => undefined) : undefined;
  const aside = `${directory}.restoring`;
  await rm(aside, { recursive: true, force: true });
  await mkdir(dirname(directory), { recursive: true });
  const disk = await directoryDisk(aside);
  try {
    const frames = readSnapshot(path);
    const file = await disk.create(segmentName(1));
    let summary: SnapshotSummary;
    let revision: number;
    try {
      const writer = new SliceWriter(file, HEADER);
      for (;;) {
        const step = await frames.next();
        if (step.done) {
          summary = step.value;
          break;
        }
        await writer.frame({ ...step.value, flush: 0 });
      }
      await writer.end();
      revision = Math.max(summary.revision, known?.revision ?? 0) + options.bumpRevision;
      await file.write(encodeHeader({ from: 1, through: revision, compacted: revision }), 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await writeFormat(disk);
    const before = there ? await freeName(directory) : undefined;
    if (before === undefined) await rm(directory, { recursive: true, force: true });
    else await rename(directory, before);
    await rename(aside, directory);
    await (await directoryDisk(dirname(directory))).syncNames();
    return { ...summary, revision, before };
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function freeName(directory: string): Promise<string> {
  const names = new Set(await readdir(dirname(directory)));
  for (let n = 1; ; n++) {
    const candidate = `${directory}.before-${n}`;
    if (!names.has(candidate.slice(dirname(directory).length + 1))) return candidate;
  }
}
