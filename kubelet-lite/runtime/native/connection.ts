import { connect, type Socket } from 'node:net';
import { RuntimeError } from '../runtime.js';
import { encodeFrame, FrameReader } from './frames.js';

export interface CoreEvent {
  readonly event: string;
  readonly [member: string]: unknown;
}

interface Answer {
  readonly id?: number;
  readonly ok?: unknown;
  readonly error?: { readonly stage: string; readonly errno: string; readonly object: string };
  readonly event?: string;
}

/** Opens the socket, or rejects with the system's error (`ENOENT`, `ECONNREFUSED`). */
export function openSocket(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/**
 * One request connection to a native process: answers are matched by id, events handed on. When the connection is lost
 * every open request is rejected with stage `connection`, and `onClose` is called once.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #open = new Map<number, { resolve(value: unknown): void; reject(error: RuntimeError): void; op: string }>();
  readonly #onClose: () => void;
  #next = 1;
  #closed = false;

  private constructor(socket: Socket, onEvent: (event: CoreEvent) => void, onClose: () => void) {
    this.#socket = socket;
    this.#onClose = onClose;
    const reader = new FrameReader((payload) => this.#take(JSON.parse(payload.toString('utf8')) as Answer, onEvent));
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#lost());
  }

  static async open(path: string, onEvent: (event: CoreEvent) => void, onClose: () => void): Promise<Connection> {
    return new Connection(await openSocket(path), onEvent, onClose);
  }

  get closed(): boolean {
    return this.#closed;
  }

  request<T>(op: string, params?: object): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new RuntimeError('connection', 'EPIPE', op));
      const id = this.#next++;
      this.#open.set(id, { resolve: (value) => resolve(value as T), reject, op });
      this.#socket.write(encodeFrame(Buffer.from(JSON.stringify({ id, op, params }))));
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#lost();
  }

  #take(answer: Answer, onEvent: (event: CoreEvent) => void): void {
    if (answer.event !== undefined) {
      onEvent(answer as CoreEvent);
      return;
    }
    const waiting = this.#open.get(answer.id ?? 0);
    if (!waiting) return;
    this.#open.delete(answer.id ?? 0);
    if (answer.error) waiting.reject(new RuntimeError(answer.error.stage, answer.error.errno, answer.error.object));
    else waiting.resolve(answer.ok);
  }

  #lost(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reject, op } of this.#open.values()) reject(new RuntimeError('connection', 'ECONNRESET', op));
    this.#open.clear();
    this.#onClose();
  }
}
