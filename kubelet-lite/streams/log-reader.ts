import { watch } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { LogOptions } from '@trimtab/client';
import { LineSplitter, LogFormatter, parseLogLine } from './cri-log.js';

const CHUNK = 64 * 1024;

export interface LogSource {
  readonly path: string;
  /** Resolves when nothing more will be written: the end of following. */
  readonly ended: Promise<void>;
  readonly now: number;
  readonly signal: AbortSignal;
}

/**
 * A container's log as `kubectl logs` wants it. Following is driven by the file system's own notifications and goes on across
 * rotations; it ends when the container has ended and everything it wrote has been read, or when aborted.
 */
export async function* readLog(source: LogSource, options: LogOptions): AsyncGenerator<Buffer> {
  const since = sinceOf(options, source.now);
  const formatter = new LogFormatter({
    timestamps: options.timestamps ?? false,
    ...(since === undefined ? {} : { since }),
  });
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  for await (const line of rawLines(source, options)) {
    const entry = parseLogLine(line);
    const text = entry && formatter.format(entry);
    if (!text) continue;
    if (text.length >= left) {
      yield text.subarray(0, left);
      return;
    }
    left -= text.length;
    if (text.length > 0) yield text;
  }
}

function sinceOf(options: LogOptions, now: number): number | undefined {
  if (options.sinceTime) return Date.parse(options.sinceTime);
  return options.sinceSeconds === undefined ? undefined : now - options.sinceSeconds * 1_000;
}

async function* rawLines(source: LogSource, options: LogOptions): AsyncGenerator<Buffer> {
  const changes = options.follow ? new Changes(source) : undefined;
  let handle = await fs.open(source.path, 'r');
  try {
    const splitter = new LineSplitter();
    let position = await startOf(handle, options.tailLines);
    for (;;) {
      const ended = changes?.ended ?? true;
      let chunk = await readAt(handle, position);
      while (chunk.length > 0) {
        position += chunk.length;
        yield* splitter.push(chunk);
        if (source.signal.aborted) return;
        chunk = await readAt(handle, position);
      }
      const successor = options.follow ? await rotatedTo(source.path, handle) : undefined;
      if (successor) {
        await handle.close();
        handle = successor;
        position = 0;
      } else if (!changes || ended || source.signal.aborted) return;
      else await changes.next();
    }
  } finally {
    changes?.close();
    await handle.close();
  }
}

async function readAt(handle: fs.FileHandle, position: number): Promise<Buffer> {
  const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, position);
  return buffer.subarray(0, bytesRead);
}

/** Opens the file that has taken the place of the one being read, if one has. */
async function rotatedTo(path: string, handle: fs.FileHandle): Promise<fs.FileHandle | undefined> {
  const next = await fs.open(path, 'r').catch(() => undefined);
  if (!next) return undefined;
  const [a, b] = await Promise.all([handle.stat(), next.stat()]);
  if (a.ino !== b.ino) return next;
  await next.close();
  return undefined;
}

/** The offset at which the last `lines` entries begin; the file is read backwards no further than that. */
async function startOf(handle: fs.FileHandle, lines: number | undefined): Promise<number> {
  if (lines === undefined || lines < 0) return 0;
  const { size } = await handle.stat();
  if (lines === 0) return size;
  let wanted = lines;
  for (let end = size; end > 0; end -= CHUNK) {
    const start = Math.max(end - CHUNK, 0);
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(end - start), 0, end - start, start);
    for (let i = bytesRead - 1; i >= 0; i--) {
      const at = start + i;
      if (buffer[i] === 0x0a && at !== size - 1 && --wanted === 0) return at + 1;
    }
  }
  return 0;
}

/** Tells that something may be there to read: the file changed, the container ended, or nobody listens any more. */
class Changes {
  ended = false;
  readonly #watcher;
  readonly #signal: AbortSignal;
  #pending = false;
  #wake: (() => void) | undefined;
  readonly #notify = (): void => {
    this.#pending = true;
    this.#wake?.();
  };

  constructor(source: LogSource) {
    const name = basename(source.path);
    this.#watcher = watch(dirname(source.path), (_event, changed) => {
      if (changed === null || changed === name) this.#notify();
    });
    this.#signal = source.signal;
    this.#watcher.on('error', this.#notify);
    this.#signal.addEventListener('abort', this.#notify);
    void source.ended.then(() => {
      this.ended = true;
      this.#notify();
    });
  }

  async next(): Promise<void> {
    if (!this.#pending) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
    this.#pending = false;
  }

  close(): void {
    this.#watcher.close();
    this.#signal.removeEventListener('abort', this.#notify);
  }
}

/** The end of a log as plain text, for a termination message: at most `lines` lines and `bytes` bytes. */
export async function logTail(path: string, lines: number, bytes: number): Promise<string> {
  const never = new AbortController().signal;
  const source: LogSource = { path, ended: Promise.resolve(), now: 0, signal: never };
  const parts: Buffer[] = [];
  for await (const part of readLog(source, { container: '', tailLines: lines })) parts.push(part);
  const text = Buffer.concat(parts);
  return text.subarray(Math.max(text.length - bytes, 0)).toString('utf8');
}
