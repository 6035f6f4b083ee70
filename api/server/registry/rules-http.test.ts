import { encodeProtobuf } from '@trimtab/machinery';
import { type TestServer, testServer } from '../http/testing.js';

/** The rules that show only on the wire, by their numbers in README.md. */

let api: TestServer;
beforeAll(async () => {
  api = await testServer();
});
afterAll(() => api.close());

const maps = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, data: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
const type = (name: string) => ({ 'content-type': name });
const post = (path: string, body: string | Buffer | object, headers: Record<string, string> = {}) =>
  api.request('POST', path, { body, headers });
const patch = (path: string, media: string, body: string | object) =>
  api.request('PATCH', path, { body, headers: type(`application/${media}`) });

test('rule 2: bad combinations are 422 for ListOptions', async () => {
  const answer = await api.request('GET', `${maps}?resourceVersionMatch=Exact&resourceVersion=0`);
  expect([answer.status, answer.json()]).toMatchObject([
    422,
    {
      reason: 'Invalid',
      message: expect.stringMatching(/^ListOptions\.meta\.k8s\.io "" is invalid: resourceVersionMatch/),
    },
  ]);
});

test('rule 9: one JSON event a line, each sent when it happens', async () => {
  const { resourceVersion } = (await api.request('GET', maps)).json().metadata as unknown as {
    resourceVersion: string;
  };
  const stream = api.open(`${maps}?watch=true&resourceVersion=${resourceVersion}&timeoutSeconds=30`);
  const lines: string[] = [];
  const arrived = new Promise<void>((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      lines.push(...chunk.toString().split('\n').filter(Boolean));
      if (lines.length >= 2) resolve();
    });
  });
  await new Promise((resolve) => stream.once('response', resolve));
  await post(maps, configMap('watched'));
  await api.request('DELETE', `${maps}/watched`);
  await arrived;
  expect(lines.map((l) => JSON.parse(l)).map((e) => [e.type, e.object.metadata.name])).toEqual([
    ['ADDED', 'watched'],
    ['DELETED', 'watched'],
  ]);
  stream.close();
});

test('rule 18: a request of more than 3 MiB is 413', async () => {
  const answer = await post(maps, configMap('big', { x: 'x'.repeat(3 * 1024 * 1024) }));
  expect([answer.status, answer.json()]).toMatchObject([413, { kind: 'Status', reason: 'RequestEntityTooLarge' }]);
});

test('rule 19: every refusal is a Status with its reason', async () => {
  const status = async (method: string, path: string, body?: object) => {
    const answer = await api.request(method, path, body ? { body } : {});
    const { kind, apiVersion, metadata, code, reason, message } = answer.json() as unknown as Record<string, unknown>;
    expect([kind, apiVersion, metadata, code]).toEqual(['Status', 'v1', {}, answer.status]);
    return [code, reason, message];
  };
  expect(await status('GET', `${maps}/none`)).toEqual([404, 'NotFound', 'configmaps "none" not found']);
  expect(await status('GET', '/apis/apps/v1/namespaces/default/deployments/x')).toEqual([
    404,
    'NotFound',
    'deployments.apps "x" not found',
  ]);
  expect(await status('PUT', maps, configMap('x'))).toMatchObject([405, 'MethodNotAllowed', expect.anything()]);
  expect(await status('POST', maps, { ...configMap('x'), metadata: { name: 'x', namespace: 'other' } })).toEqual([
    400,
    'BadRequest',
    'the namespace of the provided object does not match the namespace sent on the request',
  ]);
  expect(await status('POST', maps, configMap('X y'))).toMatchObject([422, 'Invalid', expect.anything()]);
});

test('rule 21: an unknown dryRun is 422', async () => {
  const answer = await post(`${maps}?dryRun=Some`, configMap('x'));
  expect([answer.status, answer.json().message]).toEqual([
    422,
    'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "Some": supported values: "All"',
  ]);
});

describe('rule 22: field validation', () => {
  const twice =
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fv","labels":{"a":"b","a":"c"}},"data":{},"foo":1}';
  const complaints = 'duplicate field "metadata.labels.a", unknown field "foo"';

  test('rule 22: Strict refuses, Warn warns, Ignore is silent', async () => {
    const strict = await post(`${maps}?fieldValidation=Strict&dryRun=All`, twice);
    expect([strict.status, strict.json().message]).toEqual([
      400,
      `ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: ${complaints}`,
    ]);
    const warn = await post(`${maps}?dryRun=All`, twice);
    expect([warn.status, warn.headers.warning]).toEqual([
      201,
      '299 - "duplicate field \\"metadata.labels.a\\"", 299 - "unknown field \\"foo\\""',
    ]);
    const ignore = await post(`${maps}?fieldValidation=Ignore&dryRun=All`, twice);
    expect([ignore.status, ignore.headers.warning]).toEqual([201, undefined]);
    expect((await post(`${maps}?fieldValidation=Perhaps`, twice)).status).toBe(422);
  });

  test('rule 22: in YAML as well', async () => {
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fv}\ndata: {a: b}\ndata: {c: d}\nfoo: 1\n';
    const strict = await post(`${maps}?fieldValidation=Strict`, yaml, type('application/yaml'));
    expect(strict.status).toBe(400);
    expect(strict.json().message).toContain('strict decoding error: ');
    expect(strict.json().message).toContain('unknown field "foo"');
    expect(strict.json().message).toMatch(/"data" already set in map|duplicate field "data"/);
  });

  test('rule 22: patches are refused with 422, duplicates in them too', async () => {
    await post(maps, configMap('patched', { x: '1' }));
    for (const media of ['merge-patch+json', 'strategic-merge-patch+json']) {
      const unknown = await patch(`${maps}/patched?fieldValidation=Strict`, media, { foo: 1 });
      expect([unknown.status, unknown.json().message]).toEqual([
        422,
        expect.stringContaining('strict decoding error: unknown field "foo"'),
      ]);
      const doubled = await patch(`${maps}/patched?fieldValidation=Strict`, media, '{"data":{"a":"1","a":"2"}}');
      expect([doubled.status, doubled.json().message]).toEqual([
        422,
        expect.stringContaining('strict decoding error: duplicate field "data.a"'),
      ]);
      const warned = await patch(`${maps}/patched`, media, '{"data":{"a":"1","a":"2"}}');
      expect([warned.status, warned.headers.warning]).toEqual([200, '299 - "duplicate field \\"data.a\\""']);
    }
  });

  test('rule 22: an apply with fields nobody knows or doubled fields', async () => {
    const doubled = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata: {a: b}\ndata: {c: d}\n';
    const path = `${maps}/ssa?fieldManager=m&fieldValidation=Strict`;
    expect((await patch(path, 'apply-patch+yaml', doubled)).status).toBe(422);
  });

  test('rule 22: warnings beyond 4,096 characters are cut to 256 each', async () => {
    const unknown = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`${i}${'x'.repeat(500)}`, 1]));
    const answer = await post(`${maps}?dryRun=All`, { ...configMap('w'), ...unknown });
    const texts = String(answer.headers.warning).split(', 299 - ');
    expect(texts).toHaveLength(12);
    for (const text of texts) expect(text.length).toBeLessThan(270);
  });
});

test('rule 23: other patch types are 415, saying which there are', async () => {
  await post(maps, configMap('media'));
  const answer = await patch(`${maps}/media`, 'json', {});
  expect([answer.status, answer.json().message]).toEqual([
    415,
    'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml',
  ]);
});

test('rule 31: options in the query and in the body', async () => {
  const finalizersOf = async (name: string, path: string, body?: object) => {
    await post(maps, configMap(name));
    const answer = await api.request('DELETE', `${maps}/${name}${path}`, body ? { body } : {});
    return (answer.json().metadata as { finalizers?: readonly string[] }).finalizers;
  };
  expect(await finalizersOf('q', '?propagationPolicy=Orphan')).toEqual(['orphan']);
  expect(
    await finalizersOf('b', '', { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' }),
  ).toEqual(['foregroundDeletion']);
  expect(await finalizersOf('o', '?orphanDependents=true')).toEqual(['orphan']);
  const both = await api.request('DELETE', `${maps}/o`, {
    body: { orphanDependents: true, propagationPolicy: 'Orphan' },
  });
  expect(both.status).toBe(422);
  const options = encodeProtobuf({ apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'other' } } as never);
  const headers = type('application/vnd.kubernetes.protobuf');
  expect((await api.request('DELETE', `${maps}/q`, { body: Buffer.from(options!), headers })).status).toBe(409);
});

describe('rule 46: what can be had in other forms', () => {
  const accept = (kind: string, group = 'meta.k8s.io') => ({ accept: `application/json;as=${kind};v=v1;g=${group}` });

  test('rule 46: metadata alone, singly and in lists', async () => {
    await post(maps, configMap('partial', { x: '1' }));
    const one = await api.request('GET', `${maps}/partial`, { headers: accept('PartialObjectMetadata') });
    expect(one.json()).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'partial' } });
    expect(one.json()).not.toHaveProperty('data');
    const list = await api.request('GET', maps, { headers: accept('PartialObjectMetadataList') });
    expect(list.json()).toMatchObject({ kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' });
  });

  test('rule 46: what cannot be converted is 406', async () => {
    const answer = await api.request('GET', `${maps}/partial`, { headers: accept('Table', 'example.com') });
    expect([answer.status, (answer.json() as unknown as { reason: string }).reason]).toEqual([406, 'NotAcceptable']);
  });
});

test('rule 45: tables have the columns users know', async () => {
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
  const columns = async (path: string) =>
    (await api.request('GET', path, { headers }))
      .json()
      .columnDefinitions.map((c) => c.name)
      .join(',');
  expect(await columns('/api/v1/pods')).toBe('Name,Ready,Status,Restarts,Age,IP,Node,Nominated Node,Readiness Gates');
  expect(await columns('/apis/apps/v1/deployments')).toBe(
    'Name,Ready,Up-to-date,Available,Age,Containers,Images,Selector',
  );
  expect(await columns('/api/v1/services')).toBe('Name,Type,Cluster-IP,External-IP,Port(s),Age,Selector');
  expect(await columns('/apis/batch/v1/cronjobs')).toBe(
    'Name,Schedule,Timezone,Suspend,Active,Last Schedule,Age,Containers,Images,Selector',
  );
});
