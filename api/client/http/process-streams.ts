import { type Duplex, Duplex as DuplexStream, PassThrough, Writable } from 'node:stream';
import { type ObjectKey, Pods, type Status, StatusError, serviceUnavailable } from '@trimtab/machinery';
import { WebSocket } from 'ws';
import type { AttachOptions, ExecOptions, ProcessStreams } from '../node-streams.js';
import { identityHeaders, statusErrorOf } from './http-client.js';
import type { Connection } from './kubeconfig.js';
import { objectPath, type Query, withQuery } from './paths.js';
import { agentFor, tlsOptions, unreachable } from './transport.js';

/** Kubernetes' remote command channels: the first byte of every message. */
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const CLOSE = 255;
const REMOTE_COMMAND = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/** Runs a command in a container. Rejects with the server's Status when it will not. */
export function exec(connection: Connection, pod: ObjectKey, options: ExecOptions): Promise<ProcessStreams> {
  return remoteCommand(connection, pod, 'exec', options, { command: options.command });
}

/** Joins a container's own process. */
export function attach(connection: Connection, pod: ObjectKey, options: AttachOptions): Promise<ProcessStreams> {
  return remoteCommand(connection, pod, 'attach', options, {});
}

async function remoteCommand(
  connection: Connection,
  pod: ObjectKey,
  subresource: string,
  { container, stdin, stdout, stderr, tty }: AttachOptions,
  more: Query,
): Promise<ProcessStreams> {
  const path = withQuery(objectPath(Pods, pod, subresource), {
    container: container || undefined,
    stdin,
    stdout,
    stderr: stderr && !tty,
    tty,
    ...more,
  });
  const socket = await dial(connection, path, REMOTE_COMMAND);
  const out = new PassThrough();
  const err = new PassThrough();
  const send = (channel: number, data: Uint8Array) => socket.send(Buffer.concat([Buffer.of(channel), data]));
  let verdict: Status | undefined;
  socket.on('message', (message: Buffer) => {
    const data = message.subarray(1);
    if (message[0] === STDOUT) passOn(socket, out, data);
    else if (message[0] === STDERR) passOn(socket, err, data);
    else if (message[0] === ERROR && data.length > 0) verdict = JSON.parse(data.toString('utf8')) as Status;
  });
  const exit = new Promise<number>((resolve, reject) => {
    socket.once('close', () => {
      out.end();
      err.end();
      if (verdict) exitCodeOf(verdict, resolve, reject);
      else reject(serviceUnavailable('the connection ended before the command did'));
    });
  });
  exit.catch(() => {});
  await opened(connection, socket);
  const input = new Writable({
    write: (chunk: Buffer, _encoding, done) =>
      socket.send(Buffer.concat([Buffer.of(STDIN), chunk]), (error) => done(error ?? null)),
    // Before v5 nobody could say that there is no more input.
    final: (done) => {
      if (socket.protocol === REMOTE_COMMAND[0]) socket.send(Buffer.of(CLOSE, STDIN));
      done();
    },
  });
  return {
    ...(stdin ? { stdin: input } : {}),
    ...(stdout ? { stdout: out } : {}),
    ...(stderr && !tty ? { stderr: err } : {}),
    resize: (columns, rows) => send(RESIZE, Buffer.from(JSON.stringify({ Width: columns, Height: rows }))),
    exit,
    close: () => socket.close(1000),
  };
}

/** What nobody reads yet is not asked for. */
function passOn(socket: WebSocket, to: PassThrough, data: Buffer): void {
  if (to.write(data)) return;
  socket.pause();
  to.once('drain', () => socket.resume());
}

function exitCodeOf(verdict: Status, resolve: (code: number) => void, reject: (error: Error) => void): void {
  const code = verdict.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
  if (verdict.status === 'Success') resolve(0);
  else if (verdict.reason === 'NonZeroExitCode' && code !== undefined) resolve(Number(code));
  else reject(StatusError.from(verdict));
}

/** A byte stream to a port of the pod; what goes wrong in the pod is the stream's error. */
export async function portForward(connection: Connection, pod: ObjectKey, port: number): Promise<Duplex> {
  const path = withQuery(objectPath(Pods, pod, 'portforward'), { ports: port });
  const socket = await dial(connection, path, ['v4.channel.k8s.io']);
  const stream = new PortStream(socket);
  const announced = [false, false];
  socket.on('message', (message: Buffer) => {
    const channel = message[0]!;
    const data = message.subarray(1);
    // The first message of each channel repeats the port.
    if (channel > 1 || !announced[channel]) announced[channel] = true;
    else if (channel === 0) stream.push(data);
    else stream.destroy(serviceUnavailable(data.toString('utf8')));
  });
  socket.once('close', () => stream.push(null));
  await opened(connection, socket);
  return stream;
}

class PortStream extends DuplexStream {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.send(Buffer.concat([Buffer.of(0), chunk]), (error) => done(error ?? null));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.close(1000);
    done(error);
  }
}

/** A socket on its way: listen to its messages now, for the first may come with the server's consent. */
async function dial(connection: Connection, path: string, protocols: readonly string[]): Promise<WebSocket> {
  const headers = (await identityHeaders(connection)) as Record<string, string>;
  const through = connection.proxy ? { agent: await agentFor(connection) } : {};
  return new WebSocket(connection.server.replace(/^http/, 'ws') + path, [...protocols], {
    headers,
    ...(await tlsOptions(connection)),
    ...through,
    perMessageDeflate: false,
  });
}

/** @throws StatusError when the server refuses, `ServiceUnavailable` when it cannot be reached. */
function opened(connection: Connection, socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        reject(statusErrorOf(response.statusCode ?? 0, response.headers['retry-after'], text));
        socket.terminate();
      });
    });
    socket.on('error', (error) => reject(unreachable(connection.server, error)));
    socket.once('open', () => {
      socket.on('error', () => socket.terminate());
      resolve();
    });
  });
}
