import type { Writable } from 'node:stream';

/**
 * What is to be written to streams when this turn of the event loop is over: a write to a stream costs the same whether one
 * event goes out or ten, and a turn often brings several.
 */
class Outbox {
  readonly #waiting = new Map<Writable, Buffer | Buffer[]>();
  readonly #flush = (): void => {
    const joints = new Joints();
    for (const [stream, bytes] of this.#waiting) send(stream, Array.isArray(bytes) ? joints.of(bytes) : bytes);
    this.#waiting.clear();
  };

  write(stream: Writable, bytes: Buffer): void {
    const held = this.#waiting.get(stream);
    if (held === undefined) {
      if (this.#waiting.size === 0) setImmediate(this.#flush);
      this.#waiting.set(stream, bytes);
    } else if (Array.isArray(held)) held.push(bytes);
    else this.#waiting.set(stream, [held, bytes]);
  }

  /** Writes what is held for the stream, and ends it. */
  end(stream: Writable): void {
    const held = this.#waiting.get(stream);
    if (held !== undefined) send(stream, Array.isArray(held) ? Buffer.concat(held) : held);
    this.#waiting.delete(stream);
    if (!stream.destroyed) stream.end();
  }
}

function send(stream: Writable, bytes: Buffer): void {
  if (!stream.destroyed && !stream.writableEnded) stream.write(bytes);
}

/** What is put together for one watcher is the same bytes for all who are sent the same: a thousand that do not read hold it once. */
class Joints {
  readonly #made = new Map<Buffer, { readonly parts: readonly Buffer[]; readonly bytes: Buffer }[]>();

  of(parts: readonly Buffer[]): Buffer {
    const first = parts[0]!;
    const alike = this.#made.get(first) ?? [];
    const known = alike
      .slice(-8)
      .find((made) => made.parts.length === parts.length && made.parts.every((part, i) => part === parts[i]));
    if (known) return known.bytes;
    const bytes = Buffer.concat(parts);
    alike.push({ parts, bytes });
    this.#made.set(first, alike);
    return bytes;
  }
}

export const outbox = new Outbox();
