import type { Writable } from 'node:stream';
import { anotherTurn } from '@trimtab/machinery';
import { backlog } from './backlog.js';
import { outbox } from './outbox.js';

/** What one watcher is sent, from before its stream is open until it ends. */
export class WatchWriter {
  readonly #early: Buffer[] = [];
  #stream: Writable | undefined;
  #wake: (() => void) | undefined;
  #finish: () => void = () => {};
  #open: () => void = () => {};
  #over = false;
  /** Resolves when nothing more is to be sent: it was said so, or the client has left or was dropped. */
  readonly finished = new Promise<void>((resolve) => {
    this.#finish = resolve;
  });
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  open(stream: Writable): void {
    this.#stream = stream;
    stream.on('drain', () => this.#wake?.());
    for (const bytes of this.#early.splice(0)) this.event(bytes);
    this.#open();
  }

  /** Sent when this turn of the event loop is over, together with what else comes in it. */
  event(bytes: Buffer): void {
    const stream = this.#stream;
    if (!stream) this.#early.push(bytes);
    else if (this.#keepsUp(stream)) outbox.write(stream, bytes);
  }

  /** Sent at once; resolves when there is room for more. Nothing may wait in between. */
  async now(bytes: Buffer | undefined): Promise<void> {
    await this.#opened;
    const stream = this.#stream!;
    if (bytes && this.#keepsUp(stream)) stream.write(bytes);
    await this.room();
  }

  /** Whether what was sent has not been taken yet. */
  get crowded(): boolean {
    return this.#stream?.writableNeedDrain === true;
  }

  /** Resolves when what was sent has been taken, or nothing more is to be; in a later turn of the event loop in any case. */
  room(): Promise<void> {
    if (!this.crowded || this.#over) return anotherTurn();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  finish(): void {
    this.#over = true;
    this.#finish();
    this.#wake?.();
  }

  /** Sends what is held and ends the stream. */
  end(): void {
    if (this.#stream) outbox.end(this.#stream);
  }

  #keepsUp(stream: Writable): boolean {
    if (stream.writableEnded) return false;
    backlog.check(stream);
    if (stream.destroyed) this.finish();
    return !stream.destroyed;
  }
}
