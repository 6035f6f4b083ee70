import { connect, type Socket } from 'node:net';
import type { NetworkKernel } from '../kernel.js';

interface Answer {
  readonly id?: number;
  readonly ok?: unknown;
  readonly error?: { readonly stage: string; readonly errno: string; readonly object: string };
}

/** The native core's protocol (`kubelet-lite/isolation/PROTOCOL.md`), as little of it as tests need. */
export class CoreClient implements NetworkKernel {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #received = Buffer.alloc(0);
  #id = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the native core closed the connection'));
    });
  }

  static connect(path: string): Promise<CoreClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => resolve(new CoreClient(socket)));
      socket.once('error', reject);
    });
  }

  request<R>(op: string, params: object): Promise<R> {
    const id = ++this.#id;
    const body = Buffer.from(JSON.stringify({ id, op, params }));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(body.length);
    this.#socket.write(Buffer.concat([length, body]));
    return new Promise<R>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4 && this.#received.length >= 4 + this.#received.readUInt32LE(0)) {
      const end = 4 + this.#received.readUInt32LE(0);
      const { id = 0, ok, error } = JSON.parse(this.#received.subarray(4, end).toString()) as Answer;
      this.#received = this.#received.subarray(end);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(`${error.stage}: ${error.object}: ${error.errno}`));
      else waiting?.resolve(ok);
    }
  }
}
