import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * What the engine asks of a file system, so that tests can put one in its place that loses power, fills up, tears writes or is
 * slow. Names are of files in one directory. Errors carry the system's `code`.
 *
 * What survives a loss of power: file contents as of the last `sync` that resolved, with any part of what was written since; names
 * as of the last `syncNames`, with any part of what was made, renamed or removed since.
 */
export interface Disk {
  /** For messages. */
  readonly place: string;
  names(): Promise<readonly string[]>;
  /** The whole file, or at most its first `length` bytes. */
  read(name: string, length?: number): Promise<Buffer>;
  /** Makes or empties a file. */
  create(name: string, how?: Writing): Promise<DiskFile>;
  /** Opens a file that is there, for writing on. */
  open(name: string, how?: Writing): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  syncNames(): Promise<void>;
}

export interface Writing {
  /** What a write has written is synced when it resolves, and nothing else: one trip to the disk instead of two. */
  readonly synced?: boolean;
}

export interface DiskFile {
  write(bytes: Uint8Array, position: number): Promise<void>;
  truncate(length: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

const O_CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC;
const syncFlag = ({ synced = false }: Writing = {}): number => (synced ? constants.O_DSYNC : 0);

/** A directory of this machine; made where it is missing. */
export async function directoryDisk(directory: string): Promise<Disk> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return {
    place: directory,
    names: () => readdir(directory),
    read: (name, length) =>
      length === undefined ? readFile(join(directory, name)) : head(join(directory, name), length),
    create: async (name, how) => diskFile(await open(join(directory, name), O_CREATE | syncFlag(how), 0o600)),
    open: async (name, how) => diskFile(await open(join(directory, name), constants.O_RDWR | syncFlag(how))),
    rename: (from, to) => rename(join(directory, from), join(directory, to)),
    remove: (name) => unlink(join(directory, name)),
    async syncNames() {
      const handle = await open(directory, constants.O_RDONLY);
      await handle.sync().finally(() => handle.close());
    },
  };
}

async function head(file: string, length: number): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function diskFile(handle: FileHandle): DiskFile {
  return {
    async write(bytes, position) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    },
    truncate: (length) => handle.truncate(length),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
