import type { Socket } from 'node:net';
import { type Duplex, Readable, Writable } from 'node:stream';
import type { ProcessStreams } from '@trimtab/client';
import { RuntimeError } from '../runtime.js';
import { openSocket } from './connection.js';
import { DialledStream } from './dialled-stream.js';
import { encodeFrame, encodeStreamFrame, FrameReader } from './frames.js';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const EXIT = 3;
const RESIZE = 4;
const CLOSE_STDIN = 5;

/** Largest piece of stdin sent in one frame, well below what a frame may hold. */
const STDIN_CHUNK = 32 << 10;

/** A connection that has been turned into a stream by its first request; `onData` gets everything after the answer. */
async function openStream(
  path: string,
  op: string,
  params: object,
): Promise<{ socket: Socket; start(onData: (chunk: Buffer) => void): void }> {
  const socket = await openSocket(path).catch((error: NodeJS.ErrnoException) => {
    throw new RuntimeError('connection', error.code ?? 'EIO', path);
  });
  return new Promise((resolve, reject) => {
    const early: Buffer[] = [];
    let begun = false;
    let listener: (chunk: Buffer) => void = (chunk) => early.push(chunk);
    const onClose = () => reject(new RuntimeError('connection', 'ECONNRESET', op));
    const reader = { buffer: Buffer.alloc(0) };
    const onAnswer = (chunk: Buffer) => {
      if (begun) return listener(chunk);
      reader.buffer = Buffer.concat([reader.buffer, chunk]);
      const size = reader.buffer.length >= 4 ? reader.buffer.readUInt32LE(0) : Number.POSITIVE_INFINITY;
      if (reader.buffer.length < size + 4) return;
      const answer = JSON.parse(reader.buffer.subarray(4, size + 4).toString('utf8')) as {
        error?: { stage: string; errno: string; object: string };
      };
      socket.off('close', onClose);
      if (answer.error) {
        socket.destroy();
        return reject(new RuntimeError(answer.error.stage, answer.error.errno, answer.error.object));
      }
      begun = true;
      const rest = reader.buffer.subarray(size + 4);
      if (rest.length) early.push(rest);
      socket.pause();
      resolve({
        socket,
        start(onData) {
          listener = onData;
          for (const piece of early.splice(0)) onData(piece);
          socket.resume();
        },
      });
    };
    socket.on('error', () => {});
    socket.on('close', onClose);
    socket.on('data', onAnswer);
    socket.write(encodeFrame(Buffer.from(JSON.stringify({ id: 1, op, params }))));
  });
}

export interface StreamChannels {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/**
 * `stream.exec` and `stream.attach` as Node streams. A reader that stops reading stops the socket, and with it the
 * process. `close()` ends the connection, upon which the core kills an exec'd process and leaves an attached one alone.
 */
export async function openProcessStreams(
  path: string,
  op: string,
  params: object,
  channels: StreamChannels,
): Promise<ProcessStreams> {
  const { socket, start } = await openStream(path, op, params);
  const outputs: (Readable | undefined)[] = [];
  const blocked = new Set<Readable>();
  const output = () => {
    const readable: Readable = new Readable({
      read() {
        if (blocked.delete(readable) && blocked.size === 0) socket.resume();
      },
      destroy(error, done) {
        if (blocked.delete(readable) && blocked.size === 0) socket.resume();
        done(error);
      },
    });
    return readable;
  };
  if (channels.stdout) outputs[STDOUT] = output();
  if (channels.stderr) outputs[STDERR] = output();
  let exitCode: number | undefined;
  const reader = new FrameReader((payload) => {
    const channel = payload[0]!;
    if (channel === EXIT) {
      exitCode = (JSON.parse(payload.subarray(1).toString('utf8')) as { exitCode: number }).exitCode;
      return;
    }
    const readable = outputs[channel];
    if (!readable || readable.destroyed || readable.push(payload.subarray(1))) return;
    blocked.add(readable);
    socket.pause();
  });
  const exit = new Promise<number>((resolve, reject) => {
    socket.once('close', () => {
      for (const readable of outputs) readable?.push(null);
      if (exitCode !== undefined) resolve(exitCode);
      else reject(new RuntimeError('connection', 'ECONNRESET', op));
    });
  });
  exit.catch(() => {});
  const send = (channel: number, data: Buffer, done?: () => void) => {
    if (socket.destroyed || !socket.writable) return done?.();
    if (socket.write(encodeStreamFrame(channel, data)) || !done) return done?.();
    const settle = () => {
      socket.off('drain', settle);
      socket.off('close', settle);
      done();
    };
    socket.on('drain', settle);
    socket.on('close', settle);
  };
  const stdin = channels.stdin
    ? new Writable({
        write(chunk: Buffer, _encoding, done) {
          const next = (offset: number): void => {
            if (offset >= chunk.length) done();
            else send(STDIN, chunk.subarray(offset, offset + STDIN_CHUNK), () => next(offset + STDIN_CHUNK));
          };
          next(0);
        },
        final(done) {
          send(CLOSE_STDIN, Buffer.alloc(0));
          done();
        },
      })
    : undefined;
  stdin?.on('error', () => {});
  start((chunk) => {
    try {
      reader.push(chunk);
    } catch {
      socket.destroy();
    }
  });
  return {
    stdin,
    stdout: outputs[STDOUT],
    stderr: outputs[STDERR],
    resize: (columns, rows) => send(RESIZE, Buffer.from(JSON.stringify({ width: columns, height: rows }))),
    exit,
    close: () => void socket.destroy(),
  };
}

/** Raw bytes to a port inside the pod's network namespace. */
export async function openDial(path: string, host: string, port: number): Promise<Duplex> {
  const { socket, start } = await openStream(path, 'stream.dial', { host, port });
  return new DialledStream(socket, start);
}
