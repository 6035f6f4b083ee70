import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';

/** The data directory belongs to another living process. */
export class DirectoryInUseError extends Error {
  constructor(
    readonly directory: string,
    readonly pid: number,
  ) {
    super(`data directory ${directory} is in use by process ${pid}; stop it, or choose another with --data-dir`);
    this.name = 'DirectoryInUseError';
  }
}

/**
 * Takes the directory for this process until the returned function is called. The lock file names a process by id and start
 * time, so one left behind by a killed process, or whose id was given to another, does not count.
 */
export function lockDirectory(directory: string): () => void {
  const file = `${directory}/lock`;
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, `${process.pid} ${startTime(process.pid)}\n`, { mode: 0o600 });
  try {
    for (;;) {
      try {
        linkSync(mine, file);
        return () => unlinkSync(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = directoryHolder(directory);
      if (holder !== undefined) throw new DirectoryInUseError(directory, holder);
      clearAway(file, `${mine}.stale`);
    }
  } finally {
    unlinkSync(mine);
  }
}

/** Takes a dead process's lock away; one that somebody was quicker to take, and lives, is put back. */
function clearAway(file: string, aside: string): void {
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    if (holderIn(aside) !== undefined) linkSync(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(aside);
  }
}

/** The living process that has the directory; undefined where there is none, also when its id is another process's now. */
export const directoryHolder = (directory: string): number | undefined => holderIn(`${directory}/lock`);

function holderIn(file: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const [id, started] = text.trim().split(' ');
  const pid = Number(id);
  return started !== undefined && startTime(pid) === started ? pid : undefined;
}

/**
 * Clock ticks after boot at which the process started (proc(5), stat field 22); undefined when it is gone, also where only
 * its entry waits for a parent that has not asked how it ended.
 */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return 'ZX'.includes(state) ? undefined : rest[18];
  } catch {
    return undefined;
  }
}
