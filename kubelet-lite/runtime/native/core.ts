import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, type Logger, sleep } from '@trimtab/machinery';
import { RuntimeError } from '../runtime.js';
import { Connection, type CoreEvent } from './connection.js';

const START_TIMEOUT_MS = 5_000;
const START_POLL_MS = 5;

export interface CoreOptions {
  /** The `trimtab-core` binary. */
  readonly coreBinary: string;
  /** Where sockets and pod states live; short, because socket names may not exceed 107 bytes. */
  readonly runDir: string;
  readonly logger: Logger;
  readonly clock: Clock;
  /**
   * On cgroup v1, saves the 4 to 8 ms that moving a process into its groups waits for on a quiet machine, for a little on
   * every fork. Kernel-wide, and from Linux 6.18 on it stays until reboot, so it is off unless asked for; it only counts
   * when this call starts the core.
   */
  readonly favorDynMods?: boolean;
  /** A pod process that takes longer to pass a signal on is taken for dead, and killed; default 10 s, milliseconds. */
  readonly unansweredMs?: number;
}

/** The node core's socket below a run directory. */
export const coreSocket = (runDir: string): string => join(runDir, 'core.sock');

/**
 * Connects to the node core, starting it first when nobody answers. Starting is the only process this side ever spawns;
 * the core is detached and outlives us, and so do the pods it starts.
 */
export async function connectCore(
  options: CoreOptions,
  onEvent: (event: CoreEvent) => void,
  onClose: () => void,
): Promise<Connection> {
  const path = coreSocket(options.runDir);
  const connect = () => Connection.open(path, onEvent, onClose);
  try {
    return await connect();
  } catch {
    return await startCore(options, path, connect);
  }
}

async function startCore(options: CoreOptions, path: string, connect: () => Promise<Connection>): Promise<Connection> {
  const { coreBinary, runDir, logger, clock } = options;
  if (!existsSync(coreBinary)) throw new RuntimeError('core', 'ENOENT', `${coreBinary} (build it with make)`);
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const logPath = join(runDir, 'core.log');
  const log = openSync(logPath, 'a', 0o600);
  let ended: string | undefined;
  const child = spawn(
    coreBinary,
    ['node', '--socket', path, '--run-dir', runDir, '--favor-dynmods', options.favorDynMods ? 'on' : 'off'],
    {
      detached: true,
      stdio: ['ignore', log, log],
      env: {},
      cwd: '/',
    },
  );
  closeSync(log);
  child.on('error', (error: NodeJS.ErrnoException) => {
    ended = error.code ?? error.message;
  });
  child.on('exit', (code) => {
    ended ??= `exit code ${code}`;
  });
  child.unref();
  const deadline = clock.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      const connection = await connect();
      logger.info({ pid: child.pid, socket: path }, 'node core started');
      return connection;
    } catch (error) {
      // Two starters may race; the loser's core ends because the socket is taken, and connecting works.
      if (ended !== undefined || clock.now() > deadline) {
        const said = readFileSync(logPath, 'utf8').trim().split('\n').at(-1) ?? '';
        throw new RuntimeError('core', ended ?? 'ETIMEDOUT', `${coreBinary}: ${said || String(error)}`);
      }
    }
    await sleep(clock, START_POLL_MS);
  }
}
