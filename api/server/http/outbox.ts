import type { Writable } from 'node:stream';

/**
 * What is to be written to streams when this turn of the event loop is over: a write to a stream costs the same whether one
 * event goes out or ten, and a turn often brings several.
 */
class Outbox {
  readonly #waiting = new Map<Writable, Buffer | Buffer[]>();
  readonly #flush = (): void => {
    for (const [stream, bytes] of this.#waiting) this.#send(stream, bytes);
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
    if (held !== undefined) this.#send(stream, held);
    this.#waiting.delete(stream);
    if (!stream.destroyed) stream.end();
  }

  #send(stream: Writable, bytes: Buffer | Buffer[]): void {
    if (stream.destroyed || stream.writableEnded) return;
    stream.write(Array.isArray(bytes) ? Buffer.concat(bytes) : bytes);
  }
}

export const outbox = new Outbox();
