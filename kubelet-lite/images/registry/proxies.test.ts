import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { proxyFor } from './proxies.js';
import { bodyOf, Transport } from './transport.js';

const http1 = 'http://one:3128/';
const tls1 = 'http://two:3128/';

test.each([
  ['http://r.io/v2/', '', http1],
  ['https://r.io/v2/', '', tls1],
  ['https://r.io/v2/', 'r.io', undefined],
  ['https://hub.r.io/v2/', 'r.io', undefined],
  ['https://bar.io/v2/', 'r.io', tls1],
  ['https://r.io/v2/', '.r.io', tls1],
  ['https://hub.r.io/v2/', ' x.y , *.r.io', undefined],
  ['https://r.io:5000/v2/', 'r.io:5000', undefined],
  ['https://r.io/v2/', 'r.io:5000', tls1],
  ['https://r.io/v2/', 'r.io:443', undefined],
  ['https://10.1.2.3/v2/', '10.0.0.0/8', undefined],
  ['https://11.1.2.3/v2/', '10.0.0.0/8', tls1],
  ['https://10.1.2.3/v2/', '10.1.2.3', undefined],
  ['https://[fd00::7]:5000/v2/', '[fd00::7]:5000', undefined],
  ['https://[fd00::7]/v2/', 'fd00::/8', undefined],
  ['https://[fd00::7]/v2/', 'fd00::7', undefined],
  ['https://r.io/v2/', '*', undefined],
  ['http://localhost:5000/v2/', '', undefined],
  ['http://127.0.0.9:5000/v2/', '', undefined],
])('%s without proxy for %j goes through %s', (url, none, expected) => {
  expect(proxyFor(new URL(url), { http: http1, https: 'two:3128', none })?.href).toBe(expected);
});

test('a proxy of another kind is refused, and not quoted', () => {
  const https = 'socks5://user:secret@p:1';
  expect(() => proxyFor(new URL('https://r.io/'), { https })).toThrow(
    /^HTTPS_PROXY: a URL of http or https is expected$/,
  );
});

describe('a proxy that writes down what it is asked for', () => {
  const asked: string[] = [];
  const dir = fs.mkdtempSync(join(tmpdir(), 'proxies-'));
  const [keyFile, caFile] = [join(dir, 'key.pem'), join(dir, 'ca.pem')];
  let refusal: number | undefined;
  let proxy: http.Server;
  let registry: https.Server;
  let through: string;
  const listen = (server: http.Server | https.Server) =>
    new Promise<number>((done) => server.listen(0, '127.0.0.1', () => done((server.address() as AddressInfo).port)));

  beforeAll(async () => {
    const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const names = ['-subj', '/CN=r.invalid', '-addext', 'subjectAltName=DNS:r.invalid'];
    execFileSync('openssl', [...words, ...names, '-keyout', keyFile, '-out', caFile], { stdio: 'ignore' });
    const tls = { key: fs.readFileSync(keyFile), cert: fs.readFileSync(caFile) };
    registry = https.createServer(tls, (request, response) => response.end(`safe ${request.url}`));
    const port = await listen(registry);
    proxy = http.createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? '-'}`);
      response.end(`plain ${request.headers.host}`);
    });
    proxy.on('connect', (request, socket) => {
      asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization'] ?? '-'}`);
      if (refusal) return socket.end(`HTTP/1.1 ${refusal} No\r\n\r\n`);
      const onward = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        onward.pipe(socket).pipe(onward);
      });
    });
    through = `http://me:p%40ss@127.0.0.1:${await listen(proxy)}`;
  });
  beforeEach(() => {
    asked.length = 0;
    refusal = undefined;
  });
  afterAll(async () => {
    await Promise.all([proxy, registry].map((server) => new Promise((done) => server.close(done))));
    fs.rmSync(dir, { recursive: true });
  });
  const me = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
  const get = (transport: Transport, url: string) => transport.send({ method: 'GET', url: new URL(url) });

  test('is asked for whole URLs, and for tunnels in which TLS goes from end to end and which are kept', async () => {
    const transport = new Transport({ caFile }, 'test', { http: through, https: through });
    expect(String(await bodyOf(await get(transport, 'http://r.invalid/v2/')))).toBe('plain r.invalid');
    for (const path of ['one', 'two'])
      expect(String(await bodyOf(await get(transport, `https://r.invalid/v2/${path}`)))).toBe(`safe /v2/${path}`);
    expect(asked).toEqual([`GET http://r.invalid/v2/ ${me}`, `CONNECT r.invalid:443 ${me}`]);
    transport.close();
  });

  test('is named, without its password, when it refuses', async () => {
    refusal = 407;
    const transport = new Transport({ caFile }, 'test', { https: through });
    const failure = get(transport, 'https://r.invalid/v2/');
    await expect(failure).rejects.toMatchObject({ code: 'ERR_PROXY' });
    await expect(failure).rejects.toThrow(
      /^GET https:\/\/r.invalid\/v2\/: proxy 127.0.0.1:\d+: CONNECT r.invalid:443: 407 No$/,
    );
    transport.close();
  });
});
