import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { Clock, Logger } from '@trimtab/machinery';
import type { AuditSink } from './auditor.js';

export interface LogFileOptions {
  readonly path: string;
  /** Bytes at which a file is put aside and a new one begun. */
  readonly maxBytes: number;
  /** How many old files stay; 0: all. */
  readonly maxBackups: number;
  /** How many days old files stay; 0: for ever. */
  readonly maxAgeDays: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const gatherMs = 50;
const mostHeld = 4 << 20;
const day = 86_400_000;

/**
 * JSON lines in a file of mode 0600. Lines are gathered for 50 ms and written whole; a file that is full is renamed to
 * `<name>-<time><ext>` beside it. Throws when the file cannot be opened; what fails later is logged, and requests go on.
 */
export function logFile(options: LogFileOptions): AuditSink {
  const { path, clock, logger } = options;
  mkdirSync(dirname(path), { recursive: true });
  let file = openSync(path, 'a', 0o600);
  let size = fstatSync(file).size;
  let held: string[] = [];
  let heldBytes = 0;
  let cancel: (() => void) | undefined;

  const flush = () => {
    cancel?.();
    cancel = undefined;
    if (held.length === 0) return;
    const lines = held;
    [held, heldBytes] = [[], 0];
    try {
      for (const line of lines) {
        if (size > 0 && size + line.length > options.maxBytes) rotate();
        size += writeSync(file, line);
      }
    } catch (error) {
      logger.error({ err: error, path }, 'the audit log cannot be written');
    }
  };

  const rotate = () => {
    closeSync(file);
    const extension = extname(path);
    const stem = path.slice(0, path.length - extension.length);
    const time = new Date(clock.now()).toISOString().replaceAll(':', '-').replace('Z', '');
    let aside = `${stem}-${time}${extension}`;
    for (let n = 1; exists(aside); n++) aside = `${stem}-${time}.${n}${extension}`;
    renameSync(path, aside);
    file = openSync(path, 'a', 0o600);
    size = 0;
    removeOld();
  };

  const removeOld = () => {
    const extension = extname(path);
    const prefix = `${basename(path, extension)}-`;
    const old = readdirSync(dirname(path))
      .filter((name) => name.startsWith(prefix) && name.endsWith(extension) && /-\d{4}-\d\d-\d\dT/.test(name))
      .sort()
      .reverse();
    const { maxBackups, maxAgeDays } = options;
    old.forEach((name, i) => {
      const where = join(dirname(path), name);
      const tooMany = maxBackups > 0 && i >= maxBackups;
      const tooOld = maxAgeDays > 0 && statSync(where).mtimeMs < clock.now() - maxAgeDays * day;
      if (tooMany || tooOld) rmSync(where, { force: true });
    });
  };

  return {
    write(line) {
      held.push(line);
      heldBytes += line.length;
      if (heldBytes > mostHeld) flush();
      else cancel ??= clock.after(gatherMs, flush);
    },
    async close() {
      flush();
      closeSync(file);
    },
  };
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
