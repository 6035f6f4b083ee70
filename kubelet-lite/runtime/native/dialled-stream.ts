import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/**
 * The bytes of a connection after its first answer, as a stream nobody has paused or read from yet: HTTP clients and pipes
 * alike find it fresh. Back-pressure and half-closing go through in both directions.
 */
export class DialledStream extends Duplex {
  readonly #socket: Socket;

  /** `begin` hands over what comes, from the first byte after the answer. */
  constructor(socket: Socket, begin: (onData: (chunk: Buffer) => void) => void) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    let ended = false;
    socket.on('end', () => {
      ended = true;
      this.push(null);
    });
    socket.on('error', (error) => this.destroy(error));
    // After a proper end what was received may still be unread, and destroying would drop it.
    socket.on('close', () => {
      if (!ended) this.destroy();
    });
    begin((chunk) => {
      if (!this.push(chunk)) socket.pause();
    });
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
