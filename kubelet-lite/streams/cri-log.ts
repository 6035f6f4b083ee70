/** One line of a container's log as CRI writes it: `<RFC 3339 time> <stdout|stderr> <P|F> <content>`. */
export interface LogLine {
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** False: the line goes on in the next entry of the same stream. */
  readonly full: boolean;
  readonly content: Buffer;
}

const SPACE = 0x20;

/** Undefined for what is not a log entry (a line cut off by a crash). `line` comes without its newline. */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(SPACE);
  const second = line.indexOf(SPACE, first + 1);
  const third = line.indexOf(SPACE, second + 1);
  if (first < 0 || second < 0) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  const tag = line.toString('latin1', second + 1, third < 0 ? line.length : third);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  return {
    time: line.toString('latin1', 0, first),
    stream,
    full: tag.split(':')[0] !== 'P',
    content: third < 0 ? Buffer.alloc(0) : line.subarray(third + 1),
  };
}

/** Splits a growing text into lines; what follows the last newline waits for the next piece. */
export class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): readonly Buffer[] {
    const text = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = text.indexOf(0x0a); at >= 0; at = text.indexOf(0x0a, from)) {
      lines.push(text.subarray(from, at));
      from = at + 1;
    }
    this.#rest = text.subarray(from);
    return lines;
  }
}

export interface LogFormat {
  readonly timestamps: boolean;
  /** Milliseconds since the epoch; entries before it are left out. */
  readonly since?: number;
}

/** Writes entries the way `kubectl logs` shows them: parts of one line joined, a time only where a line begins. */
export class LogFormatter {
  readonly #format: LogFormat;
  readonly #inLine = new Set<string>();

  constructor(format: LogFormat) {
    this.#format = format;
  }

  format(line: LogLine): Buffer | undefined {
    if (this.#format.since !== undefined && Date.parse(line.time) < this.#format.since) return undefined;
    const begins = !this.#inLine.has(line.stream);
    if (line.full) this.#inLine.delete(line.stream);
    else this.#inLine.add(line.stream);
    return Buffer.concat([
      Buffer.from(this.#format.timestamps && begins ? `${line.time} ` : ''),
      line.content,
      Buffer.from(line.full ? '\n' : ''),
    ]);
  }
}
