import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { Pods, VirtualClock } from '@trimtab/machinery';
import { HttpClient } from './http-client.js';
import type { Connection } from './kubeconfig.js';
import { ca, server } from './testing/identities.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const listen = async (s: net.Server): Promise<number> => {
  s.listen(0, '127.0.0.1');
  await once(s, 'listening');
  closers.push(() => s.close());
  return (s.address() as AddressInfo).port;
};

function clientOf(connection: Connection, options: Partial<ConstructorParameters<typeof HttpClient>[0]> = {}) {
  const client = new HttpClient({ connection, ...options });
  closers.push(() => client.close());
  return client;
}

async function plain(answer: http.RequestListener) {
  const seen: http.IncomingHttpHeaders[] = [];
  const port = await listen(
    http.createServer((request, response) => {
      seen.push(request.headers);
      answer(request, response);
    }),
  );
  return { server: `http://127.0.0.1:${port}`, seen };
}

const key = { namespace: 'ns', name: 'a' };
const ok: http.RequestListener = (_, response) => response.end('{"metadata":{"name":"a"}}');

test('who asks, and how the answer is to look, stands in every request', async () => {
  const s = await plain(ok);
  const basic = { username: 'me', password: 'pw' };
  const client = clientOf({
    server: s.server,
    basic,
    headers: { 'impersonate-user': 'she', 'impersonate-group': ['a', 'b'] },
  });
  await client.get(Pods, key);
  await client.list(Pods, { metadataOnly: true });
  await client.get(Pods, key, { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' });
  await clientOf({ server: s.server }, { accept: 'application/json;as=Table' }).get(Pods, key);
  expect(s.seen[0]).toMatchObject({
    authorization: `Basic ${Buffer.from('me:pw').toString('base64')}`,
    'impersonate-user': 'she',
    'impersonate-group': 'a, b',
  });
  expect(s.seen.map((h) => h.accept)).toEqual([
    'application/json',
    'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json',
    'application/json;as=Table;g=meta.k8s.io;v=v1',
    'application/json;as=Table',
  ]);
});

test('credentials that the server refuses are renewed once, and then it is over', async () => {
  const s = await plain((request, response) => {
    response.statusCode = request.headers.authorization === 'Bearer new' ? 200 : 401;
    ok(request, response);
  });
  let token = 'old';
  const refused = () => {
    token = 'new';
  };
  const credentials = { get: async () => ({ token }), refused };
  expect(await clientOf({ server: s.server, credentials }).get(Pods, key)).toEqual({ metadata: { name: 'a' } });
  expect(s.seen.map((h) => h.authorization)).toEqual(['Bearer old', 'Bearer new']);
  const stubborn = clientOf({
    server: s.server,
    credentials: { get: async () => ({ token: 'x' }), refused: () => {} },
  });
  await expect(stubborn.get(Pods, key)).rejects.toMatchObject({ code: 401 });
  expect(s.seen).toHaveLength(4);
  const broken = clientOf({
    server: s.server,
    credentials: { get: () => Promise.reject(new Error('no login')), refused: () => {} },
  });
  await expect(broken.get(Pods, key)).rejects.toMatchObject({
    code: 503,
    message: expect.stringContaining('no login'),
  });
});

describe('proxies', () => {
  const target = () => listen(https.createServer({ ...server }, ok) as unknown as net.Server);

  test('CONNECT, with user and password; a refusal says whose it is', async () => {
    const asked: string[] = [];
    const proxy = http.createServer();
    proxy.on('connect', (request, near, head) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization']}`);
      if (!request.headers['proxy-authorization']) return void near.end('HTTP/1.1 407 Who are you\r\n\r\n');
      const far = net.connect(Number(request.url!.split(':')[1]), '127.0.0.1');
      near.write('HTTP/1.1 200 OK\r\n\r\n');
      far.write(head);
      far.pipe(near).pipe(far);
      near.on('error', () => far.destroy());
    });
    const [port, through] = [await target(), await listen(proxy)];
    const to = (address: string) => clientOf({ server: `https://127.0.0.1:${port}`, ca, proxy: address });
    expect(await to(`http://u:p%20w@127.0.0.1:${through}`).get(Pods, key)).toEqual({ metadata: { name: 'a' } });
    expect(asked[0]).toBe(`127.0.0.1:${port} Basic ${Buffer.from('u:p w').toString('base64')}`);
    await expect(to(`http://127.0.0.1:${through}`).get(Pods, key)).rejects.toThrow('refused: 407 Who are you');
    await expect(to('ftp://127.0.0.1').get(Pods, key)).rejects.toThrow('none of http, https, socks5');
  });

  test('SOCKS5, with and without a login', async () => {
    const said: string[] = [];
    const proxy = net.createServer((near) => {
      let step = 'greeting';
      near.on('error', () => {});
      near.on('data', (data) => {
        if (step === 'greeting') {
          const login = data.includes(2, 2);
          step = login ? 'login' : 'target';
          near.write(Buffer.of(5, login ? 2 : 0));
        } else if (step === 'login') {
          said.push(data.toString('latin1', 2, 2 + data[1]!));
          step = 'target';
          near.write(Buffer.of(1, 0));
        } else if (step === 'target') {
          step = 'open';
          const name = data.toString('latin1', 5, 5 + data[4]!);
          said.push(name);
          const far = net.connect(data.readUInt16BE(5 + data[4]!), name);
          far.on('error', () => near.destroy());
          near.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          far.pipe(near);
          near.pipe(far);
        }
      });
    });
    const [port, through] = [await target(), await listen(proxy)];
    for (const login of ['', 'me:pw@']) {
      const connection = { server: `https://127.0.0.1:${port}`, ca, proxy: `socks5://${login}127.0.0.1:${through}` };
      expect(await clientOf(connection).get(Pods, key)).toEqual({ metadata: { name: 'a' } });
    }
    expect(said).toContain('me');
    expect(said[0]).toBe('127.0.0.1');
  });
});

test('W9: over HTTP/1.1, a watch that is silent past the bookmarks is taken to be dead, one that speaks is not', async () => {
  let speak: (line: string) => void = () => {};
  const s = await plain((_, response) => {
    response.write('\n');
    speak = (line) => response.write(line);
  });
  const clock = new VirtualClock();
  let over: unknown;
  let heard = 0;
  const client = clientOf({ server: s.server }, { clock });
  client.watch(Pods, {}).subscribe({
    next: () => heard++,
    error: (error: unknown) => {
      over = error;
    },
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  while (clock.nextDue() === undefined) await turn();
  for (let i = 1; i <= 3; i++) {
    await clock.advance(60_000);
    speak('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}\n');
    while (heard < i) await turn();
  }
  expect(over).toBeUndefined();
  await clock.advance(70_000);
  while (over === undefined) await turn();
  expect(over).toMatchObject({ code: 503 });
});
