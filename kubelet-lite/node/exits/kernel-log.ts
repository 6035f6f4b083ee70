import { closeSync, constants, openSync, readSync } from 'node:fs';

/** One process that the kernel killed for want of memory. */
export interface OomKill {
  readonly pid: number;
  readonly command: string;
  readonly bytes?: number;
  /** The group whose limit was met; undefined: the machine had no memory left. */
  readonly limitGroup?: string;
  /** The group the process was in. */
  readonly taskGroup: string;
  /** Microseconds since the machine came up. */
  readonly at: number;
}

/**
 * Reads kills out of `/dev/kmsg` records (`priority,sequence,microseconds,flags;text`). Pure but for what it remembers between
 * the two lines that the kernel writes about a kill: which group, and which process with how much memory.
 */
export class OomLines {
  #open: Omit<OomKill, 'bytes'> | undefined;

  /** The kill that this record completes. */
  take(record: string): OomKill | undefined {
    const [, micros = '', text = ''] = /^\d+,\d+,(\d+),[^;]*;([^\n]*)/.exec(record) ?? [];
    if (text.startsWith('oom-kill:')) {
      const of = (name: string) => new RegExp(`[:,]${name}=([^,]*)`).exec(text)?.[1];
      const memcg = of('oom_memcg');
      this.#open = {
        pid: Number(of('pid') ?? 0),
        command: of('task') ?? '',
        taskGroup: of('task_memcg') ?? '',
        at: Number(micros),
        ...(memcg && of('constraint') === 'CONSTRAINT_MEMCG' ? { limitGroup: memcg } : {}),
      };
      return undefined;
    }
    const killed = /Killed process (\d+) \((.*)\).*anon-rss:(\d+)kB/.exec(text);
    if (!killed) return undefined;
    const open = this.#open;
    this.#open = undefined;
    if (open?.pid !== Number(killed[1])) return undefined;
    return { ...open, bytes: Number(killed[3]) * 1024 };
  }
}

/** What the kernel has told of kills so far; nothing is read until somebody asks. */
export interface KernelLog {
  /** Kills told of since the last call, those of before the first one included as far as the kernel still has them. */
  news(): readonly OomKill[];
  close(): void;
}

const RECORD_BYTES = 8 * 1024;
/** The kernel's own ring is smaller. */
const MOST_RECORDS = 100_000;

/** The kernel's log, or one that is always empty where this process may not read it. */
export function kernelLog(path = '/dev/kmsg'): KernelLog {
  let fd: number | undefined;
  const lines = new OomLines();
  const buffer = Buffer.allocUnsafe(RECORD_BYTES);
  return {
    news() {
      const found: OomKill[] = [];
      try {
        fd ??= openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      } catch {
        return found;
      }
      for (let i = 0; i < MOST_RECORDS; i++) {
        try {
          const length = readSync(fd, buffer, 0, RECORD_BYTES, null);
          if (length === 0) break;
          const kill = lines.take(buffer.toString('latin1', 0, length));
          if (kill) found.push(kill);
        } catch (error) {
          // Overwritten before it was read: the next one is there.
          if ((error as NodeJS.ErrnoException).code !== 'EPIPE') break;
        }
      }
      return found;
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
