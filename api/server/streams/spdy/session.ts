import { Duplex } from 'node:stream';
import {
  dataFrame,
  type Frame,
  FrameSplitter,
  goawayFrame,
  pingFrame,
  rstFrame,
  synReplyFrame,
  synStreamFrame,
} from './frames.js';
import { HeaderReader, HeaderWriter, type SpdyHeaders } from './headers.js';

const maxData = 64 * 1024;
const cancel = 5;

/** One SPDY/3.1 connection over any duplex: a socket after an upgrade, or a WebSocket that carries its bytes. */
export class SpdySession {
  readonly #splitter = new FrameSplitter();
  readonly #reader = new HeaderReader();
  readonly #writer = new HeaderWriter();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #blocked = new Set<number>();
  readonly #queue: Frame[] = [];
  #working: Promise<void> | undefined;
  #closed = false;
  #lastStream = 0;
  #nextStream = 1;
  readonly closed: Promise<void>;

  /** `onStream` gets every stream the other side opens, already accepted. */
  constructor(
    readonly transport: Duplex,
    readonly onStream: (stream: SpdyStream) => void,
  ) {
    this.closed = new Promise((resolve) => {
      // What has come before the end still reaches its streams.
      transport.once('close', () => void this.#finish().then(resolve));
    });
    transport.on('data', (chunk: Buffer) => this.#receive(chunk));
    transport.once('end', () => transport.end());
    transport.on('error', () => void this.#finish());
  }

  /** Opens a stream of our own. */
  open(headers: SpdyHeaders): SpdyStream {
    const stream = new SpdyStream(this, this.#nextStream, headers);
    this.#nextStream += 2;
    this.#streams.set(stream.id, stream);
    this.write(synStreamFrame(stream.id, this.#writer.write(headers)));
    return stream;
  }

  /** Says goodbye and ends the connection once everything written is out. */
  close(): void {
    if (this.#closed || this.transport.writableEnded) return;
    this.transport.write(goawayFrame(this.#lastStream));
    this.transport.end();
  }

  write(bytes: Buffer, done?: (error?: Error | null) => void): void {
    if (this.#closed || this.transport.writableEnded) done?.(new Error('the connection is closed'));
    else this.transport.write(bytes, done);
  }

  /** A stream whose reader is slow holds the whole connection up: there is no window to hold up it alone. */
  block(id: number, blocked: boolean): void {
    if (blocked) this.#blocked.add(id);
    else this.#blocked.delete(id);
    if (this.#blocked.size > 0) this.transport.pause();
    else if (this.transport.isPaused()) this.transport.resume();
  }

  forget(id: number): void {
    this.#streams.delete(id);
    this.block(id, false);
  }

  #receive(chunk: Buffer): void {
    try {
      this.#queue.push(...this.#splitter.push(chunk));
    } catch (error) {
      this.transport.destroy(error as Error);
      return;
    }
    if (this.#queue.length > 0 && !this.#closed) this.#working ??= this.#work();
  }

  /** Header blocks inflate asynchronously; whatever follows them waits. */
  async #work(): Promise<void> {
    try {
      for (let f = this.#queue.shift(); f !== undefined && !this.#closed; f = this.#queue.shift()) await this.#take(f);
    } catch (error) {
      this.transport.destroy(error as Error);
    } finally {
      this.#working = undefined;
    }
  }

  async #finish(): Promise<void> {
    await this.#working;
    this.#shut();
  }

  #take(f: Frame): Promise<unknown> | undefined {
    switch (f.type) {
      case 'data':
        this.#streams.get(f.stream)?.receive(f.data, f.fin);
        return undefined;
      case 'syn-stream':
        return this.#reader.read(f.headers).then((headers) => this.#accept(f.stream, headers, f.fin));
      case 'headers':
        return this.#reader.read(f.headers);
      case 'rst-stream':
        this.#streams.get(f.stream)?.destroy();
        return undefined;
      case 'ping':
        this.write(pingFrame(f.id));
        return undefined;
      case 'goaway':
      case 'ignored':
        return undefined;
    }
  }

  #accept(id: number, headers: SpdyHeaders, fin: boolean): void {
    const stream = new SpdyStream(this, id, headers);
    this.#lastStream = id;
    this.#streams.set(id, stream);
    this.write(synReplyFrame(id, this.#writer.write(new Map())));
    this.onStream(stream);
    if (fin) stream.receive(Buffer.alloc(0), true);
  }

  #shut(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.close();
    for (const stream of [...this.#streams.values()]) stream.disconnected();
  }
}

/** One stream of a session; ending it sends FIN, destroying it early resets it. */
export class SpdyStream extends Duplex {
  #finished = false;
  #ended = false;
  #disconnected = false;

  constructor(
    readonly session: SpdySession,
    readonly id: number,
    readonly headers: SpdyHeaders,
  ) {
    super({ allowHalfOpen: true });
    this.on('error', () => {});
  }

  receive(data: Buffer, fin: boolean): void {
    if (this.#ended || this.destroyed) return;
    if (data.length > 0 && !this.push(data)) this.session.block(this.id, true);
    if (fin) {
      this.#ended = true;
      this.push(null);
    }
  }

  /** The connection is gone. What came whole can still be read to its end; anything else breaks off. */
  disconnected(): void {
    this.#disconnected = true;
    if (this.#ended) this.end();
    else this.destroy();
  }

  override _read(): void {
    this.session.block(this.id, false);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    for (let at = 0; at < chunk.length; at += maxData) {
      const part = chunk.subarray(at, at + maxData);
      this.session.write(dataFrame(this.id, part), at + maxData >= chunk.length ? done : undefined);
    }
    if (chunk.length === 0) done();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#finished = true;
    if (this.#disconnected) done();
    else this.session.write(dataFrame(this.id, Buffer.alloc(0), true), () => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#finished) this.session.write(rstFrame(this.id, cancel), () => {});
    this.session.forget(this.id);
    done(error);
  }
}
