import { gunzipSync } from 'node:zlib';
import { ConfigMaps, decodeProtobuf, type KubeObject } from '@trimtab/machinery';
import fc from 'fast-check';
import { ByteCache } from './byte-cache.js';
import { encodeList, ObjectEncoder } from './encoding.js';
import { type TestServer, testServer } from './testing.js';

let api: TestServer;
beforeEach(async () => {
  api = await testServer();
});
afterEach(() => api.close());

const maps = '/api/v1/namespaces/default/configmaps';
const names = Array.from({ length: 500 }, (_, i) => `m${String(i).padStart(3, '0')}`);

interface Listed {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly KubeObject[];
}

test('a long list is whole in every form, the second time too, and each form says the same', async () => {
  await Promise.all(
    names.map((name) =>
      api.admin.create(ConfigMaps, {
        metadata: { namespace: 'default', name },
        data: { text: `${name} ü`.repeat(200) },
      }),
    ),
  );
  const forms = {
    json: 'application/json',
    protobuf: 'application/vnd.kubernetes.protobuf',
    table: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    partial: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  };
  const read = async (accept: string, zipped = false) => {
    const headers = { accept, ...(zipped ? { 'accept-encoding': 'gzip' } : {}) };
    const answer = await api.request('GET', maps, { headers });
    expect(answer.headers['content-encoding']).toBe(zipped ? 'gzip' : undefined);
    const bytes = zipped ? gunzipSync(answer.body) : answer.body;
    expect(bytes.length).toBeGreaterThan(100_000);
    return bytes;
  };
  for (const zipped of [false, true, false]) {
    const json = JSON.parse((await read(forms.json, zipped)).toString()) as Listed;
    expect(json.items.map((item) => item.metadata.name)).toEqual(names);
    const protobuf = decodeProtobuf(await read(forms.protobuf, zipped)) as unknown as Listed;
    expect(protobuf.items).toEqual(json.items);
    expect([protobuf.kind, protobuf.apiVersion, protobuf.metadata]).toEqual(['ConfigMapList', 'v1', json.metadata]);
    const table = JSON.parse((await read(forms.table, zipped)).toString()) as Listed & {
      readonly columnDefinitions: readonly { readonly name: string }[];
      readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: KubeObject }[];
    };
    expect(table.columnDefinitions.map((column) => column.name)).toEqual(['Name', 'Data', 'Age']);
    expect(table.rows.map((row) => row.cells[0])).toEqual(names);
    expect(table.rows[7]!.object).toEqual({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: json.items[7]!.metadata,
    });
    const partial = JSON.parse((await read(forms.partial, zipped)).toString()) as Listed;
    expect([partial.kind, partial.apiVersion]).toEqual(['PartialObjectMetadataList', 'meta.k8s.io/v1']);
    expect(partial.items.map((item) => item.metadata)).toEqual(json.items.map((item) => item.metadata));
  }
});

test('an empty list is a list in every form', async () => {
  const list = async (accept: string) => (await api.request('GET', maps, { headers: { accept } })).body;
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  expect(JSON.parse((await list(table)).toString())).toMatchObject({ kind: 'Table', rows: [] });
  expect(JSON.parse((await list('application/json')).toString())).toMatchObject({ items: [] });
  expect(decodeProtobuf(await list('application/vnd.kubernetes.protobuf'))).toMatchObject({ kind: 'ConfigMapList' });
});

test('YAML that would keep everybody waiting is refused; JSON that calls itself YAML is not', async () => {
  const lines = Array.from({ length: 40_000 }, (_, i) => `  key${i}: v`).join('\n');
  const yaml = `metadata: {name: big}\ndata:\n${lines}\n`;
  const made = await api.request('POST', maps, { headers: { 'content-type': 'application/yaml' }, body: yaml });
  expect(made.status).toBe(413);
  expect(made.json().message).toContain('send it as JSON');
  const apply = { 'content-type': 'application/apply-patch+yaml' };
  const json = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'big' }, data: { a: 'x'.repeat(400_000) } };
  const applied = await api.request('PATCH', `${maps}/big?fieldManager=me`, { headers: apply, body: json });
  expect(applied.status).toBe(201);
});

describe('kept bytes', () => {
  const keys = Array.from({ length: 300 }, (_, i) => ({ i }));

  test('what was used lately is there, in its own bytes; what was not is gone', () => {
    const cache = new ByteCache<object>(100_000);
    for (const key of keys) {
      cache.setText(key, `${key.i} ü ${'x'.repeat(1000)}`);
      expect(cache.get(keys[0]!)?.toString()).toMatch(/^0 ü x/);
    }
    const left = keys.filter((key) => cache.get(key) !== undefined);
    expect(left[0]).toBe(keys[0]);
    expect(left.at(-1)).toBe(keys.at(-1));
    expect(left.length).toBeGreaterThan(50);
    expect(left.length).toBeLessThanOrEqual(200);
    for (const { i } of left) expect(cache.get(keys[i]!)?.toString()).toBe(`${i} ü ${'x'.repeat(1000)}`);
  });

  test('one that is larger than all that may be kept is given all the same', () => {
    const cache = new ByteCache<object>(1000);
    expect(cache.setBytes(keys[0]!, Buffer.alloc(2_000_000, 'y')).length).toBe(2_000_000);
    expect(cache.setText(keys[1]!, 'small').toString()).toBe('small');
    expect(cache.get(keys[1]!)?.toString()).toBe('small');
  });
});

describe('long lists', () => {
  const head = { group: '', version: 'v1', kind: 'ConfigMapList', metadata: { resourceVersion: '1' } };
  const read = async (slices: AsyncIterable<Buffer>) => {
    const all: Buffer[] = [];
    for await (const slice of slices) all.push(slice);
    return JSON.parse(Buffer.concat(all).toString()) as { readonly items: readonly unknown[] };
  };
  const map = (name: string, size: number) => ({ metadata: { name }, data: { text: 'ü'.repeat(size) } });

  test('items are the same and in order, kept or not, long or short, changed or not', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(200), fc.integer({ min: 10_000, max: 50_000 })), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.array(fc.nat(), { maxLength: 10 }), fc.boolean(), async (lengths, changed, keep) => {
        const encoder = new ObjectEncoder();
        let items: KubeObject[] = lengths.map((size, i) => map(`m${i}`, size));
        const listed = () => read(encodeList(head, items, (object, kept) => encoder.passing(object, keep && kept)));
        expect((await listed()).items).toEqual(items);
        items = items.map((item, i) => (changed.some((at) => at % lengths.length === i) ? map(`new${i}`, i) : item));
        expect((await listed()).items).toEqual(items);
        expect((await listed()).items).toEqual(items);
      }),
      { seed: 7, numRuns: 60 },
    );
  });
});
