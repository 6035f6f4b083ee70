import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { ConfigMaps, Deployments, expired, Nodes, notFound, Pods, StatusError, VirtualClock } from '@trimtab/machinery';
import type { WatchEvent } from '../client.js';
import { HttpClient } from './http-client.js';
import type { Connection } from './kubeconfig.js';
import { LineSplitter } from './lines.js';
import { ca, server, user } from './testing/identities.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: http2.IncomingHttpHeaders;
  readonly body: string;
  readonly user: string | undefined;
}
type Answer = (stream: http2.ServerHttp2Stream, received: Received) => void;

async function h2Server(answer: Answer) {
  const received: Received[] = [];
  const sessions: http2.ServerHttp2Session[] = [];
  const http = http2.createSecureServer({ ...server, ca, requestCert: true, rejectUnauthorized: true });
  http.on('session', (session) => sessions.push(session));
  http.on('stream', (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const subject = (stream.session!.socket as TLSSocket).getPeerCertificate().subject;
      const request = {
        method: String(headers[':method']),
        path: String(headers[':path']),
        headers,
        body: Buffer.concat(chunks).toString(),
        user: String(subject.CN),
      };
      received.push(request);
      answer(stream, request);
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  closers.push(() => {
    for (const session of sessions) session.destroy();
    http.close();
  });
  const { port } = http.address() as AddressInfo;
  return { port, received, sessions };
}

const reply = (stream: http2.ServerHttp2Stream, body: object, status = 200) => {
  stream.respond({ ':status': status, 'content-type': 'application/json' });
  stream.end(JSON.stringify(body));
};

function clientOf(port: number, more: Partial<Connection> = {}, options: object = {}): HttpClient {
  const connection = { server: `https://127.0.0.1:${port}`, ca, ...user, ...more };
  const client = new HttpClient({ connection, ...options });
  closers.push(() => client.close());
  return client;
}

/** What a watch gives until it ends: events, then `complete` or the error. */
function follow(client: HttpClient) {
  const seen: WatchEvent[] = [];
  let ended: (how: unknown) => void;
  const end = new Promise<unknown>((resolve) => (ended = resolve));
  const subscription = client.watch(Pods, { resourceVersion: '5', allowWatchBookmarks: true }).subscribe({
    next: (event) => seen.push(event),
    error: (error) => ended(error),
    complete: () => ended('complete'),
  });
  return { seen, end, subscription };
}

const key = { namespace: 'ns', name: 'a' };

describe('requests', () => {
  test('carry verbs, paths, queries and bodies as Kubernetes wants them, over one session, as the certificate’s user', async () => {
    const s = await h2Server((stream, { path }) => reply(stream, { metadata: { name: 'a' }, items: [], path }));
    const client = clientOf(s.port);
    await Promise.all([
      client.get(Pods, key),
      client.list(Deployments, { namespace: 'ns', labelSelector: 'a=b,c!=d', limit: 500, resourceVersion: '0' }),
      client.list(Nodes),
      client.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'm' } }, { fieldManager: 'me', dryRun: true }),
      client.update(Deployments, { metadata: key } as never, { subresource: 'status' }),
      client.patch(Pods, key, { type: 'json', body: [{ op: 'remove', path: '/x' }] }),
      client.patch(Pods, key, { type: 'merge', body: {} }),
      client.patch(Pods, key, { type: 'strategic', body: {} }),
      client.patch(Pods, key, { type: 'apply', body: { metadata: key } }, { fieldManager: 'me', force: true }),
      client.delete(Pods, key, { gracePeriodSeconds: 0, preconditions: { uid: 'u' } }),
      client.deleteCollection(Pods, { namespace: 'ns', labelSelector: 'x', propagationPolicy: 'Background' }),
      client.subresource(Pods, key, 'binding', 'create', { target: { name: 'n' } }),
      client.raw('/version'),
      ...Array.from({ length: 50 }, () => client.get(Nodes, { name: 'n/1' })),
    ]);
    expect(s.sessions).toHaveLength(1);
    expect(new Set(s.received.map((r) => r.user))).toEqual(new Set(['alice']));
    const lines = s.received
      .filter((r) => !r.path.endsWith('n%2F1'))
      .map((r) => `${r.method} ${decodeURIComponent(r.path)} ${r.headers['content-type'] ?? ''} ${r.body}`.trim());
    expect(lines.sort()).toEqual(
      [
        'GET /api/v1/namespaces/ns/pods/a',
        'GET /apis/apps/v1/namespaces/ns/deployments?labelSelector=a=b,c!=d&limit=500&resourceVersion=0',
        'GET /api/v1/nodes',
        'POST /api/v1/namespaces/ns/configmaps?fieldManager=me&dryRun=All application/json {"metadata":{"namespace":"ns","name":"m"},"apiVersion":"v1","kind":"ConfigMap"}',
        'PUT /apis/apps/v1/namespaces/ns/deployments/a/status application/json {"metadata":{"namespace":"ns","name":"a"},"apiVersion":"apps/v1","kind":"Deployment"}',
        'PATCH /api/v1/namespaces/ns/pods/a application/json-patch+json [{"op":"remove","path":"/x"}]',
        'PATCH /api/v1/namespaces/ns/pods/a application/merge-patch+json {}',
        'PATCH /api/v1/namespaces/ns/pods/a application/strategic-merge-patch+json {}',
        'PATCH /api/v1/namespaces/ns/pods/a?fieldManager=me&force=true application/apply-patch+yaml {"metadata":{"namespace":"ns","name":"a"},"apiVersion":"v1","kind":"Pod"}',
        'DELETE /api/v1/namespaces/ns/pods/a application/json {"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0,"preconditions":{"uid":"u"}}',
        'DELETE /api/v1/namespaces/ns/pods?labelSelector=x application/json {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}',
        'POST /api/v1/namespaces/ns/pods/a/binding application/json {"target":{"name":"n"}}',
        'GET /version',
      ].sort(),
    );
    expect(s.received.filter((r) => r.path === '/api/v1/nodes/n%2F1')).toHaveLength(50);
    await expect(client.get(Pods, { name: 'a' })).rejects.toThrow('pods "a" needs a namespace');
  });

  test('failures are the server’s own Status, or one made of what it said, with Retry-After', async () => {
    const answers: Answer[] = [
      (stream) => reply(stream, notFound(Pods, 'a').status, 404),
      (stream) => {
        stream.respond({ ':status': 429, 'retry-after': '7' });
        stream.end('too many');
      },
      (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.end('<html>');
      },
    ];
    const s = await h2Server((stream, received) => answers.shift()!(stream, received));
    const client = clientOf(s.port);
    const failure = () => client.get(Pods, key).catch((error: unknown) => error as StatusError);
    expect(await failure()).toMatchObject({ code: 404, reason: 'NotFound', message: 'pods "a" not found' });
    expect(await failure()).toMatchObject({
      code: 429,
      status: { details: { retryAfterSeconds: 7 } },
      message: 'too many',
    });
    expect(await failure()).toMatchObject({ reason: 'ServiceUnavailable' });
    expect(await failure()).toMatchObject({ reason: 'InternalError' });
  });

  test('a server that is not there, not trusted, or does not trust us is unavailable, with the reason', async () => {
    const gone = net.createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as AddressInfo;
    gone.close();
    const failure = (client: HttpClient) => client.get(Pods, key).catch((error: unknown) => error as StatusError);
    const refused = await failure(clientOf(port));
    expect(refused).toBeInstanceOf(StatusError);
    expect(refused).toMatchObject({ code: 503, message: expect.stringContaining('ECONNREFUSED') });
    const s = await h2Server((stream) => reply(stream, {}));
    expect(await failure(clientOf(s.port, { ca: undefined }))).toMatchObject({
      message: expect.stringMatching(/certificate/),
    });
    expect(await failure(clientOf(s.port, { cert: undefined, key: undefined }))).toMatchObject({ code: 503 });
    expect(await clientOf(s.port, { ca: undefined, insecure: true }).get(Pods, key)).toEqual({});
  });

  test('falls back to HTTP/1.1 where the server offers nothing else, with a token asked for each time', async () => {
    const seen: (string | undefined)[] = [];
    const http = https.createServer({ ...server }, (request, response) => {
      seen.push(`${request.httpVersion} ${request.headers.authorization}`);
      response.setHeader('content-type', 'application/json');
      if (request.url?.includes('watch=true')) {
        response.write('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}\n');
        setImmediate(() => response.end());
      } else response.end('{"metadata":{"name":"a"}}');
    });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    closers.push(() => http.close());
    let n = 0;
    const client = clientOf((http.address() as AddressInfo).port, {
      token: () => `t${++n}`,
      cert: undefined,
      key: undefined,
    });
    expect(await client.get(Pods, key)).toEqual({ metadata: { name: 'a' } });
    const w = follow(client);
    expect(await w.end).toBe('complete');
    expect(w.seen).toHaveLength(1);
    expect(seen).toEqual(['1.1 Bearer t1', '1.1 Bearer t2']);
  });

  test('a session that goes away is replaced, and a full one gets company', async () => {
    const s = await h2Server((stream, { path }) => {
      if (!path.includes('watch')) reply(stream, {});
      else stream.respond({ ':status': 200 });
    });
    const client = clientOf(s.port);
    await client.get(Pods, key);
    s.sessions[0]!.goaway();
    await new Promise((resolve) => setImmediate(resolve));
    s.sessions[0]!.close();
    await client.get(Pods, key);
    expect(s.sessions).toHaveLength(2);
    const watches = Array.from({ length: 150 }, () => follow(client));
    await client.get(Pods, key);
    while (s.received.length < 153) await new Promise((resolve) => setImmediate(resolve));
    expect(s.sessions.length).toBeGreaterThanOrEqual(3);
    for (const { subscription } of watches) subscription.unsubscribe();
  });
});

describe('watches', () => {
  test('deliver events in order whatever the chunks; the end is an end, ERROR its Status, nonsense a failure', async () => {
    let stream!: http2.ServerHttp2Stream;
    const s = await h2Server((opened) => {
      stream = opened;
      stream.respond({ ':status': 200 });
      stream.write('\n');
    });
    const client = clientOf(s.port);
    const line = (name: string, rv: number) =>
      `${JSON.stringify({ type: 'ADDED', object: { metadata: { name, resourceVersion: String(rv) } } })}\n`;
    const opened = async () => {
      const before = s.received.length;
      const w = follow(client);
      while (s.received.length === before) await new Promise((resolve) => setImmediate(resolve));
      return w;
    };
    const first = await opened();
    const bytes = Buffer.from(line('äöü€', 6) + line('b', 7) + line('c', 8));
    for (let at = 0; at < bytes.length; at += 7) stream.write(bytes.subarray(at, at + 7));
    stream.end();
    expect(await first.end).toBe('complete');
    expect(first.seen.map((e) => e.object.metadata.name)).toEqual(['äöü€', 'b', 'c']);
    expect(s.received[0]!.path).toBe('/api/v1/pods?resourceVersion=5&allowWatchBookmarks=true&watch=true');

    const gone = await opened();
    stream.write(`${JSON.stringify({ type: 'ERROR', object: expired('too old').status })}\n`);
    expect(await gone.end).toMatchObject({ code: 410, reason: 'Expired' });

    for (const text of ['{"type":"ADDED"}\n', 'what?\n', '{"type":"NEW","object":{"metadata":{}}}\n']) {
      const broken = await opened();
      stream.write(line('before', 9) + text + line('after', 10));
      expect(await broken.end).toMatchObject({
        reason: 'InternalError',
        status: { details: { causes: [{ reason: 'UnexpectedServerResponse' }] } },
      });
      expect(broken.seen.map((e) => e.object.metadata.name)).toEqual(['before']);
    }

    const half = await opened();
    stream.end(line('x', 11).slice(0, 20));
    expect(await half.end).toMatchObject({ reason: 'ServiceUnavailable' });

    const cut = await opened();
    stream.session!.destroy();
    expect(await cut.end).toMatchObject({ reason: 'ServiceUnavailable' });

    const left = await opened();
    const closed = once(stream, 'close');
    left.subscription.unsubscribe();
    await closed;
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_CANCEL);
  });

  test('W9: a peer that vanishes without a word is noticed by ping, and only then', async () => {
    const s = await h2Server((stream) => stream.respond({ ':status': 200 }));
    let frozen = false;
    const sockets: net.Socket[] = [];
    const proxy = net.createServer((near) => {
      const far = net.connect(s.port, '127.0.0.1');
      sockets.push(near, far);
      near.on('data', (chunk) => frozen || far.write(chunk));
      far.on('data', (chunk) => frozen || near.write(chunk));
      near.on('error', () => {});
      far.on('error', () => {});
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    closers.push(() => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    });
    const clock = new VirtualClock();
    const client = clientOf((proxy.address() as AddressInfo).port, {}, { clock });
    const w = follow(client);
    let over: unknown;
    void w.end.then((how) => (over = how));
    while (s.received.length === 0) await new Promise((resolve) => setImmediate(resolve));
    let pings = 0;
    s.sessions[0]!.on('ping', () => pings++);
    while (pings < 10) {
      await clock.advance(30_000);
      // Once the answer is here, the next look is 30 s away again.
      while (over === undefined && clock.nextDue() !== clock.now() + 30_000)
        await new Promise((resolve) => setImmediate(resolve));
    }
    expect(over).toBeUndefined();
    frozen = true;
    await clock.advance(30_000);
    await clock.advance(15_000);
    expect(await w.end).toMatchObject({
      reason: 'ServiceUnavailable',
      message: expect.stringContaining('connection is dead'),
    });
  });
});

test('lines survive any cutting of the bytes', () => {
  const text = 'α\n\nββ\n{"x":"γ"}\nrest';
  const bytes = Buffer.from(text);
  for (let size = 1; size < bytes.length; size++) {
    const splitter = new LineSplitter();
    const lines: string[] = [];
    for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.push(bytes.subarray(at, at + size)));
    expect(lines).toEqual(['α', 'ββ', '{"x":"γ"}']);
    expect(splitter.unfinished).toBe(true);
  }
});
