import { Duplex, PassThrough, type Readable } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import type { ExecOptions, LogOptions, NodeStreams, ProcessStreams } from '@trimtab/client';
import { Pods } from '@trimtab/machinery';
import { WebSocket } from 'ws';
import { type TestServer, testServer } from '../http/testing.js';
import { pod } from '../registry/testing.js';
import { SpdySession, type SpdyStream } from './spdy/session.js';

/** A node whose one command is `echo`: what goes in comes out, and `exit N` ends it with N. */
class EchoNode implements NodeStreams {
  readonly calls: unknown[] = [];
  readonly sizes: string[] = [];
  readonly asked: string[] = [];
  /** Makes port 80 speak HTTP. */
  serve: ((request: string) => string) | undefined;
  closed = 0;

  async logs(_pod: object, options: LogOptions, signal: AbortSignal): Promise<Readable> {
    this.calls.push(options);
    const log = new PassThrough();
    log.write('one\n');
    if (!options.follow) log.end();
    signal.addEventListener('abort', () => {
      this.closed++;
      log.destroy();
    });
    return log;
  }

  async exec(_pod: object, options: ExecOptions): Promise<ProcessStreams> {
    this.calls.push(options);
    if (options.command[0] !== 'echo') throw new Error(`exec ${options.command[0]}: no such file or directory`);
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    let exited: (code: number) => void = () => {};
    const exit = new Promise<number>((resolve) => {
      exited = resolve;
    });
    stderr.write('ready');
    stdin.on('data', (chunk: Buffer) => stdout.write(chunk));
    stdin.on('end', () => {
      stdout.end();
      stderr.end();
      exited(Number(options.command[1] ?? 0));
    });
    return {
      stdin,
      stdout,
      stderr,
      resize: (columns, rows) => this.sizes.push(`${columns}x${rows}`),
      exit,
      close: () => {
        this.closed++;
      },
    };
  }

  attach(target: object, options: Omit<ExecOptions, 'command'>): Promise<ProcessStreams> {
    return this.exec(target, { ...options, command: ['echo'] });
  }

  async portForward(_pod: object, port: number): Promise<Duplex> {
    if (port !== 80) throw new Error('connection refused');
    if (!this.serve) return new PassThrough();
    const { serve, asked } = this;
    return new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        if (asked.push(chunk.toString()) && /^[A-Z]+ \//.test(chunk.toString())) this.push(serve(chunk.toString()));
        done();
      },
    });
  }
}

let node: EchoNode;
let api: TestServer;
beforeEach(async () => {
  node = new EchoNode();
  api = await testServer({ nodeStreams: (name) => (name === 'n1' ? node : undefined) });
  for (const [name, nodeName] of [
    ['p', 'n1'],
    ['far', 'n2'],
  ] as const) {
    const made = await api.admin.create(Pods, pod(name, { spec: { nodeName } }));
    await api.admin.update(Pods, { ...made, status: { phase: 'Running' } }, { subresource: 'status' });
  }
});
afterEach(() => api.close());

const pods = '/api/v1/namespaces/default/pods';
const socket = (path: string, protocols: string[]) =>
  new WebSocket(`${api.server.url.replace('https', 'wss')}${path}`, protocols, {
    rejectUnauthorized: false,
    headers: { authorization: 'Bearer admin' },
  });
const message = (channel: number, text: string) => Buffer.concat([Buffer.of(channel), Buffer.from(text)]);

/** Collects a socket's channels until it is closed. */
function collect(ws: WebSocket): Promise<Record<number, string>> {
  const channels: Record<number, string> = {};
  ws.on('message', (raw: Buffer) => {
    channels[raw[0]!] = (channels[raw[0]!] ?? '') + raw.subarray(1).toString();
  });
  return new Promise((resolve, reject) => {
    ws.once('close', () => resolve(channels));
    ws.once('error', reject);
  });
}

/** Asks for a SPDY upgrade and gives the connection, or the refusal's text. */
function spdy(path: string, protocol: string): Promise<TLSSocket | string> {
  const url = new URL(api.server.url);
  return new Promise((resolve, reject) => {
    const connection = tls.connect({
      host: url.hostname,
      port: Number(url.port),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    connection.once('error', reject);
    connection.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
    );
    connection.once('data', (head: Buffer) => {
      if (head.toString().startsWith('HTTP/1.1 101')) resolve(connection);
      else resolve(head.toString());
    });
  });
}

async function text(stream: SpdyStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

describe('logs', () => {
  test('a log as it is; options checked; following ends with the listener', async () => {
    const answer = await api.request('GET', `${pods}/p/log?tailLines=3&timestamps=true`);
    expect(answer.text()).toBe('one\n');
    expect(answer.headers['content-type']).toBe('text/plain');
    expect(node.calls).toEqual([expect.objectContaining({ container: 'main', tailLines: 3, timestamps: true })]);
    const wrong = await api.request('GET', `${pods}/p/log?container=nope`);
    expect(wrong.json().message).toBe('container nope is not valid for pod p');
    expect((await api.request('GET', `${pods}/p/log?tailLines=-1`)).status).toBe(422);

    const stopped = node.closed;
    const stream = api.open(`${pods}/p/log?follow=true`);
    await new Promise((resolve) => stream.once('data', resolve));
    stream.close();
    await new Promise((resolve) => stream.once('close', resolve));
    while (node.closed === stopped) await new Promise((resolve) => setImmediate(resolve));
  });

  test('a node nobody speaks for is named', async () => {
    const answer = await api.request('GET', `${pods}/far/log`);
    expect(answer.status).toBe(503);
    expect(answer.json().message).toContain('no kubelet of node "n2" is connected');
  });
});

describe('exec over WebSocket', () => {
  const exec = `${pods}/p/exec?command=echo&command=3&stdin=true&stdout=true&stderr=true`;

  test('v5: channels both ways, closing standard input, the exit code as a Status', async () => {
    const ws = socket(exec, ['v5.channel.k8s.io', 'v4.channel.k8s.io']);
    const all = collect(ws);
    await new Promise((resolve) => ws.once('open', resolve));
    expect(ws.protocol).toBe('v5.channel.k8s.io');
    ws.send(message(4, '{"Width":80,"Height":24}'));
    ws.send(message(0, 'hello '));
    ws.send(message(0, 'there'));
    ws.send(Buffer.of(255, 0));
    const channels = await all;
    expect(channels[1]).toBe('hello there');
    expect(channels[2]).toBe('ready');
    expect(JSON.parse(channels[3]!)).toMatchObject({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    });
    expect(node.sizes).toEqual(['80x24']);
    expect(node.closed).toBe(1);
  });

  test('the oldest protocol, in base64', async () => {
    const ws = socket(`${pods}/p/exec?command=nope`, ['base64.channel.k8s.io']);
    const frames: string[] = [];
    ws.on('message', (raw: Buffer) => frames.push(raw.toString()));
    await new Promise((resolve) => ws.once('close', resolve));
    const error = frames.find((f) => f.startsWith('3'))!;
    expect(Buffer.from(error.slice(1), 'base64').toString()).toBe('exec nope: no such file or directory');
  });

  test('refusals are plain answers: no such pod, no command', async () => {
    const refused = (path: string) =>
      new Promise<string>((resolve) => {
        const ws = socket(path, ['v5.channel.k8s.io']);
        ws.once('unexpected-response', (_request, response) => {
          response.on('data', (chunk: Buffer) => resolve(`${response.statusCode} ${chunk}`));
        });
        ws.once('error', () => {});
      });
    expect(await refused(`${pods}/none/exec?command=echo`)).toMatch(/^404 .*pods \\"none\\" not found/);
    expect(await refused(`${pods}/p/exec`)).toMatch(/^422 .*command: Required value/);
  });
});

describe('exec over SPDY', () => {
  test('streams both ways, and the exit code on the error stream', async () => {
    const connection = await spdy(
      `${pods}/p/exec?command=echo&command=7&stdin=true&stdout=true&stderr=true`,
      'v4.channel.k8s.io',
    );
    const session = new SpdySession(connection as TLSSocket, () => {});
    const open = (type: string) => session.open(new Map([['streamtype', type]]));
    const error = open('error');
    const stdin = open('stdin');
    const stdout = open('stdout');
    const stderr = open('stderr');
    stdin.write('x'.repeat(200_000));
    stdin.end('!');
    expect(await text(stdout)).toBe(`${'x'.repeat(200_000)}!`);
    expect(await text(stderr)).toBe('ready');
    expect(JSON.parse(await text(error)).details.causes[0].message).toBe('7');
    await session.closed;
  });

  test('what came whole can be read after the connection is gone, what did not breaks off', async () => {
    const connection = await spdy(
      `${pods}/p/exec?command=echo&command=7&stdin=true&stdout=true&stderr=true`,
      'v4.channel.k8s.io',
    );
    const session = new SpdySession(connection as TLSSocket, () => {});
    const open = (type: string) => session.open(new Map([['streamtype', type]]));
    const [error, stdin, stdout, stderr] = [open('error'), open('stdin'), open('stdout'), open('stderr')];
    stdin.end('hello');
    await session.closed;
    expect(await text(stdout)).toBe('hello');
    expect(await text(stderr)).toBe('ready');
    expect(JSON.parse(await text(error)).details.causes[0].message).toBe('7');
    await expect(text(stdin)).rejects.toThrow('Premature close');
  });

  test('a protocol nobody knows is refused', async () => {
    expect(await spdy(`${pods}/p/exec?command=echo`, 'v9.channel.k8s.io')).toMatch(/^HTTP\/1\.1 403/);
  });
});

describe('proxy', () => {
  test('a request goes to the port of a pod, by number, by name, and through a service', async () => {
    const ports = [{ name: 'web', containerPort: 80 }];
    const spec = { nodeName: 'n1', containers: [{ name: 'main', image: 'app:1', ports }] };
    await api.admin.create(Pods, pod('web', { spec }));
    node.serve = () => 'HTTP/1.1 201 Created\r\nLocation: /made\r\nContent-Length: 2\r\n\r\nok';
    const answer = await api.request('POST', `${pods}/web:web/proxy/a/b?c=d%20e`, { body: 'hello' });
    expect(answer.status).toBe(201);
    expect(answer.text()).toBe('ok');
    expect(answer.headers.location).toBe(`${pods}/web:web/proxy/made`);
    expect(node.asked[0]).toMatch(/^POST \/a\/b\?c=d%20e HTTP\/1.1\r\n/);
    expect(node.asked[0]).not.toMatch(/authorization/i);
    expect((await api.request('GET', `${pods}/web:81/proxy/`)).status).toBe(503);

    await api.admin.create(Pods, pod('proxy-0', { spec }));
    node.serve = () =>
      'HTTP/1.1 200 OK\r\nProxy-Connection: close\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok';
    const headers = { 'impersonate-group': 'system:masters', 'impersonate-user': 'root' };
    expect((await api.request('GET', `${pods}/proxy-0/proxy/proxy/x`, { headers })).text()).toBe('ok');
    expect(node.asked.at(-1)).toMatch(/^GET \/proxy\/x HTTP/);
    expect(node.asked.at(-1)).not.toMatch(/impersonate/i);

    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: [{ port: 8080 }] } };
    const services = '/api/v1/namespaces/default/services';
    await api.request('POST', services, { body: service });
    const none = await api.request('GET', `${services}/s/proxy/`);
    expect(none.json().message).toBe('no endpoints available for service "s"');
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 's-1', labels: { 'kubernetes.io/service-name': 's' } },
      addressType: 'IPv4',
      ports: [{ port: 80, name: '' }],
      endpoints: [{ addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'web' } }],
    };
    await api.request('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', { body: slice });
    expect((await api.request('GET', `${services}/s:8080/proxy/x`)).text()).toBe('ok');
    expect(node.asked.at(-1)).toMatch(/^GET \/x HTTP/);
  });
});

describe('port-forward', () => {
  const forward = `${pods}/p/portforward`;

  async function check(session: SpdySession) {
    const pair = (port: string, id: string) => {
      const headers = (type: string) =>
        new Map([
          ['streamtype', type],
          ['port', port],
          ['requestid', id],
        ]);
      return { error: session.open(headers('error')), data: session.open(headers('data')) };
    };
    const good = pair('80', '0');
    good.error.end();
    good.data.end('ping');
    expect(await text(good.data)).toBe('ping');
    expect(await text(good.error)).toBe('');
    const bad = pair('81', '1');
    expect(await text(bad.error)).toMatch(/^error forwarding port 81 to pod p, uid .*: connection refused$/);
    session.close();
    await session.closed;
  }

  test('over SPDY', async () => {
    const connection = await spdy(forward, 'portforward.k8s.io');
    await check(new SpdySession(connection as TLSSocket, () => {}));
  });

  test('over SPDY inside a WebSocket', async () => {
    const { host } = new URL(api.server.url);
    const request = `GET ${forward} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer admin\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n`;
    const url = new URL(api.server.url);
    const connection = tls.connect({
      host: url.hostname,
      port: Number(url.port),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    connection.write(request);
    const head = await new Promise<Buffer>((resolve) => connection.once('data', resolve));
    expect(head.toString()).toContain('Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io');
    await check(new SpdySession(framed(connection), () => {}));
  });

  test('in channels', async () => {
    const ws = socket(`${forward}?ports=80&ports=81`, ['v4.channel.k8s.io']);
    const all = collect(ws);
    await new Promise((resolve) => ws.once('open', resolve));
    ws.send(message(0, 'ping'));
    await new Promise((resolve) => {
      ws.on('message', (raw: Buffer) => raw.toString().includes('ping') && resolve(undefined));
    });
    ws.close();
    const channels = await all;
    expect(channels[0]).toBe('P\0ping');
    expect(channels[3]).toMatch(/^Q\0error forwarding port 81/);
  });
});

/** A WebSocket client's binary frames over a connection whose handshake is done, as a byte stream. */
function framed(connection: TLSSocket): Duplex {
  let pending = Buffer.alloc(0);
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      const size = Buffer.alloc(8);
      size.writeBigUInt64BE(BigInt(chunk.length));
      connection.write(Buffer.concat([Buffer.of(0x82, 0x80 | 127), size, Buffer.alloc(4), chunk]), done);
    },
    final(done) {
      connection.end(Buffer.concat([Buffer.of(0x88, 0x80), Buffer.alloc(4)]), done);
    },
  });
  connection.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      if (pending.length < 2) return;
      const short = pending[1]! & 0x7f;
      const header = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (pending.length < header) return;
      const length = short < 126 ? short : short === 126 ? pending.readUInt16BE(2) : Number(pending.readBigUInt64BE(2));
      if (pending.length < header + length) return;
      const data = pending.subarray(header, header + length);
      if ((pending[0]! & 0x0f) !== 8) stream.push(data);
      pending = pending.subarray(header + length);
    }
  });
  connection.once('close', () => {
    stream.push(null);
    stream.destroy();
  });
  return stream;
}
