/** Where `up` tells how far it is. In JSON every line on stdout is one object with an `event`. */
export interface Output {
  /** One thing that happened. `text` is for people, `fields` for programs. */
  event(name: string, fields: Readonly<Record<string, unknown>>, text?: string): void;
  /** Lines that replace those of the last call while the terminal allows; `undefined` leaves them standing. */
  live(lines: readonly string[] | undefined): void;
}

export function textOutput(stream: NodeJS.WriteStream): Output {
  surviveClosing(stream);
  const terminal = stream.isTTY && stream.columns > 0 ? liveTerminal(stream) : undefined;
  let shown: ReadonlySet<string> = new Set();
  return {
    event: (_name, _fields, text) => {
      if (text !== undefined) stream.write(`${text}\n`);
    },
    live(lines) {
      if (terminal) return terminal(lines);
      // Without a terminal a line is said once, when it becomes true.
      for (const line of lines ?? []) if (!shown.has(line)) stream.write(`${line}\n`);
      shown = new Set(lines ?? []);
    },
  };
}

/** What redraws lines is loaded with the first of them: it takes longer than a start has for it. */
function liveTerminal(stream: NodeJS.WriteStream): Output['live'] {
  let update: ReturnType<typeof import('log-update').createLogUpdate> | undefined;
  let loading = false;
  let latest: readonly string[] | undefined;
  const draw = () => {
    if (latest) update?.(latest.join('\n'));
  };
  return (lines) => {
    if (lines === undefined && !update && latest) stream.write(`${latest.join('\n')}\n`);
    latest = lines;
    if (lines === undefined) update?.done();
    else if (update || loading) draw();
    else {
      loading = true;
      void import('log-update').then(({ createLogUpdate }) => {
        update = createLogUpdate(stream);
        draw();
      });
    }
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
