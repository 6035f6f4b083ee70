import { existsSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { OPERATIONS, StoreFailedError } from '../engine.js';
import type { Disk } from './disk.js';
import { encodeHeader, HEADER, KIND } from './frame.js';
import { SliceWriter } from './rewrite.js';
import { MEND, segmentName, writeFormat } from './segment-files.js';

/**
 * Brings a directory of format 1 (LMDB: records by number, each `crc32 | key length | key | JSON`) to format 2. The new files are
 * whole before the directory says so, and the old one goes last: a crash on the way begins again.
 */
export async function migrate(disk: Disk, format: number): Promise<void> {
  if (format !== 1) throw new StoreFailedError(`${disk.place} has format ${format}, which no version of trimtab wrote`);
  const path = `${disk.place}/store.mdb`;
  if (!existsSync(path)) throw new StoreFailedError(`${path} is missing; ${MEND}`);
  const { open } = await import('lmdb');
  const root = open({ path, maxDbs: 4, readOnly: true });
  try {
    const records = root.openDB<Buffer, number>({ name: 'records', encoding: 'binary' });
    const notes = root.openDB<number, string>({ name: 'notes', encoding: 'json' });
    const found = notes.get('format');
    if (found !== 1) throw new StoreFailedError(`${path} has format ${found}, where 1 is expected; ${MEND}`);
    const compacted = notes.get('compacted') ?? 0;
    const name = segmentName(1);
    const file = await disk.create(name);
    try {
      const writer = new SliceWriter(file, HEADER);
      let newest = notes.get('revision') ?? 0;
      let open: { revision: number; records: { index: number; key: string; value: Buffer | undefined }[] } | undefined;
      const finish = async () => {
        if (open !== undefined) await writer.frame({ kind: KIND.commit, number: 0, flush: HEADER, ...open });
        open = undefined;
      };
      for (const { key: number, value: bytes } of records.getRange({})) {
        const revision = Math.floor(number / OPERATIONS);
        if (open?.revision !== revision) await finish();
        open ??= { revision, records: [] };
        open.records.push({ index: number % OPERATIONS, ...decode(bytes, `${path}: record ${number}`) });
        newest = Math.max(newest, revision);
      }
      await finish();
      // Says the newest revision where its records are gone; LMDB was closed in order or had nothing in flight that counts.
      await writer.frame({ kind: KIND.closed, revision: newest, number: compacted, flush: HEADER, records: [] });
      await writer.end();
      await file.write(encodeHeader({ from: 1, through: 0, compacted }), 0);
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    await root.close();
  }
  await disk.syncNames();
  await writeFormat(disk);
  for (const name of ['store.mdb', 'store.mdb-lock']) if (existsSync(`${disk.place}/${name}`)) await disk.remove(name);
}

function decode(bytes: Buffer, what: string): { key: string; value: Buffer | undefined } {
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== crc32(bytes.subarray(4)))
    throw new StoreFailedError(`${what} is damaged (checksum); ${MEND}`);
  const end = 6 + bytes.readUInt16LE(4);
  return { key: bytes.toString('utf8', 6, end), value: end === bytes.length ? undefined : bytes.subarray(end) };
}
