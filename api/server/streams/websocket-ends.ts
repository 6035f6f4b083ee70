import { PassThrough, Writable } from 'node:stream';
import type { AttachOptions } from '@trimtab/client';
import type { RawData, WebSocket } from 'ws';
import { type ChannelProtocol, channel, decodeMessage, encodeMessage, parseSize } from './channels.js';
import type { RemoteEnds } from './session.js';

/** More than this unsent holds the process' output up. */
const highWater = 1 << 20;

/** Exec and attach over a WebSocket whose subprotocol has been agreed. */
export function webSocketEnds(ws: WebSocket, protocol: ChannelProtocol, wanted: AttachOptions): RemoteEnds {
  const stdin = wanted.stdin ? new PassThrough() : undefined;
  const writer = (id: number) => channelWriter(ws, protocol, id);
  let resized: (columns: number, rows: number) => void = () => {};
  let lastSize: { readonly columns: number; readonly rows: number } | undefined;
  ws.on('message', (raw: RawData) => {
    const message = decodeMessage(protocol, bufferOf(raw));
    if (!message) return;
    if (message.id === channel.stdin && stdin && !stdin.writableEnded && message.data.length > 0) {
      if (stdin.write(message.data)) return;
      ws.pause();
      stdin.once('drain', () => ws.resume());
    } else if (message.id === channel.resize) {
      lastSize = parseSize(message.data) ?? lastSize;
      if (lastSize) resized(lastSize.columns, lastSize.rows);
    } else if (message.id === channel.close && message.data[0] === channel.stdin) stdin?.end();
  });
  const gone = new Promise<void>((resolve) => {
    ws.once('close', () => {
      stdin?.end();
      resolve();
    });
  });
  const stdout = wanted.stdout ? writer(channel.stdout) : undefined;
  const stderr = wanted.stderr && !wanted.tty ? writer(channel.stderr) : undefined;
  // An empty message tells the client that the connection stands before there is any output.
  if (stdout) ws.send(encodeMessage(protocol, channel.stdout, Buffer.alloc(0)));
  else if (stderr) ws.send(encodeMessage(protocol, channel.stderr, Buffer.alloc(0)));
  return {
    stdin,
    stdout,
    stderr,
    error: writer(channel.error),
    onResize(listener) {
      resized = listener;
      if (lastSize) listener(lastSize.columns, lastSize.rows);
    },
    statusErrors: protocol.version >= 4,
    gone,
    close: () => ws.close(1000),
  };
}

/** A channel as a stream; ending it sends nothing, for the protocol has no word for that. */
export function channelWriter(ws: WebSocket, protocol: ChannelProtocol, id: number): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (ws.readyState !== ws.OPEN) return done();
      const message = encodeMessage(protocol, id, chunk);
      if (ws.bufferedAmount < highWater) {
        ws.send(message);
        done();
      } else ws.send(message, () => done());
    },
  });
}

export function bufferOf(raw: RawData): Buffer {
  if (Buffer.isBuffer(raw)) return raw;
  return Array.isArray(raw) ? Buffer.concat(raw) : Buffer.from(raw);
}
