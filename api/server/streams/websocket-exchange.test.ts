import { PassThrough } from 'node:stream';
import type { NodeStreams } from '@trimtab/client';
import { ConfigMaps, decodeProtobufMessage, Pods } from '@trimtab/machinery';
import { WebSocket } from 'ws';
import { type TestServer, testServer } from '../http/testing.js';
import { pod } from '../registry/testing.js';

let api: TestServer;
const log = () => {
  const stream = new PassThrough();
  stream.end('line one\nline two\n');
  return stream;
};
beforeEach(async () => {
  const node = { logs: async () => log() } as unknown as NodeStreams;
  api = await testServer({ nodeStreams: () => node });
});
afterEach(() => api.close());

const connect = (path: string, protocols: string[] = [], headers: Record<string, string> = {}) =>
  new WebSocket(`${api.server.url.replace('https', 'wss')}${path}`, protocols, {
    rejectUnauthorized: false,
    headers: { authorization: 'Bearer admin', ...headers },
  });

/** Every message, with whether it was binary. */
function messages(ws: WebSocket) {
  const seen: { readonly data: Buffer; readonly binary: boolean }[] = [];
  let more = () => {};
  ws.on('message', (data: Buffer, binary) => {
    seen.push({ data, binary });
    more();
  });
  const closed = new Promise<number>((resolve) => ws.once('close', resolve));
  const have = async (count: number) => {
    while (seen.length < count)
      await new Promise<void>((resolve) => {
        more = resolve;
      });
    return seen;
  };
  return { have, closed, seen };
}

const maps = '/api/v1/namespaces/default/configmaps';
const map = (name: string) => ({ metadata: { namespace: 'default', name } });

describe('a watch over WebSocket', () => {
  test('has one text message an event, several of one turn too, and goes on until the client leaves', async () => {
    for (const name of ['a', 'b', 'c']) await api.admin.create(ConfigMaps, map(name));
    const ws = connect(`${maps}?watch=true&resourceVersion=0`);
    const { have } = messages(ws);
    await have(3);
    await Promise.all([api.admin.create(ConfigMaps, map('d')), api.admin.create(ConfigMaps, map('e'))]);
    const seen = await have(5);
    const events = seen.map(({ data, binary }) => [binary, JSON.parse(data.toString())] as const);
    expect(events.map(([binary, { type, object }]) => [binary, type, object.metadata.name])).toEqual(
      ['a', 'b', 'c', 'd', 'e'].map((name) => [false, 'ADDED', name]),
    );
    ws.close();
  });

  test('in protobuf has one binary message an event, and in base64 text', async () => {
    await api.admin.create(ConfigMaps, map('a'));
    const protobuf = { accept: 'application/vnd.kubernetes.protobuf' };
    const binary = connect(`${maps}?watch=1&timeoutSeconds=1`, ['binary.k8s.io'], protobuf);
    const first = (await messages(binary).have(1))[0]!;
    expect(binary.protocol).toBe('binary.k8s.io');
    const watchEvent = { group: '', version: 'v1', kind: 'WatchEvent' };
    expect(first.binary).toBe(true);
    expect(decodeProtobufMessage(watchEvent, first.data)).toMatchObject({
      type: 'ADDED',
      object: { kind: 'ConfigMap', metadata: { name: 'a' } },
    });
    binary.close();

    const base64 = connect(`${maps}?watch=1`, ['base64.binary.k8s.io']);
    const text = (await messages(base64).have(1))[0]!;
    expect(text.binary).toBe(false);
    expect(JSON.parse(Buffer.from(text.data.toString(), 'base64').toString()).object.metadata.name).toBe('a');
    base64.close();
  });

  test('ends in order at its time, and is refused in plain HTTP', async () => {
    const ws = connect(`${maps}?watch=true&timeoutSeconds=1`);
    expect(await messages(ws).closed).toBe(1000);
    const refused = await new Promise<string>((resolve) => {
      const bad = connect(`${maps}?watch=true&resourceVersion=x`);
      bad.on('error', () => {});
      bad.once('unexpected-response', (_request, response) => {
        response.on('data', (chunk: Buffer) => resolve(`${response.statusCode} ${chunk}`));
      });
    });
    expect(refused).toMatch(/^400 .*"reason":"BadRequest"/);
  });
});

describe('a log over WebSocket', () => {
  test.each([
    ['binary.k8s.io', (data: Buffer) => data.toString()],
    ['base64.binary.k8s.io', (data: Buffer) => Buffer.from(data.toString(), 'base64').toString()],
  ])('as %s, then the end', async (protocol, read) => {
    await api.admin.create(Pods, pod('p', { spec: { nodeName: 'n1' } }));
    const ws = connect('/api/v1/namespaces/default/pods/p/log', [protocol]);
    const { seen, closed } = messages(ws);
    expect(await closed).toBe(1000);
    expect(seen.map(({ data }) => read(data)).join('')).toBe('line one\nline two\n');
  });
});
