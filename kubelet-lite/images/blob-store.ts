import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Random } from '@trimtab/machinery';
import { hexOf } from './manifest.js';

/** Bytes came that are not what their digest says. */
export class DigestError extends Error {
  override name = 'DigestError';
}

/** How far a blob has come; what was there before counts. */
export type BlobProgress = (bytes: number) => void;

/**
 * Content by digest in `blobs/sha256/`. A blob gets its name by a rename once it is whole and its digest has been checked, so
 * whatever has a name is right. What a crash interrupts stays in `ingest/` and is gone on with.
 */
export class BlobStore {
  readonly #directory: string;
  readonly #random: Random;

  constructor(directory: string, random: Random) {
    this.#directory = directory;
    this.#random = random;
  }

  async make(): Promise<void> {
    for (const part of ['blobs/sha256', 'ingest']) await fs.mkdir(join(this.#directory, part), { recursive: true });
  }

  path(digest: string): string {
    return join(this.#directory, 'blobs/sha256', hexOf(digest));
  }

  async size(digest: string): Promise<number | undefined> {
    return (await fs.stat(this.path(digest)).catch(() => undefined))?.size;
  }

  async read(digest: string): Promise<Buffer | undefined> {
    return fs.readFile(this.path(digest)).catch(() => undefined);
  }

  async list(): Promise<readonly string[]> {
    return (await fs.readdir(join(this.#directory, 'blobs/sha256'))).map((name) => `sha256:${name}`);
  }

  async remove(digest: string): Promise<void> {
    await fs.rm(this.path(digest), { force: true });
  }

  /** Small content whose digest the caller has made of it. */
  async write(digest: string, bytes: Uint8Array): Promise<void> {
    const file = await this.#claim(undefined);
    await fs.writeFile(file, bytes);
    await fs.rename(file, this.path(digest));
  }

  /** Takes over a file of this file system whose digest the caller has checked. */
  async adopt(digest: string, file: string): Promise<void> {
    await fs.rename(file, this.path(digest));
  }

  /**
   * Makes a blob be there. `open` gives its content from an offset on, or from the start where that cannot be had (and says
   * which); it is called again from where it broke off when `again` says so. Rejects with a {@link DigestError} when what came is
   * something else, and then nothing of it is kept.
   */
  async ingest(
    digest: string,
    size: number,
    open: (offset: number) => Promise<{ readonly offset: number; readonly content: AsyncIterable<Uint8Array> }>,
    again: (error: unknown, attempt: number) => Promise<boolean>,
    progress: BlobProgress = () => {},
  ): Promise<void> {
    if ((await this.size(digest)) !== undefined) return progress(size);
    const file = await this.#claim(digest);
    try {
      let attempt = 0;
      for (;;) {
        const before = (await fs.stat(file)).size;
        try {
          await this.#fill(file, digest, size, open, progress);
          break;
        } catch (error) {
          if (error instanceof DigestError) await fs.truncate(file, 0);
          const after = (await fs.stat(file)).size;
          // Attempts that bring nothing are counted; a connection that breaks now and then is no reason to give up.
          attempt = after > before ? 1 : attempt + 1;
          if (!(await again(error, attempt))) throw error;
        }
      }
      await fs.rename(file, this.path(digest));
    } catch (error) {
      await this.#release(file, digest);
      throw error;
    }
  }

  async #fill(
    file: string,
    digest: string,
    size: number,
    open: (offset: number) => Promise<{ readonly offset: number; readonly content: AsyncIterable<Uint8Array> }>,
    progress: BlobProgress,
  ): Promise<void> {
    const have = (await fs.stat(file)).size;
    let hash = createHash('sha256');
    let at = 0;
    if (have > size) await fs.truncate(file, 0);
    else if (have > 0) {
      for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
      at = have;
    }
    if (at < size || size === 0) {
      const { offset, content } = await open(at);
      if (offset !== at) {
        await fs.truncate(file, 0);
        hash = createHash('sha256');
        at = 0;
      }
      let broken: { readonly error: unknown } | undefined;
      const counted = async function* (): AsyncGenerator<Uint8Array> {
        try {
          for await (const chunk of content) {
            at += chunk.length;
            if (at > size) throw new DigestError(`${digest} is larger than the ${size} bytes its manifest says`);
            hash.update(chunk);
            progress(at);
            yield chunk;
          }
        } catch (error) {
          // Thrown within the pipeline it would drop what came before it and is not yet written.
          broken = { error };
        }
      };
      await pipeline(counted, createWriteStream(file, { flags: 'a', highWaterMark: 1 << 20 }));
      if (broken !== undefined) throw broken.error;
    }
    if (at < size) throw new Error(`${digest} broke off after ${at} of ${size} bytes`);
    const found = `sha256:${hash.digest('hex')}`;
    if (found !== digest) throw new DigestError(`what came for ${digest} has the digest ${found}`);
    progress(size);
  }

  /** A file of our own to write to, beginning with what somebody has left of the same blob: a rename has one winner. */
  async #claim(digest: string | undefined): Promise<string> {
    const name = `${digest === undefined ? '' : hexOf(digest)}.${Buffer.from(this.#random.bytes(6)).toString('hex')}`;
    const pid = await fs.readlink('/proc/self').catch(() => '0');
    const mine = join(this.#directory, 'ingest', `${name}.${pid}`);
    if (digest !== undefined)
      for (const other of await fs.readdir(join(this.#directory, 'ingest'))) {
        if (!other.startsWith(hexOf(digest)) || (await isTaken(other))) continue;
        const won = await fs.rename(join(this.#directory, 'ingest', other), mine).then(
          () => true,
          () => false,
        );
        if (won) return mine;
      }
    await fs.writeFile(mine, '', { flag: 'wx' });
    return mine;
  }

  async #release(file: string, digest: string): Promise<void> {
    const { size } = await fs.stat(file).catch(() => ({ size: 0 }));
    if (size === 0) return fs.rm(file, { force: true });
    await fs.rename(file, join(this.#directory, 'ingest', hexOf(digest))).catch(() => {});
  }

  /** Removes what was begun and is nobody's, when it is older than a day before `now`. */
  async sweep(now: number): Promise<void> {
    const directory = join(this.#directory, 'ingest');
    for (const name of await fs.readdir(directory)) {
      const stat = await fs.stat(join(directory, name)).catch(() => undefined);
      if (stat !== undefined && now - stat.mtimeMs > 86_400_000 && !(await isTaken(name)))
        await fs.rm(join(directory, name), { force: true });
    }
  }
}

/** Whether the process that writes it still lives: its id is the last part of the name. */
async function isTaken(name: string): Promise<boolean> {
  const pid = /\.[0-9a-f]+\.(\d+)$/.exec(name)?.[1];
  return pid !== undefined && (await fs.stat(`/proc/${pid}`).catch(() => undefined)) !== undefined;
}
