import { mkdirSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { open } from 'lmdb';
import { StoreFailedError } from '../store.js';
import type { Engine, EngineMeta, EngineRecord } from './engine.js';
import { lockDirectory } from './lock.js';

/** Version of the layout on disk: a database of records by number, each `crc32 | key length | key | JSON`, and one of notes. */
const FORMAT = 1;

/**
 * The durable engine: LMDB, whose transactions survive a crash at any instant; a checksum per record finds damage that the
 * file system let through. The directory is locked against a second process.
 */
export async function lmdbEngine(directory: string): Promise<Engine> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const unlock = lockDirectory(directory);
  // With overlapping syncs a commit would resolve before it is on disk.
  const root = open({ path: `${directory}/store.mdb`, overlappingSync: false, maxDbs: 4, mapSize: 1 << 26 });
  const records = root.openDB<Buffer, number>({ name: 'records', encoding: 'binary' });
  const notes = root.openDB<number, string>({ name: 'notes', encoding: 'json' });
  const format = notes.get('format');
  if (format !== undefined && format !== FORMAT) {
    await root.close();
    unlock();
    throw new StoreFailedError(
      `${directory}/store.mdb has format ${format}, this version reads ${FORMAT}: use the version of trimtab that wrote it`,
    );
  }
  if (format === undefined) await notes.put('format', FORMAT);
  const durably = async (what: string, write: () => void): Promise<void> => {
    try {
      await root.transaction(write);
    } catch (error) {
      throw new StoreFailedError(`cannot ${what} ${directory}/store.mdb: ${reason(error)}`, { cause: error });
    }
  };
  return {
    async load() {
      const meta: EngineMeta = { compacted: notes.get('compacted') ?? 0, revision: notes.get('revision') ?? 0 };
      return { meta, records: decodeAll(records.getRange({}), `${directory}/store.mdb`) };
    },
    append: (batch) =>
      durably('write to', () => {
        for (const record of batch) void records.put(record.number, encode(record));
      }),
    forget: (numbers, meta) =>
      durably('compact', () => {
        for (const number of numbers) void records.remove(number);
        void notes.put('compacted', meta.compacted);
        void notes.put('revision', meta.revision);
      }),
    async close() {
      await root.close();
      unlock();
    },
  };
}

function encode({ key, value }: EngineRecord): Buffer {
  const keyLength = Buffer.byteLength(key);
  const valueLength = value === undefined ? 0 : Buffer.byteLength(value);
  const bytes = Buffer.allocUnsafe(6 + keyLength + valueLength);
  bytes.writeUInt16LE(keyLength, 4);
  bytes.write(key, 6);
  if (value !== undefined) bytes.write(value, 6 + keyLength);
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
  return bytes;
}

function* decodeAll(range: Iterable<{ key: number; value: Buffer }>, file: string): Generator<EngineRecord> {
  for (const { key: number, value: bytes } of range) {
    if (bytes.length < 6 || bytes.readUInt32LE(0) !== crc32(bytes.subarray(4)))
      throw new StoreFailedError(`${file}: record ${number} is damaged (checksum); restore the file from a copy`);
    const end = 6 + bytes.readUInt16LE(4);
    yield {
      number,
      key: bytes.toString('utf8', 6, end),
      value: end === bytes.length ? undefined : bytes.toString('utf8', end),
    };
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
