import type { Readable, Writable } from 'node:stream';
import type { ProcessStreams } from '@trimtab/client';
import { type Logger, type Status, StatusError } from '@trimtab/machinery';

/** The client's side of exec and attach, whichever protocol carries it. Absent ends were not asked for. */
export interface RemoteEnds {
  readonly stdin?: Readable;
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  /** Takes one message at the end. */
  readonly error: Writable;
  /** Calls back with every size the client's terminal takes. */
  onResize(listener: (columns: number, rows: number) => void): void;
  /** The protocol says exits as a Status; older ones as a line of text, and nothing for success. */
  readonly statusErrors: boolean;
  /** Resolves when the client has gone. */
  readonly gone: Promise<void>;
  /** Ends the connection once everything written is out. */
  close(): void;
}

/** Joins a process and a client until one of them ends, and tells the client how it ended. */
export async function joinProcess(process: ProcessStreams, remote: RemoteEnds, logger: Logger): Promise<void> {
  const outputs = [flow(process.stdout, remote.stdout), flow(process.stderr, remote.stderr)];
  if (remote.stdin && process.stdin) {
    remote.stdin.pipe(process.stdin);
    process.stdin.on('error', (error) => logger.debug({ err: error }, 'standard input of a process'));
  }
  remote.onResize((columns, rows) => process.resize(columns, rows));
  const left = remote.gone.then(() => 'gone' as const);
  try {
    const exit = await Promise.race([process.exit, left]);
    if (exit === 'gone') return;
    await Promise.race([Promise.all(outputs), left]);
    sayEnd(remote, exitStatus(exit));
  } catch (error) {
    sayEnd(remote, failureStatus(error));
  } finally {
    process.close();
    remote.close();
  }
}

/** Tells the client that there will be no process. */
export function refuse(remote: RemoteEnds, error: unknown): void {
  sayEnd(remote, failureStatus(error));
  remote.close();
}

/** Copies and ends the writer with the reader; resolves when all has been handed over. */
function flow(from: Readable | undefined, to: Writable | undefined): Promise<void> {
  if (!from) return Promise.resolve();
  if (!to) {
    from.resume();
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    to.once('finish', resolve);
    to.once('close', resolve);
    to.on('error', () => {
      from.resume();
      resolve();
    });
    from.on('error', () => to.end());
    from.pipe(to);
  });
}

function sayEnd(remote: RemoteEnds, status: Status): void {
  if (remote.error.writableEnded || remote.error.destroyed) return;
  if (remote.statusErrors) remote.error.end(JSON.stringify(status));
  else remote.error.end(status.status === 'Success' ? undefined : (status.message ?? 'unknown error'));
}

type Ending = Omit<Status, 'code'> & { readonly code: number };

export function exitStatus(code: number): Ending {
  if (code === 0) return { metadata: {}, status: 'Success', code: 0 };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: command terminated with exit code ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
    code: 0,
  };
}

function failureStatus(error: unknown): Status {
  if (error instanceof StatusError) return error.status;
  return {
    metadata: {},
    status: 'Failure',
    reason: 'InternalError',
    message: error instanceof Error ? error.message : String(error),
    code: 500,
  };
}
