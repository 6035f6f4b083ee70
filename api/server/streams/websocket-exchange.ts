import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { type Duplex, Readable, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Exchange, Peer } from '../http/exchange.js';
import { acceptWebSocket, requestedProtocols } from './websocket.js';

/** More than this unsent holds the sender up. */
const highWater = 1 << 20;

/**
 * A GET whose answer's body goes out as WebSocket messages: watches, one message an event, and logs. Until the answer has
 * begun a refusal is a plain HTTP answer (apiserver: endpoints/handlers/watch.go, streaming/wsstream).
 */
export class WebSocketExchange implements Exchange {
  readonly method = 'GET';
  readonly body = Readable.from([]);
  readonly url: string;
  readonly headers: Exchange['headers'];
  readonly #abort = new AbortController();
  readonly #base64: boolean;
  readonly #protocol: string | undefined;
  #opened: Promise<void> | undefined;

  constructor(
    readonly request: IncomingMessage,
    readonly socket: Duplex,
    readonly head: Buffer,
    readonly peer: Peer,
  ) {
    this.url = request.url ?? '/';
    this.headers = request.headers;
    this.#protocol = requestedProtocols(request).find((name) => known.has(name));
    this.#base64 = this.#protocol?.startsWith('base64.') ?? false;
    socket.once('close', () => this.#abort.abort('closed'));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get answered(): boolean {
    return this.#opened !== undefined || this.socket.destroyed || this.socket.writableEnded;
  }

  /** Resolves once all that was written has been sent and the connection closed. */
  async finished(): Promise<void> {
    await this.#opened;
  }

  respond(status: number, headers: OutgoingHttpHeaders, body?: Buffer): void {
    if (this.answered) return;
    const all = { ...headers, 'content-length': body?.length ?? 0, connection: 'close' };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${String(value)}`);
    this.socket.write(`HTTP/1.1 ${status} \r\n${lines.join('\r\n')}\r\n\r\n`);
    this.socket.end(body);
  }

  open(_status: number, headers: OutgoingHttpHeaders): Writable {
    const type = String(headers['content-type'] ?? '');
    const split = /protobuf;.*stream=watch/.test(type) ? frames : /json/.test(type) ? lines : whole;
    const text = split === lines;
    const accepted = acceptWebSocket(this.request, this.socket, this.head, this.#protocol);
    let done: () => void = () => {};
    this.#opened = new Promise((resolve) => {
      done = resolve;
    });
    const out = new Writable({
      highWaterMark: highWater,
      write: (chunk: Buffer, _encoding, next) => {
        accepted.then((ws) => {
          for (const message of split(chunk)) this.#send(ws, message, text);
          if (ws.bufferedAmount < highWater || ws.readyState !== ws.OPEN) next();
          else ws.send('', {}, () => next());
        }, next);
      },
      final: (next) => {
        accepted.then((ws) => {
          ws.close(1000);
          next();
        }, next);
      },
    });
    accepted.catch((error: Error) => out.destroy(error));
    out.on('error', () => {});
    this.socket.once('close', () => {
      out.destroy();
      done();
    });
    return out;
  }

  #send(ws: WebSocket, message: Buffer, text: boolean): void {
    if (ws.readyState !== ws.OPEN) return;
    if (this.#base64) ws.send(message.toString('base64'), { binary: false });
    else ws.send(message, { binary: !text });
  }
}

const known: ReadonlySet<string> = new Set(['binary.k8s.io', 'base64.binary.k8s.io']);

const whole = (chunk: Buffer): readonly Buffer[] => [chunk];

/** What is written to a watch are whole events: JSON of one line each. */
function* lines(chunk: Buffer): Generator<Buffer> {
  for (let start = 0; start < chunk.length; ) {
    const end = chunk.indexOf(0x0a, start) + 1 || chunk.length;
    yield chunk.subarray(start, end);
    start = end;
  }
}

/** Or frames of protobuf, whose length a message does not have to say. */
function* frames(chunk: Buffer): Generator<Buffer> {
  for (let start = 0; start + 4 <= chunk.length; ) {
    const end = start + 4 + chunk.readUInt32BE(start);
    yield chunk.subarray(start + 4, end);
    start = end;
  }
}
