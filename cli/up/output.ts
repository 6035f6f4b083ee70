import { createLogUpdate } from 'log-update';

/** Where `up` tells how far it is. In JSON every line on stdout is one object with an `event`. */
export interface Output {
  /** One thing that happened. `text` is for people, `fields` for programs. */
  event(name: string, fields: Readonly<Record<string, unknown>>, text?: string): void;
  /** Lines that replace those of the last call while the terminal allows; `undefined` leaves them standing. */
  live(lines: readonly string[] | undefined): void;
}

export function textOutput(stream: NodeJS.WriteStream): Output {
  surviveClosing(stream);
  const update = stream.isTTY && stream.columns > 0 ? createLogUpdate(stream) : undefined;
  let shown: ReadonlySet<string> = new Set();
  return {
    event: (_name, _fields, text) => {
      if (text !== undefined) stream.write(`${text}\n`);
    },
    live(lines) {
      if (lines === undefined) update?.done();
      else if (update) update(lines.join('\n'));
      // Without a terminal a line is said once, when it becomes true.
      else for (const line of lines) if (!shown.has(line)) stream.write(`${line}\n`);
      shown = new Set(lines ?? []);
    },
  };
}

export function jsonOutput(stream: NodeJS.WritableStream): Output {
  surviveClosing(stream);
  return {
    event: (event, fields) => void stream.write(`${JSON.stringify({ event, ...fields })}\n`),
    live: () => {},
  };
}

/** A cluster does not end because nobody reads what it says. */
function surviveClosing(stream: NodeJS.WritableStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
