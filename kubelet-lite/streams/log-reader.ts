import { watch } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { LogOptions } from '@trimtab/client';
import { LineSplitter, LogFormatter, parseLogLine } from './cri-log.js';
import { type LogSegment, readSegment, rotatedSegments, tailOf, tailOfFile } from './log-segments.js';

const CHUNK = 64 * 1024;

export interface LogSource {
  /** The file that is written now; rotated ones are beside it. */
  readonly path: string;
  /** Resolves when nothing more will be written: the end of following. */
  readonly ended: Promise<void>;
  readonly now: number;
  readonly signal: AbortSignal;
}

/**
 * A container's log as `kubectl logs` wants it, rotated files included. Following is driven by the file system's own notifications and goes on across
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
    const { older, start } = await beginning(source, handle, options);
    for await (const text of older) {
      yield* splitter.push(text);
      if (source.signal.aborted) return;
    }
    let position = start;
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

/** Where to begin: in the file that is written now, or in one of those before it. */
async function beginning(
  source: LogSource,
  handle: fs.FileHandle,
  options: LogOptions,
): Promise<{ readonly older: AsyncIterable<Buffer> | readonly Buffer[]; readonly start: number }> {
  const { tailLines = -1 } = options;
  const { start, missing } = tailLines < 0 ? { start: 0, missing: -1 } : await tailOfFile(handle, tailLines);
  if (missing === 0) return { older: [], start };
  const since = sinceOf(options, source.now) ?? 0;
  const segments = (await rotatedSegments(source.path, (await handle.stat()).ino)).filter(
    ({ endedAt }) => endedAt >= since,
  );
  if (missing < 0) return { older: contents(segments), start };
  const older: Buffer[] = [];
  let left = missing;
  for (const segment of [...segments].reverse()) {
    const text = await readSegment(segment);
    const tail = tailOf(text, left);
    older.unshift(text.subarray(tail.start));
    left = tail.missing;
    if (left === 0) break;
  }
  return { older, start };
}

async function* contents(segments: readonly LogSegment[]): AsyncGenerator<Buffer> {
  for (const segment of segments) yield await readSegment(segment);
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
