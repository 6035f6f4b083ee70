import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { NodeHttpRequest, NodeStreams } from '@trimtab/client';
import { Pods } from '@trimtab/machinery';
import { WebSocket, WebSocketServer } from 'ws';
import { type TestServer, testServer, testTls } from '../http/testing.js';
import { pod } from '../registry/testing.js';
import { parseProxyName, splitProxyPath } from './proxy-name.js';
import { linkRewriter, rewriteLink } from './proxy-rewrite.js';

const root = { prefix: '/api/v1/namespaces/default/pods/web:80/proxy', host: 'web:80' };

describe('names and paths', () => {
  test('scheme, name and port, of which only the name must be there', () => {
    expect(parseProxyName('web')).toEqual({ scheme: 'http', name: 'web', port: '' });
    expect(parseProxyName('web:metrics')).toEqual({ scheme: 'http', name: 'web', port: 'metrics' });
    expect(parseProxyName('https:web:443')).toEqual({ scheme: 'https', name: 'web', port: '443' });
    expect(parseProxyName(':web:')).toEqual({ scheme: 'http', name: 'web', port: '' });
    for (const wrong of ['ftp:web:1', 'a:b:c:d', '', 'http::80'])
      expect(() => parseProxyName(wrong)).toThrow('invalid proxy target');
  });

  test('what comes after the proxy is left as it was written', () => {
    expect(splitProxyPath('/api/v1/namespaces/a/services/b:80/proxy/x%2Fy?z=1')).toEqual({
      prefix: '/api/v1/namespaces/a/services/b:80/proxy',
      rest: '/x%2Fy?z=1',
    });
    expect(splitProxyPath('/api/v1/nodes/n/proxy')).toEqual({ prefix: '/api/v1/nodes/n/proxy', rest: '' });
  });
});

describe('links', () => {
  test.each([
    ['/', `${root.prefix}/`],
    ['/a/b?c#d', `${root.prefix}/a/b?c#d`],
    ['http://web:80/x', `${root.prefix}/x`],
    ['http://web:80', `${root.prefix}/`],
    [`${root.prefix}/x`, `${root.prefix}/x`],
    ['//cdn/x', '//cdn/x'],
    ['https://elsewhere/x', 'https://elsewhere/x'],
    ['x/y', 'x/y'],
    ['#here', '#here'],
  ])('%s becomes %s', (link, wanted) => expect(rewriteLink(link, root)).toBe(wanted));

  test('of a page, however it is cut into pieces, and nothing but links', async () => {
    const page =
      '<html><a class=x href="/a">/a</a><img src=\'/b.png\' alt="src=/c"><form action=/d></form>\n<script>var a = "/e" < 1;</script>é<link\nhref="https://web:80/f"></html>';
    const wanted = page
      .replace('"/a"', `"${root.prefix}/a"`)
      .replace("'/b.png'", `'${root.prefix}/b.png'`)
      .replace('=/d', `=${root.prefix}/d`)
      .replace('https://web:80/f', `${root.prefix}/f`);
    for (const size of [1, 3, 7, 1000]) {
      const rewriter = linkRewriter(root);
      const bytes = Buffer.from(page);
      for (let at = 0; at < bytes.length; at += size) rewriter.write(bytes.subarray(at, at + size));
      rewriter.end();
      const out: Buffer[] = [];
      for await (const chunk of rewriter) out.push(chunk as Buffer);
      expect([size, Buffer.concat(out).toString()]).toEqual([size, wanted]);
    }
  });
});

describe('through the server', () => {
  let api: TestServer;
  let close: (() => void)[];
  let page: http.RequestListener;
  let nodeAsked: NodeHttpRequest[];
  const pods = '/api/v1/namespaces/default/pods';

  beforeEach(async () => {
    page = (_request, response) => response.end('hello');
    const plain = http.createServer((request, response) => page(request, response));
    const secure = https.createServer(testTls, (request, response) => page(request, response));
    const sockets = new WebSocketServer({ server: plain, handleProtocols: (offered) => [...offered][0] ?? false });
    sockets.on('connection', (ws, request) => {
      ws.on('message', (data, binary) => ws.send(`${request.url} ${data}`, { binary }));
    });
    const ports = new Map<number, number>();
    for (const [port, server] of [
      [80, plain],
      [443, secure],
    ] as const) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      ports.set(port, (server.address() as AddressInfo).port);
    }
    nodeAsked = [];
    const node = {
      portForward: async (_pod: object, port: number) => net.connect(ports.get(port) ?? 1, '127.0.0.1'),
      http: async (request: NodeHttpRequest) => {
        nodeAsked.push(request);
        return { status: 200, headers: { 'content-type': 'text/plain' }, body: 'ok' };
      },
    } as unknown as NodeStreams;
    api = await testServer({ nodeStreams: (name) => (name === 'n1' ? node : undefined) });
    await api.admin.create(Pods, pod('web', { spec: { nodeName: 'n1' } }));
    close = [
      () => plain.closeAllConnections(),
      () => plain.close(),
      () => secure.closeAllConnections(),
      () => secure.close(),
    ];
  });
  afterEach(async () => {
    for (const each of close) each();
    await api.close();
  });

  test('every method arrives with its body, over TLS as well', async () => {
    page = (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.setHeader('x-seen', `${request.method} ${request.url}`);
        response.end(Buffer.concat(chunks));
      });
    };
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
      for (const place of ['web:80', 'https:web:443']) {
        const body = ['POST', 'PUT', 'PATCH'].includes(method) ? 'given' : undefined;
        const answer = await api.request(method, `${pods}/${place}/proxy/x?y=1`, { body });
        expect([method, place, answer.status, answer.headers['x-seen'], answer.text()]).toEqual([
          method,
          place,
          200,
          `${method} /x?y=1`,
          body ?? '',
        ]);
      }
  });

  test('links of pages and redirects lead through the proxy; other content stays as it is', async () => {
    page = (request, response) => {
      if (request.url === '/moved') response.writeHead(302, { location: 'http://web:80/new' }).end();
      else if (request.url === '/text') response.writeHead(200, { 'content-type': 'text/plain' }).end('<a href="/x">');
      else {
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-encoding': 'gzip' });
        response.end(gzipSync('<a href="/x">'));
      }
    };
    const at = `${pods}/web:80/proxy`;
    const html = await api.request('GET', `${at}/`);
    expect([html.text(), html.headers['content-encoding'], html.headers['content-length']]).toEqual([
      `<a href="${at}/x">`,
      undefined,
      undefined,
    ]);
    expect((await api.request('GET', `${at}/moved`)).headers.location).toBe(`${at}/new`);
    expect((await api.request('GET', `${at}/text`)).text()).toBe('<a href="/x">');
    const bare = await api.request('GET', `${at}?a=b`);
    expect([bare.status, bare.headers.location]).toEqual([301, `${at}/?a=b`]);
  });

  test('a WebSocket of the pod’s own is passed on, subprotocol included; what is no WebSocket there says so', async () => {
    const connect = (place: string) =>
      new WebSocket(`${api.server.url.replace('https', 'wss')}${pods}/${place}/proxy/chat?room=1`, ['chat.v1'], {
        rejectUnauthorized: false,
        headers: { authorization: 'Bearer admin' },
      });
    const ws = connect('web:80');
    await once(ws, 'open');
    expect(ws.protocol).toBe('chat.v1');
    ws.send('hi');
    const [data] = (await once(ws, 'message')) as [Buffer];
    expect(data.toString()).toBe('/chat?room=1 hi');
    ws.close();
    await once(ws, 'close');

    page = (_request, response) => response.writeHead(418).end('teapot');
    const refused = connect('https:web:443');
    refused.on('error', () => {});
    const [, answer] = (await once(refused, 'unexpected-response')) as [unknown, http.IncomingMessage];
    expect(answer.statusCode).toBe(418);
  });

  test('a node’s own paths are asked of the node, without the caller’s credentials', async () => {
    for (const name of ['n1', 'n2'])
      await api.request('POST', '/api/v1/nodes', { body: { apiVersion: 'v1', kind: 'Node', metadata: { name } } });
    const answer = await api.request('GET', '/api/v1/nodes/n1:10250/proxy/stats/summary?only=cpu');
    expect([answer.status, answer.text()]).toEqual([200, 'ok']);
    expect(nodeAsked[0]).toMatchObject({ method: 'GET', path: '/stats/summary?only=cpu' });
    expect(nodeAsked[0]!.headers).not.toHaveProperty('authorization');
    expect((await api.request('GET', '/api/v1/nodes/n2/proxy/pods')).json().message).toContain(
      'no kubelet of node "n2"',
    );
    expect((await api.request('GET', '/api/v1/nodes/none/proxy/pods')).status).toBe(404);
  });
});
