const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines. Bytes are joined before they are decoded, so a character split between chunks survives.
 */
export class LineSplitter {
  #rest: Buffer[] = [];

  /** The lines that end in this chunk, without their newline; empty lines are left out. */
  push(chunk: Buffer): readonly string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line =
        this.#rest.length === 0 ? chunk.toString('utf8', start, end) : this.#join(chunk.subarray(start, end));
      if (line.trim() !== '') lines.push(line);
      start = end + 1;
    }
    if (start < chunk.length) this.#rest.push(chunk.subarray(start));
    return lines;
  }

  #join(last: Buffer): string {
    const line = Buffer.concat([...this.#rest, last]).toString('utf8');
    this.#rest = [];
    return line;
  }

  /** True when the stream ended in the middle of a line. */
  get unfinished(): boolean {
    return this.#rest.length > 0;
  }
}
