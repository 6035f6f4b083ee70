import { createReadStream, createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock, Logger } from '@trimtab/machinery';

export interface RotatedLog {
  readonly containerId: string;
  readonly path: string;
}

export interface LogRotationOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The logs of all running containers. */
  readonly logs: () => readonly RotatedLog[];
  readonly reopen: (containerId: string) => Promise<void>;
  readonly maxBytes?: number;
  /** Files kept of one attempt, the current one included. */
  readonly maxFiles?: number;
}

const CHECK_MS = 10_000;
const MAX_BYTES = 10 * 2 ** 20;
const MAX_FILES = 5;

/** Keeps logs bounded, one file at a time, as the kubelet does. Returns how to stop. */
export function rotateLogs(options: LogRotationOptions): () => void {
  const { clock, logger } = options;
  let stopped = false;
  let cancel = clock.after(CHECK_MS, () => void round());

  async function round(): Promise<void> {
    for (const log of options.logs()) {
      if (stopped) return;
      try {
        const { size } = await fs.stat(log.path);
        if (size > (options.maxBytes ?? MAX_BYTES)) await rotate(log, options);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          logger.warn({ log: log.path, error: String(error) }, 'log not rotated');
        }
      }
    }
    if (!stopped) cancel = clock.after(CHECK_MS, () => void round());
  }

  return () => {
    stopped = true;
    cancel();
  };
}

async function rotate(log: RotatedLog, options: LogRotationOptions): Promise<void> {
  const directory = dirname(log.path);
  const name = basename(log.path);
  const keep = (options.maxFiles ?? MAX_FILES) - 2;
  const older = (await fs.readdir(directory)).filter((f) => f.startsWith(`${name}.`)).sort();
  for (const file of older.filter((f) => f.endsWith('.tmp'))) await fs.rm(join(directory, file), { force: true });
  const rotated = older.filter((f) => !f.endsWith('.tmp'));
  for (const file of rotated.slice(0, Math.max(rotated.length - keep, 0)))
    await fs.rm(join(directory, file), { force: true });
  for (const file of rotated.slice(-keep)) if (!file.endsWith('.gz')) await compress(join(directory, file));
  const stamp = new Date(options.clock.now())
    .toISOString()
    .replaceAll(/[-:]|\..*/g, '')
    .replace('T', '-');
  await fs.rename(log.path, `${log.path}.${stamp}`);
  await options.reopen(log.containerId);
}

async function compress(path: string): Promise<void> {
  await pipeline(createReadStream(path), createGzip(), createWriteStream(`${path}.gz.tmp`));
  await fs.rename(`${path}.gz.tmp`, `${path}.gz`);
  await fs.rm(path);
}
