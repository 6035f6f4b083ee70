import type { Writable } from 'node:stream';

/** Streams written to in one turn of the event loop, and those of one connection that have begun. */
const perTurn = 128;

type Held = Buffer | Buffer[];

/**
 * What is to be written to streams when this turn of the event loop is over: a write to a stream costs the same whether one
 * event goes out or ten, and a turn often brings several. Streams of one connection are written to together, for that is one
 * write to its socket; where there are very many, requests have their turns between connections, and what comes for a stream
 * meanwhile goes out with what it waits for.
 */
export class Outbox {
  readonly #waiting = new Map<object, Map<Writable, Held>>();
  #scheduled = false;
  #joints = new Joints();

  constructor(readonly most = perTurn) {}

  write(stream: Writable, bytes: Buffer): void {
    const connection = connectionOf(stream);
    let streams = this.#waiting.get(connection);
    if (streams === undefined) {
      streams = new Map();
      this.#waiting.set(connection, streams);
    }
    const held = streams.get(stream);
    if (held === undefined) streams.set(stream, bytes);
    else if (Array.isArray(held)) held.push(bytes);
    else streams.set(stream, [held, bytes]);
    this.#schedule();
  }

  /** Writes what is held for the stream, and ends it. */
  end(stream: Writable): void {
    const streams = this.#waiting.get(connectionOf(stream));
    const held = streams?.get(stream);
    if (held !== undefined) send(stream, Array.isArray(held) ? Buffer.concat(held) : held);
    streams?.delete(stream);
    if (!stream.destroyed) stream.end();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    let sent = 0;
    for (const [connection, streams] of this.#waiting) {
      if (sent > 0 && sent + streams.size > this.most) break;
      this.#waiting.delete(connection);
      sent += streams.size;
      for (const [stream, held] of streams) send(stream, Array.isArray(held) ? this.#joints.of(held) : held);
    }
    if (this.#waiting.size > 0) this.#schedule();
    else this.#joints = new Joints();
  };
}

/** Of HTTP/2 streams what they share; others have a connection each. */
function connectionOf(stream: Writable & { readonly session?: object | undefined }): object {
  return stream.session ?? stream;
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
