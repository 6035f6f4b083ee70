import { once } from 'node:events';
import type http2 from 'node:http2';
import { ConfigMaps, type KubeObject } from '@trimtab/machinery';
import fc from 'fast-check';
import { whenAborted } from './closing.js';
import { ObjectEncoder } from './encoding.js';
import { initialLines } from './initial-events.js';
import { type TestServer, testServer } from './testing.js';

let api: TestServer;
beforeEach(async () => {
  api = await testServer();
});
afterEach(() => api.close());

const maps = '/api/v1/namespaces/default/configmaps';
const names = (count: number) => Array.from({ length: count }, (_, i) => `m${String(i).padStart(4, '0')}`);
const write = (name: string, data: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>> = {}) =>
  api.admin.create(ConfigMaps, { metadata: { namespace: 'default', name, labels }, data });
const change = (name: string, data: Readonly<Record<string, string>>) =>
  api.admin.patch(ConfigMaps, { namespace: 'default', name }, { type: 'merge', body: { data } });

interface Told {
  readonly type: string;
  readonly object: { readonly metadata: { readonly name: string; readonly resourceVersion: string } } & KubeObject;
}

/** Everything a watch has said, and a wait for more of it. */
function listening(stream: http2.ClientHttp2Stream) {
  const told: Told[] = [];
  let text = '';
  let woken = () => {};
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop()!;
    for (const line of lines) told.push(JSON.parse(line) as Told);
    woken();
  });
  const until = async (there: () => boolean) => {
    while (!there())
      await new Promise<void>((resolve) => {
        woken = resolve;
      });
  };
  return { told, until };
}

const revisionOf = ({ object }: Told) => Number(object.metadata.resourceVersion);

test('what is there comes in order and once, then what was written meanwhile, and nothing is missing between', async () => {
  const all = names(700);
  await Promise.all(all.map((name) => write(name, { text: `${name} ü`.repeat(200) })));
  const stream = api.open(`${maps}?watch=1`);
  await once(stream, 'response');
  const { told, until } = listening(stream);
  await until(() => told.length > 0);
  // The client reads, but what is there takes many turns.
  const meanwhile = all.slice(0, 200);
  await Promise.all(meanwhile.map((name) => change(name, { text: 'changed' })));
  await until(() => told.length >= 900);
  const initial = told.slice(0, 700);
  expect(initial.map(({ type }) => type)).toEqual(all.map(() => 'ADDED'));
  expect(initial.map(({ object }) => object.metadata.name)).toEqual(all);
  const after = told.slice(700);
  expect(after.map(({ type }) => type)).toEqual(meanwhile.map(() => 'MODIFIED'));
  expect(after.map(({ object }) => object.metadata.name).sort()).toEqual(meanwhile);
  expect(after.map(revisionOf)).toEqual([...after.map(revisionOf)].sort((a, b) => a - b));
  expect(Math.max(...initial.map(revisionOf))).toBeLessThan(revisionOf(after[0]!));
  stream.close();
});

test('a watch that begins with a selection has exactly what fits, and its end is marked', async () => {
  const all = names(1200);
  await Promise.all(all.map((name, i) => write(name, {}, { app: `a${i % 600}` })));
  const selected = `${maps}?watch=1&labelSelector=app%3Da7&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`;
  const stream = api.open(selected);
  const { told, until } = listening(stream);
  await until(() => told.length >= 3);
  expect(told.map(({ type }) => type)).toEqual(['ADDED', 'ADDED', 'BOOKMARK']);
  expect(told.slice(0, 2).map(({ object }) => object.metadata.name)).toEqual(['m0007', 'm0607']);
  expect(told[2]!.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
  await change('m0007', { a: 'b' });
  await change('m0008', { a: 'b' });
  await change('m0607', { a: 'b' });
  await until(() => told.length >= 5);
  expect(told.slice(3).map(({ type, object }) => [type, object.metadata.name])).toEqual([
    ['MODIFIED', 'm0007'],
    ['MODIFIED', 'm0607'],
  ]);
  stream.close();
});

test('whoever has missed hundreds of commits is told of each, once and in order, while others go on', async () => {
  await write('other', {});
  const { metadata } = await write('counted', { turn: '0' });
  for (let i = 1; i <= 500; i++) await change(i % 10 === 0 ? 'other' : 'counted', { turn: String(i) });
  const from = Number(metadata.resourceVersion);
  const one = api.open(`${maps}?watch=1&resourceVersion=${from}&fieldSelector=metadata.name%3Dcounted`);
  const both = api.open(`${maps}?watch=1&resourceVersion=${from}`);
  const [counted, everything] = [listening(one), listening(both)];
  await everything.until(() => everything.told.length > 0);
  for (let i = 501; i <= 540; i++) await change('counted', { turn: String(i) });
  await everything.until(() => everything.told.length >= 540);
  await counted.until(() => counted.told.length >= 490);
  const turns = (told: readonly Told[]) =>
    told.map(({ object }) => Number((object as unknown as { data: { turn: string } }).data.turn));
  expect(turns(everything.told)).toEqual(Array.from({ length: 540 }, (_, i) => i + 1));
  expect(turns(counted.told)).toEqual(turns(everything.told).filter((i) => i > 500 || i % 10 !== 0));
  for (const stream of [one, both]) stream.close();
});

test('a client that leaves while it is told what is there leaves nothing behind', async () => {
  await Promise.all(names(300).map((name) => write(name, { text: 'x'.repeat(10_000) })));
  const streams = Array.from({ length: 5 }, () => api.open(`${maps}?watch=1`));
  await Promise.all(streams.map((stream) => once(stream, 'response')));
  await Promise.all(
    streams.map((stream) => {
      const closed = once(stream, 'close');
      stream.destroy();
      return closed;
    }),
  );
  // It still answers, and ends in order.
  expect((await api.request('GET', `${maps}/m0000`)).status).toBe(200);
});

test('lines of what is there are what an event of each would be', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 300 });
  const object = fc.record(
    {
      kind: fc.constantFrom('ConfigMap', 'Ü"'),
      apiVersion: fc.constantFrom('v1', 'example.com/v1'),
      metadata: fc.record({ name: text }),
      data: fc.dictionary(text, text, { maxKeys: 4 }),
    },
    { requiredKeys: ['kind', 'apiVersion'] },
  );
  const given = fc.array(fc.oneof(object, fc.constant(undefined)), { maxLength: 30 });
  fc.assert(
    fc.property(given, fc.boolean(), (objects, kept) => {
      const encoder = new ObjectEncoder();
      const some = objects as unknown as readonly (KubeObject | undefined)[];
      if (kept) for (const each of some) if (each) encoder.body(each);
      const sizes: number[] = [];
      const made = [...initialLines(encoder, some, (bytes) => sizes.push(bytes))];
      const lines = Buffer.concat(made.filter((bytes) => bytes !== undefined))
        .toString()
        .split('\n')
        .slice(0, -1);
      const there = some.filter((each) => each !== undefined);
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
        there.map((each) => JSON.parse(JSON.stringify({ type: 'ADDED', object: each })) as unknown),
      );
      expect(sizes).toEqual(lines.map((line) => Buffer.byteLength(line) + 1));
    }),
  );
});

test('whoever waits for an end hears of it once, unless it has stopped waiting', () => {
  const ending = new AbortController();
  const heard: string[] = [];
  whenAborted(ending.signal, () => heard.push('a'));
  const stop = whenAborted(ending.signal, () => heard.push('b'));
  whenAborted(ending.signal, () => heard.push('c'));
  stop();
  ending.abort();
  ending.abort();
  expect(heard).toEqual(['a', 'c']);
});
