import type { Readable, Writable } from 'node:stream';
import { exec, type ProcessStreams } from '@trimtab/client';
import { CliError } from '../errors.js';
import { copy } from './logs.js';
import { choosePod, containerOf } from './pod-choice.js';
import type { Session } from './session.js';

export interface ExecOptions {
  readonly container?: string;
  readonly stdin?: boolean;
  readonly tty?: boolean;
}

/** What of a terminal matters here; streams that are none lack all of it. */
type TerminalInput = Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
type TerminalOutput = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

/** Runs a command in a container. Gives its exit code. */
export async function execInPod(
  session: Session,
  word: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const input: TerminalInput = session.io.input;
  const pod = await choosePod(session, word);
  const { phase } = pod.status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed')
    throw new CliError(`cannot exec into a container in a completed pod; current phase is ${phase}`);
  const { name: container, note } = containerOf(pod, options.container);
  if (note) session.complain(note);
  const tty = Boolean(options.tty && options.stdin && input.isTTY);
  if (options.tty && options.stdin && !tty) session.complain('Unable to use a TTY - input is not a terminal');
  const { namespace, name = '' } = pod.metadata;
  const streams = await exec(
    session.connection,
    { ...(namespace ? { namespace } : {}), name },
    { container, command, stdin: Boolean(options.stdin), stdout: true, stderr: !tty, tty },
  );
  const restore = tty ? takeTerminal(input, session.io.output, streams) : () => {};
  try {
    if (streams.stdin) {
      streams.stdin.on('error', () => {});
      input.pipe(streams.stdin);
    }
    const copies = [
      ...(streams.stdout ? [copy(streams.stdout, session.io.output)] : []),
      ...(streams.stderr ? [copy(streams.stderr, session.io.errors)] : []),
    ];
    const code = await streams.exit;
    await Promise.all(copies);
    if (code !== 0 && !tty) session.complain(`command terminated with exit code ${code}`);
    return code;
  } finally {
    restore();
    if (streams.stdin) input.unpipe(streams.stdin);
    input.pause();
    streams.close();
  }
}

/** Every key goes to the far side, which sees the size of this terminal. Gives the way back. */
function takeTerminal(input: TerminalInput, output: TerminalOutput, streams: ProcessStreams): () => void {
  const resize = () => {
    const { columns, rows } = output;
    if (columns && rows) streams.resize(columns, rows);
  };
  input.setRawMode?.(true);
  output.on('resize', resize);
  resize();
  return () => {
    output.off('resize', resize);
    input.setRawMode?.(false);
  };
}
