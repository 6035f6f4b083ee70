import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';

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
      const [pid, started] = readFileSync(file, 'utf8').trim().split(' ');
      if (startTime(Number(pid)) === started) throw new DirectoryInUseError(directory, Number(pid));
      unlinkSync(file);
    }
  } finally {
    unlinkSync(mine);
  }
}

/** Clock ticks after boot at which the process started (proc(5), stat field 22); undefined when it is gone. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
