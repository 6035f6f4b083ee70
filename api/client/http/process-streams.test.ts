import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { notFound, Pods, type Status, type StatusError } from '@trimtab/machinery';
import { type WebSocket, WebSocketServer } from 'ws';
import { exec, portForward } from './process-streams.js';
import { ca, server } from './testing/identities.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const key = { namespace: 'ns', name: 'a' };

describe('streams into pods', () => {
  async function wsServer(serve: (socket: WebSocket, url: string) => void) {
    const http = https.createServer({ ...server });
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });
    http.on('upgrade', (request, socket, head) => {
      if (request.url!.includes('/missing/')) {
        const body = JSON.stringify(notFound(Pods, 'missing').status);
        socket.end(`HTTP/1.1 404 Not Found\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      } else sockets.handleUpgrade(request, socket, head, (ws) => serve(ws, request.url!));
    });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    closers.push(() => {
      for (const client of sockets.clients) client.terminate();
      http.close();
    });
    return { server: `https://127.0.0.1:${(http.address() as AddressInfo).port}`, ca };
  }
  const message = (channel: number, text: string) => Buffer.concat([Buffer.of(channel), Buffer.from(text)]);
  const options = { container: 'c', command: ['sh', '-c', 'x y'], stdin: true, stdout: true, stderr: true, tty: false };

  test('exec carries the three streams, size and end of input, and gives the exit code', async () => {
    const got: string[] = [];
    const connection = await wsServer((socket, url) => {
      got.push(`${socket.protocol} ${url}`);
      socket.on('message', (raw: Buffer) => {
        got.push(`${raw[0]}:${raw[0] === 255 ? raw[1] : raw.subarray(1).toString()}`);
        if (raw[0] !== 255) return;
        socket.send(message(1, 'out'));
        socket.send(message(2, 'err'));
        const verdict: Partial<Status> = {
          status: 'Failure',
          reason: 'NonZeroExitCode',
          details: { causes: [{ reason: 'ExitCode', message: '42' }] },
        };
        socket.send(message(3, JSON.stringify(verdict)));
        socket.close();
      });
    });
    const process = await exec(connection, key, options);
    process.resize(80, 24);
    process.stdin!.end('hello');
    expect(await process.exit).toBe(42);
    expect(String(process.stdout!.read())).toBe('out');
    expect(String(process.stderr!.read())).toBe('err');
    expect(got).toEqual([
      'v5.channel.k8s.io /api/v1/namespaces/ns/pods/a/exec?container=c&stdin=true&stdout=true&stderr=true&command=sh&command=-c&command=x+y',
      '4:{"Width":80,"Height":24}',
      '0:hello',
      '255:0',
    ]);
  });

  test('refusals are the server’s Status; a connection that breaks is no exit code', async () => {
    const connection = await wsServer((socket) => socket.terminate());
    await expect(exec(connection, { namespace: 'ns', name: 'missing' }, options)).rejects.toMatchObject({
      code: 404,
      reason: 'NotFound',
    });
    await expect((await exec(connection, key, options)).exit).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
  });

  test('port-forward is a byte stream; the pod’s refusal is its error', async () => {
    const connection = await wsServer((socket, url) => {
      for (const channel of [0, 1]) socket.send(message(channel, '\x50\x00'));
      if (url.includes('ports=81')) socket.send(message(1, 'connection refused'));
      socket.on('message', (raw: Buffer) => socket.send(message(0, raw.subarray(1).toString().toUpperCase())));
    });
    const stream = await portForward(connection, key, 80);
    stream.write('hello');
    const [answer] = (await once(stream, 'data')) as [Buffer];
    expect(answer.toString()).toBe('HELLO');
    stream.destroy();
    const refused = await portForward(connection, key, 81);
    const [error] = (await once(refused, 'error')) as [StatusError];
    expect(error.message).toBe('connection refused');
  });
});
