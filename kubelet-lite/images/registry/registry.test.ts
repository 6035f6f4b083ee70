import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Clock, seededRandom, silentLogger } from '@trimtab/machinery';
import { pack } from 'tar-stream';
import { coreBinary } from '../../runtime/native/test-pods.js';
import { type DirectoryImageStore, directoryImageStore } from '../directory-store.js';
import { parseReference } from '../reference.js';
import { parseChallenges } from './challenge.js';
import { credentialsFor, parseDockerConfig } from './credentials.js';
import { checkRegistries, endpointsOf, type RegistriesConfig } from './hosts.js';

const sha = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('who may be told what', () => {
  const config = (auths: object): ReturnType<typeof parseDockerConfig> => parseDockerConfig(JSON.stringify({ auths }));
  const who = (image: string, ...sources: ReturnType<typeof parseDockerConfig>[]): (string | undefined)[] =>
    credentialsFor(parseReference(image), sources).map(({ username }) => username);
  const user = (name: string) => ({ auth: base64(`${name}:p:w`) });

  test('keys fit by host, port, glob and path; the one that names more goes first', () => {
    const entries = config({
      'https://index.docker.io/v1/': user('hub'),
      '*.example.com': user('glob'),
      'r.example.com': user('host'),
      'r.example.com/team': user('team'),
      'r.example.com:5000': user('port'),
    });
    expect(who('redis', entries)).toEqual(['hub']);
    expect(who('r.example.com/team/x', entries)).toEqual(['team', 'host', 'glob']);
    expect(who('r.example.com/other', entries)).toEqual(['host', 'glob']);
    expect(who('r.example.com:5000/x', entries)).toEqual(['port']);
    expect(who('a.b.example.com/x', entries)).toEqual([]);
  });

  test('secrets go before what the node has, and nobody is tried twice', () => {
    const [one, two] = [config({ 'r.io': user('a') }), config({ 'r.io': user('b'), 'r.io/x': user('a') })];
    expect(who('r.io/x/y', one, two)).toEqual(['a', 'b']);
  });

  test('the older kind of file, passwords with colons, and what is wrong without the secret in it', () => {
    const old = parseDockerConfig(JSON.stringify({ 'r.io': { username: 'u', password: 'p' } }));
    expect(old).toEqual([['r.io', { username: 'u', password: 'p' }]]);
    expect(config({ 'r.io': user('u') })[0]![1]).toEqual({ username: 'u', password: 'p:w' });
    expect(() => parseDockerConfig('{secret')).toThrow(/^the docker configuration is not JSON$/);
    expect(() => config({ 'r.io': { auth: base64('nocolon') } })).toThrow(
      'auths["r.io"].auth is not base64 of user:password',
    );
  });

  test('challenges, several in one header', () => {
    expect(parseChallenges('Basic realm="x, y", Bearer realm="https://a/t",service=s , scope="a b"')).toEqual([
      { scheme: 'basic', parameters: { realm: 'x, y' } },
      { scheme: 'bearer', parameters: { realm: 'https://a/t', service: 's', scope: 'a b' } },
    ]);
  });
});

describe('where a registry is', () => {
  const urls = (registry: string, config: RegistriesConfig = {}) => endpointsOf(registry, config).map((e) => e.url);
  test('by default', () => {
    expect(urls('docker.io')).toEqual(['https://registry-1.docker.io']);
    expect(urls('localhost:5000')).toEqual(['http://localhost:5000']);
    expect(urls('r.io')).toEqual(['https://r.io']);
  });
  test('mirrors first, their own settings, names rewritten', () => {
    const config = checkRegistries({
      mirrors: {
        'docker.io': { endpoint: ['https://m.io/v2'], rewrite: { '^library/(.*)': 'hub/$1' } },
        '*': { endpoint: ['http://all'] },
      },
      configs: { 'm.io': { auth: { username: 'u', password: 'p' }, tls: { ca_file: '/ca' } } },
    });
    expect(urls('docker.io', config)).toEqual(['https://m.io', 'https://registry-1.docker.io']);
    expect(urls('r.io', config)).toEqual(['http://all', 'https://r.io']);
    const [mirror] = endpointsOf('docker.io', config);
    expect(mirror).toMatchObject({
      upstream: false,
      credential: { username: 'u', password: 'p' },
      tls: { caFile: '/ca' },
    });
    expect(mirror!.rewrite!('library/redis')).toBe('hub/redis');
  });
  test.each([
    [{ mirror: {} }, 'mirror: unknown; there are mirrors and configs'],
    [{ mirrors: { x: { endpoint: 'y' } } }, 'mirrors["x"].endpoint: a list of URLs of http or https is expected'],
    [{ configs: { x: { tsl: {} } } }, 'configs["x"].tsl: unknown; there are auth and tls'],
  ])('%j is refused', (value, words) => expect(() => checkRegistries(value)).toThrow(words));
});

/** Time passes as soon as anybody waits. */
const hastyClock: Clock = {
  now: () => 1e12,
  after: (_, fn) => {
    const timer = setImmediate(fn);
    return () => clearImmediate(timer);
  },
};

describe('pulling', () => {
  let directory: string;
  let server: Server;
  let host: string;
  let store: DirectoryImageStore;
  let registries: RegistriesConfig;
  let requests: string[];
  /** May answer instead of the registry; true when it has. */
  let interfere: (request: IncomingMessage, response: ServerResponse) => boolean;
  const content = new Map<string, Buffer>();

  const image = async (files: Record<string, string>): Promise<Buffer> => {
    const tar = pack();
    for (const [name, text] of Object.entries(files)) tar.entry({ name, mtime: new Date(0) }, text);
    tar.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of tar) chunks.push(chunk as Buffer);
    const layer = Buffer.concat(chunks);
    const keep = (bytes: Buffer) => {
      content.set(`blobs/${sha(bytes)}`, bytes);
      return { digest: sha(bytes), size: bytes.length };
    };
    const config = keep(
      Buffer.from(
        JSON.stringify({
          os: 'linux',
          architecture: 'amd64',
          config: { Cmd: ['x'] },
          rootfs: { type: 'layers', diff_ids: [sha(layer)] },
        }),
      ),
    );
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: [keep(gzipSync(layer))] }));
    content.set(`manifests/${sha(manifest)}`, manifest);
    return manifest;
  };
  const layerOf = (manifest: Buffer): { digest: string; size: number } => JSON.parse(manifest.toString()).layers[0];
  /** Resolves once so many bytes of some blob have been kept. */
  const ingested = async (bytes: number): Promise<void> => {
    for (;;) {
      for (const name of await fs.readdir(join(directory, 'ingest')))
        if ((await fs.stat(join(directory, 'ingest', name)).catch(() => undefined))?.size === bytes) return;
    }
  };
  const refused = (response: ServerResponse, status: number, headers: Record<string, string> = {}): true => {
    response.writeHead(status, headers).end('{"errors":[{"code":"DENIED","message":"no"}]}');
    return true;
  };

  beforeEach(async () => {
    directory = await fs.mkdtemp(join(tmpdir(), 'trimtab-registry-'));
    requests = [];
    interfere = () => false;
    registries = {};
    server = createServer((request, response) => {
      requests.push(`${request.method} ${request.url} ${request.headers.range ?? ''}`.trim());
      if (interfere(request, response)) return;
      const bytes = content.get(request.url!.replace(/^\/v2\/(app|hub\/app)\//, ''));
      if (bytes === undefined) return void refused(response, 404);
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, { 'Content-Length': bytes.length - from }).end(bytes.subarray(from));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    store = await directoryImageStore({
      directory,
      coreBinary,
      architecture: 'amd64',
      clock: hastyClock,
      random: seededRandom(1),
      logger: silentLogger,
      registries: async () => registries,
    });
    content.clear();
    content.set('manifests/1', await image({ a: 'A', big: 'x'.repeat(5000) }));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
    await fs.rm(directory, { recursive: true, force: true });
  });

  test('checks digests, keeps nothing of what is something else, and says so', async () => {
    const { digest } = layerOf(content.get('manifests/1')!);
    content.set(`blobs/${digest}`, Buffer.alloc(content.get(`blobs/${digest}`)!.length, 7));
    await expect(store.pull(`${host}/app:1`)).rejects.toMatchObject({
      reason: 'ErrImagePull',
      message: expect.stringContaining(`what came for ${digest} has the digest sha256:`),
    });
    expect(requests.filter((r) => r.includes(digest))).toHaveLength(2);
    expect(await fs.readdir(join(directory, 'ingest'))).toEqual([]);
    expect(await store.list()).toEqual([]);
  });

  test('goes on where it was broken off, also in another life', async () => {
    const { digest, size } = layerOf(content.get('manifests/1')!);
    let broken = 0;
    interfere = (request, response) => {
      if (!request.url!.includes(digest) || broken >= 100) return false;
      const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, { 'Content-Length': size - from });
      response.write(content.get(`blobs/${digest}`)!.subarray(from, broken++ === 0 ? 40 : from));
      // What came before a connection broke may be lost with it, so it breaks once those bytes are on disk.
      void ingested(40).then(() => response.destroy());
      return true;
    };
    await expect(store.pull(`${host}/app:1`)).rejects.toThrow();
    // One that brought something, then five in vain.
    expect(requests.filter((r) => r.includes(digest))).toHaveLength(5);
    broken = 100;
    requests.length = 0;
    const pulled = await store.pull(`${host}/app:1`);
    expect(requests.filter((r) => r.includes(digest))).toEqual([`GET /v2/app/blobs/${digest} bytes=40-`]);
    expect(await fs.readFile(join(pulled.layers[0]!, 'a'), 'utf8')).toBe('A');
  });

  test('tries again what may pass, not what will not', async () => {
    let failures = 3;
    interfere = (_, response) =>
      failures-- > 0 && refused(response, failures === 2 ? 429 : 503, { 'Retry-After': '1' });
    await store.pull(`${host}/app:1`);
    requests.length = 0;
    await expect(store.pull(`${host}/app:none`)).rejects.toMatchObject({
      reason: 'ErrImagePull',
      message: `failed to pull and unpack image "${host}/app:none": failed to resolve reference "${host}/app:none": ${host}/app:none: not found`,
    });
    expect(requests).toHaveLength(1);
  });

  test('those who ask for the same at once share one pull; a present image costs one request', async () => {
    const [one, two] = await Promise.all([store.pull(`${host}/app:1`), store.pull(`${host}/app:1`)]);
    expect(one).toBe(two);
    expect(requests).toHaveLength(3);
    requests.length = 0;
    await store.pull(`${host}/app:1`);
    expect(requests).toEqual(['GET /v2/app/manifests/1']);
  });

  test('fetches a token as the registry says, with one credential after another', async () => {
    const tokens: string[] = [];
    interfere = (request, response) => {
      if (request.url!.startsWith('/token')) {
        const authorization = request.headers.authorization ?? 'nobody';
        tokens.push(`${decodeURIComponent(request.url!)} ${authorization}`);
        if (authorization !== `Basic ${base64('good:pw')}`) return refused(response, 401);
        response.end('{"token":"T"}');
        return true;
      }
      if (request.headers.authorization === 'Bearer T') return false;
      return refused(response, 401, {
        'WWW-Authenticate': `Bearer realm="http://${host}/token",service="s",scope="repository:app:pull"`,
      });
    };
    const entries = (name: string) =>
      parseDockerConfig(JSON.stringify({ auths: { [host]: { auth: base64(`${name}:pw`) } } }));
    await expect(store.pull(`${host}/app:1`)).rejects.toThrow(
      /pull access denied, repository does not exist or may require authorization/,
    );
    tokens.length = 0;
    await store.pull(`${host}/app:1`, { credentials: [entries('bad'), entries('good')] });
    expect(tokens).toEqual(
      ['bad', 'good'].map((who) => `/token?service=s&scope=repository:app:pull Basic ${base64(`${who}:pw`)}`),
    );
  });

  test('never shows credentials to where it is redirected', async () => {
    const seen: (string | undefined)[] = [];
    const other = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end(content.get(request.url!.slice(1)));
    });
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
    const { port } = other.address() as AddressInfo;
    interfere = (request, response) => {
      if (request.headers.authorization === undefined)
        return refused(response, 401, { 'WWW-Authenticate': 'Basic realm="x"' });
      if (!request.url!.includes('/blobs/')) return false;
      response.writeHead(307, { Location: `http://127.0.0.1:${port}${request.url!.replace('/v2/app', '')}` }).end();
      return true;
    };
    const credentials = [parseDockerConfig(JSON.stringify({ auths: { [host]: { auth: base64('u:p') } } }))];
    await store.pull(`${host}/app:1`, { credentials });
    expect(seen).toEqual([undefined, undefined]);
    await new Promise((closed) => other.close(closed));
  });

  test('asks mirrors first and the registry itself when they do not know', async () => {
    registries = {
      mirrors: { 'example.invalid': { endpoint: ['http://127.0.0.1:1', `http://${host}`], rewrite: { '^': 'hub/' } } },
    };
    const pulled = await store.pull('example.invalid/app:1');
    expect(pulled.tags).toEqual(['example.invalid/app:1']);
    expect(requests[0]).toBe('GET /v2/hub/app/manifests/1');
  });

  test('removes unused images by age and keeps pinned ones and those in use', async () => {
    for (const tag of ['1', '2', '3', '4']) {
      content.set(`manifests/${tag}`, await image({ [tag]: tag.repeat(1000) }));
      await store.used((await store.pull(`${host}/app:${tag}`)).id, Number(tag) * 1000);
    }
    await store.pin(`${host}/app:1`, true);
    const second = (await store.find(`${host}/app:2`))!.id;
    const { bytes: before } = await store.usage();
    const { removed, bytes } = await store.removeUnused({ inUse: new Set([second]), now: 4500, minAgeMs: 1000 });
    expect(removed.flatMap((i) => i.tags)).toEqual([`${host}/app:3`]);
    expect(bytes).toBe(before - (await store.usage()).bytes);
    expect(bytes).toBeGreaterThan(1000);
    await store.removeUnused({ inUse: new Set(), now: 9e9, bytes: 1 });
    expect((await store.list()).flatMap((i) => i.tags).sort()).toEqual([`${host}/app:1`, `${host}/app:4`]);
  });
});
