import type { Readable, Writable } from 'node:stream';
import { choosePod, containerOf } from './pod-choice.js';
import type { Session } from './session.js';

export interface LogsOptions {
  readonly container?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly tail?: number;
  readonly timestamps?: boolean;
}

/** Copies a container's log to the output, byte by byte. Gives the exit code. */
export async function showLogs(
  session: Session,
  word: string,
  options: LogsOptions,
  signal?: AbortSignal,
): Promise<number> {
  const pod = await choosePod(session, word);
  const { name: container, note } = containerOf(pod, options.container);
  if (note) session.complain(note);
  const { namespace, name = '' } = pod.metadata;
  const log = await session.client.logs(
    { ...(namespace ? { namespace } : {}), name },
    {
      container,
      follow: Boolean(options.follow),
      previous: Boolean(options.previous),
      timestamps: Boolean(options.timestamps),
      ...(options.tail === undefined ? {} : { tailLines: options.tail }),
    },
    signal,
  );
  try {
    await copy(log, session.io.output);
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  return 0;
}

/** Ends when `from` does; `to` stays open. */
export async function copy(from: Readable, to: Writable): Promise<void> {
  for await (const chunk of from) {
    if (!to.write(chunk)) await new Promise<void>((resolve) => to.once('drain', () => resolve()));
  }
}
