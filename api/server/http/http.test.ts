import { once } from 'node:events';
import { createServer } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { decodeProtobuf, encodeProtobuf, systemClock, VirtualClock } from '@trimtab/machinery';
import { memoryEngine, openStore } from '@trimtab/store';
import { recordedStore } from '../history/recorded-store.js';
import { clientCertificate, send, type TestServer, testServer, type Wire } from './testing.js';

let api: TestServer;
beforeEach(async () => {
  api = await testServer();
});
afterEach(() => api.close());

const maps = '/api/v1/namespaces/default/configmaps';
const map = (name: string, data: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});

/** Reads a stream line by line. */
function lines(stream: http2.ClientHttp2Stream) {
  const ready: Wire[] = [];
  const wanted: ((line: Wire) => void)[] = [];
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const parts = text.split('\n');
    text = parts.pop()!;
    for (const part of parts) {
      const line = JSON.parse(part) as Wire;
      const next = wanted.shift();
      if (next) next(line);
      else ready.push(line);
    }
  });
  return (): Promise<Wire> => {
    const line = ready.shift();
    return line ? Promise.resolve(line) : new Promise((resolve) => wanted.push(resolve));
  };
}

describe('the door', () => {
  test('only health needs no name; a refusal is a Status', async () => {
    const headers = { authorization: 'Bearer wrong' };
    for (const path of ['/healthz', '/livez', '/readyz'])
      expect((await api.request('GET', path, { headers })).text()).toBe('ok');
    const refused = await api.request('GET', '/version', { headers });
    expect(refused.status).toBe(401);
    expect(refused.json()).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'Unauthorized', code: 401 });
    const version = (await api.request('GET', '/version')).json();
    expect(version).toMatchObject({ major: '1', minor: '33', gitVersion: 'v1.33.0+trimtab' });
  });

  test('a client certificate of the authority names its user; another’s names nobody', async () => {
    const connect = async (certificate: { cert: string; key: string }) => {
      const session = http2.connect(api.server.url, { rejectUnauthorized: false, ...certificate });
      const answer = await send(session, 'GET', '/api/v1/pods', { headers: { authorization: '' } });
      session.destroy();
      return answer;
    };
    expect((await connect(clientCertificate('jane', ['system:masters', 'devs']))).status).toBe(200);
    const weak = await connect(clientCertificate('joe', ['devs']));
    expect(weak.json().message).toBe(
      'pods is forbidden: User "joe" cannot list resource "pods" in API group "" at the cluster scope',
    );
  });

  test('a port in use is named', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => squatter.once('listening', resolve));
    const { port } = squatter.address() as AddressInfo;
    await expect(testServer({ port })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: port ${port} is in use by another process`,
    );
    squatter.close();
  });

  test('what Kubernetes calls deprecated is answered with a warning', async () => {
    const warning = async (path: string) => (await api.request('GET', path)).headers.warning;
    expect(await warning('/api/v1/componentstatuses')).toBe('299 - "v1 ComponentStatus is deprecated in v1.19+"');
    expect(await warning('/api/v1/endpoints')).toMatch(/v1 Endpoints is deprecated in v1\.33\+; use discovery/);
    expect(await warning('/api/v1/pods')).toBeUndefined();
  });

  test('every answer has an audit id; what is not there is 404, what cannot be done 405, 406 or 415', async () => {
    const found = await api.request('GET', maps);
    expect(found.headers['audit-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(found.headers['cache-control']).toBe('no-cache, private');
    expect((await api.request('GET', '/apis/nope/v1/things')).json().message).toBe(
      'the server could not find the requested resource',
    );
    expect((await api.request('POST', '/api/v1/configmaps', { body: map('a') })).status).toBe(405);
    expect((await api.request('GET', '/api/v1/configmaps/a')).status).toBe(404);
    expect((await api.request('GET', maps, { headers: { accept: 'text/html' } })).status).toBe(406);
    const odd = await api.request('PATCH', `${maps}/a`, { body: {}, headers: { 'content-type': 'text/csv' } });
    expect(odd.status).toBe(415);
    expect(odd.json().message).toContain('application/apply-patch+yaml');
  });

  test('a body beyond 3 MiB is too large', async () => {
    const answer = await api.request('POST', maps, { body: map('big', { x: 'y'.repeat(3 << 20) }) });
    expect(answer.status).toBe(413);
  });
});

describe('objects', () => {
  test('fields nobody knows: refused, warned about, or let pass', async () => {
    const body = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1","k":"2"},"dat":{}}`;
    const strict = await api.request('POST', `${maps}?fieldValidation=Strict`, { body });
    expect(strict.status).toBe(400);
    expect(strict.json().message).toBe(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.k", unknown field "dat"',
    );
    const warned = await api.request('POST', maps, { body });
    expect(warned.status).toBe(201);
    expect(warned.headers.warning).toBe('299 - "duplicate field \\"data.k\\"", 299 - "unknown field \\"dat\\""');
    expect(warned.json()).not.toHaveProperty('dat');
    const ignored = await api.request('DELETE', `${maps}/a`);
    expect(ignored.json()).toMatchObject({ status: 'Success', details: { name: 'a', kind: 'configmaps' } });
  });

  test('wrong types, kinds and names are told apart', async () => {
    const wrong = (body: object) => api.request('POST', maps, { body }).then((a) => a.json().message);
    expect(await wrong({ ...map('a'), data: { n: 1 } })).toContain(
      'cannot unmarshal number into Go struct field ConfigMap.data',
    );
    expect(await wrong({ ...map('a'), kind: 'Secret' })).toContain('cannot be handled as a ConfigMap');
    expect(await wrong({ ...map('a'), apiVersion: 'v2' })).toContain('does not match the expected API version (v1)');
    expect(await wrong(map('a', {}, { namespace: 'other' }))).toContain(
      'does not match the namespace sent on the request',
    );
  });

  test('protobuf in, protobuf out, YAML in and out, all the same object', async () => {
    const protobuf = 'application/vnd.kubernetes.protobuf';
    const made = await api.request('POST', maps, {
      body: Buffer.from(encodeProtobuf(map('a', { k: 'v' }))),
      headers: { 'content-type': protobuf, accept: `${protobuf},application/json` },
    });
    expect(made.headers['content-type']).toBe(protobuf);
    expect(decodeProtobuf(made.body)).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'a' }, data: { k: 'v' } });
    const yaml = await api.request('GET', `${maps}/a`, { headers: { accept: 'application/yaml' } });
    expect(yaml.text()).toMatch(/^apiVersion: v1\ndata:\n {2}k: v\nkind: ConfigMap\nmetadata:\n/);
    const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {k: "1"}\n';
    expect((await api.request('POST', maps, { body, headers: { 'content-type': 'application/yaml' } })).status).toBe(
      201,
    );
    const list = await api.request('GET', maps, { headers: { accept: protobuf } });
    expect(decodeProtobuf(list.body)).toMatchObject({ items: [{ data: { k: 'v' } }, { data: { k: '1' } }] });
  });

  test('lists leave out their items’ types; objects have theirs first', async () => {
    await api.request('POST', maps, { body: map('a', { k: 'v' }) });
    expect((await api.request('GET', `${maps}/a`)).text()).toMatch(
      /^\{"kind":"ConfigMap","apiVersion":"v1","metadata":\{/,
    );
    const list = await api.request('GET', maps);
    expect(list.text()).toMatch(
      /^\{"kind":"ConfigMapList","apiVersion":"v1","metadata":\{"resourceVersion":"1"\},"items":\[\{"metadata":/,
    );
    const paths = await api.request('GET', '/api/v1/configmaps?limit=1');
    expect(paths.json().items).toHaveLength(1);
  });

  test('a long list is compressed, and complete', async () => {
    for (let i = 0; i < 130; i++)
      await api.admin.create(
        { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true },
        { ...map(`m${i}`, { filler: 'x'.repeat(6000) }), metadata: { name: `m${i}`, namespace: 'default' } },
      );
    const plain = await api.request('GET', maps);
    expect(plain.json().items).toHaveLength(130);
    const zipped = await api.request('GET', maps, { headers: { 'accept-encoding': 'gzip' } });
    expect(zipped.headers['content-encoding']).toBe('gzip');
    expect(zipped.body.length).toBeLessThan(plain.body.length / 10);
    expect(gunzipSync(zipped.body).equals(plain.body)).toBe(true);
    const sizes = (await api.request('GET', '/metrics')).text();
    const sum = /apiserver_response_sizes_sum\{verb="LIST",[^}]*resource="configmaps"[^}]*\} (\d+)/.exec(sizes);
    expect(Number(sum?.[1])).toBe(plain.body.length + zipped.body.length);
  });

  test('tables and metadata alone, on request', async () => {
    await api.request('POST', maps, { body: map('a', { k: 'v' }, { labels: { x: 'y' } }) });
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const table = (await api.request('GET', maps, { headers: { accept } })).json();
    expect(table).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      rows: [{ object: { kind: 'PartialObjectMetadata' } }],
    });
    expect(table.columnDefinitions[0]!.name).toBe('Name');
    expect(table.rows[0]!.cells[0]).toBe('a');
    const partial = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
    const metadata = (await api.request('GET', maps, { headers: { accept: partial } })).json();
    expect(metadata.items[0]).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { labels: { x: 'y' } } });
    expect(metadata.items[0]).not.toHaveProperty('data');
  });

  test('metadata alone as protobuf: one, a list, and what changes', async () => {
    await api.request('POST', maps, { body: map('a', { k: 'v' }, { labels: { x: 'y' } }) });
    const read = (path: string, kind: string) =>
      api.request('GET', path, {
        headers: { accept: `application/vnd.kubernetes.protobuf;as=${kind};v=v1;g=meta.k8s.io` },
      });
    const one = await read(`${maps}/a`, 'PartialObjectMetadata');
    expect(one.headers['content-type']).toContain('application/vnd.kubernetes.protobuf;as=PartialObjectMetadata');
    const wanted = { metadata: { name: 'a', labels: { x: 'y' } } };
    expect(decodeProtobuf(one.body)).toMatchObject({ kind: 'PartialObjectMetadata', ...wanted });
    expect(decodeProtobuf(one.body)).not.toHaveProperty('data');
    const list = decodeProtobuf((await read(maps, 'PartialObjectMetadataList')).body);
    expect(list).toMatchObject({ kind: 'PartialObjectMetadataList', items: [wanted] });
    const accept = 'application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
    const stream = api.open(`${maps}?watch=1&resourceVersion=0`, { accept });
    const [change] = (await once(stream, 'data')) as [Buffer];
    stream.close();
    expect(change.includes('k8s\0')).toBe(true);
    expect(change.includes('PartialObjectMetadata')).toBe(true);
    expect((await read(maps, 'Table')).status).toBe(406);
  });

  test('the scale of a deployment, patched and put', async () => {
    const spec = {
      replicas: 1,
      selector: { matchLabels: { app: 'w' } },
      template: { metadata: { labels: { app: 'w' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    };
    const path = '/apis/apps/v1/namespaces/default/deployments';
    const body = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'w' }, spec };
    expect((await api.request('POST', path, { body })).status).toBe(201);
    const merge = { 'content-type': 'application/merge-patch+json' };
    await api.request('PATCH', `${path}/w/scale`, { body: { spec: { replicas: 4 } }, headers: merge });
    const scale = (await api.request('GET', `${path}/w/scale`)).json();
    expect(scale).toMatchObject({ kind: 'Scale', spec: { replicas: 4 }, status: { selector: 'app=w' } });
    const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    const table = (await api.request('GET', `${path}/w/scale`, { headers: accept })).json();
    expect(table.columnDefinitions.map((c) => c.name)).toEqual(['Name', 'Desired', 'Available', 'Age']);
    const put = await api.request('PUT', `${path}/w/scale`, { body: { ...scale, spec: { replicas: 6 } } });
    expect(put.json().spec.replicas).toBe(6);
    expect((await api.request('PUT', `${path}/w/scale`, { body: { ...scale, spec: { replicas: 7 } } })).status).toBe(
      409,
    );
  });
});

describe('watch over the wire', () => {
  test('events are lines; the client’s leaving ends it; the server’s closing too', async () => {
    await api.request('POST', maps, { body: map('a') });
    const stream = api.open(`${maps}?watch=1&allowWatchBookmarks=true`);
    const next = lines(stream);
    expect(await next()).toMatchObject({ type: 'ADDED', object: { kind: 'ConfigMap', metadata: { name: 'a' } } });
    await api.request('POST', maps, { body: map('b') });
    expect(await next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'b' } } });
    await api.request('DELETE', `${maps}/b`);
    expect(await next()).toMatchObject({ type: 'DELETED', object: { metadata: { name: 'b', resourceVersion: '3' } } });
    const ended = new Promise((resolve) => stream.once('close', resolve));
    await api.server.close();
    await ended;
  });

  test('a watcher that does not read is dropped, and costs the others nothing they are owed', async () => {
    const stalled = api.open(`${maps}?watch=1`);
    await once(stalled, 'response');
    const reading = api.open(`${maps}?watch=1`);
    const next = lines(reading);
    const data = { filling: 'x'.repeat(900_000) };
    const seen: string[] = [];
    for (let i = 0; i < 21; i++) {
      await api.request('POST', maps, { body: map(`m-${i}`, data) });
      seen.push((await next()).object.metadata.name);
    }
    // What it was sent before it was dropped is all it gets, and then the end.
    let bytes = 0;
    stalled.on('error', () => {});
    stalled.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await new Promise((resolve) => stalled.once('close', resolve));
    expect(bytes).toBeLessThan(20 * 900_000);
    expect(seen).toEqual(Array.from({ length: 21 }, (_, i) => `m-${i}`));
    reading.close();
  });

  test('table events carry their columns once', async () => {
    const stream = api.open(`${maps}?watch=1`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    const next = lines(stream);
    await api.request('POST', maps, { body: map('a') });
    expect((await next()).object.columnDefinitions[0]!.name).toBe('Name');
    await api.request('POST', maps, { body: map('b') });
    const second = await next();
    expect(second.object.columnDefinitions).toEqual([]);
    expect(second.object.rows[0]!.cells[0]).toBe('b');
    stream.close();
  });

  test('a timeout ends it without an error', async () => {
    const clock = new VirtualClock();
    const timed = await testServer({ clock });
    const stream = timed.open(`${maps}?watch=1&timeoutSeconds=60`);
    const text: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => text.push(chunk));
    await new Promise((resolve) => stream.once('response', resolve));
    const ended = new Promise((resolve) => stream.once('end', resolve));
    await clock.advance(60_000);
    await ended;
    expect(Buffer.concat(text).length).toBe(0);
    await timed.close();
  });
});

describe('documents', () => {
  test('discovery: the aggregated form a client knows, unchanged ones not sent again', async () => {
    const accept = (v: string) => ({
      accept: `application/json;g=apidiscovery.k8s.io;v=${v};as=APIGroupDiscoveryList,application/json`,
    });
    const v2 = await api.request('GET', '/apis', { headers: accept('v2') });
    expect(v2.headers['content-type']).toBe('application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
    const apps = v2.json().items.find((g) => g.metadata.name === 'apps')!;
    const deployments = apps.versions[0]!.resources.find((r) => r.resource === 'deployments');
    expect(deployments).toMatchObject({ scope: 'Namespaced', shortNames: ['deploy'], categories: ['all'] });
    const again = await api.request('GET', '/apis', {
      headers: { ...accept('v2'), 'if-none-match': String(v2.headers.etag) },
    });
    expect(again.status).toBe(304);
    const beta = await api.request('GET', '/api', { headers: accept('v2beta1') });
    expect(beta.json().apiVersion).toBe('apidiscovery.k8s.io/v2beta1');
    const plain = (await api.request('GET', '/api/v1')).json();
    expect(plain.resources.find((r) => r.name === 'pods/eviction')).toMatchObject({
      kind: 'Eviction',
      group: 'policy',
      version: 'v1',
    });
  });

  test('OpenAPI 3: an index of hashed addresses, kept forever under the right hash, redirected from a wrong one', async () => {
    const { paths } = (await api.request('GET', '/openapi/v3')).json();
    const { serverRelativeURL } = paths['apis/apps/v1']!;
    const document = await api.request('GET', serverRelativeURL);
    expect(document.headers['cache-control']).toBe('public, immutable');
    expect(Object.keys(document.json().components.schemas)).toContain('io.k8s.api.apps.v1.Deployment');
    const wrong = await api.request('GET', '/openapi/v3/apis/apps/v1?hash=OLD');
    expect(wrong.status).toBe(301);
    expect(wrong.headers.location).toBe(serverRelativeURL);
  });

  test('lists say by a hash in which version they are stored; the root lists the paths', async () => {
    const hash = async (path: string, name: string) => {
      const { resources } = (await api.request('GET', path)).json() as unknown as {
        resources: { name: string; storageVersionHash?: string }[];
      };
      return resources.find((r) => r.name === name)?.storageVersionHash;
    };
    // As any cluster of the original gives them.
    expect(await hash('/api/v1', 'pods')).toBe('xPOwRZ+Yhw8=');
    expect(await hash('/apis/apps/v1', 'deployments')).toBe('8aSe+NMegvE=');
    expect(await hash('/apis/events.k8s.io/v1', 'events')).toBe(await hash('/api/v1', 'events'));
    expect(await hash('/apis/authorization.k8s.io/v1', 'subjectaccessreviews')).toBeUndefined();
    expect(await hash('/api/v1', 'pods/status')).toBeUndefined();
    const { paths } = (await api.request('GET', '/')).json() as unknown as { paths: string[] };
    for (const path of ['/api', '/api/v1', '/apis', '/apis/apps/v1', '/livez/ping', '/openapi/v3', '/version'])
      expect(paths).toContain(path);
  });

  test('health in words, one check alone, and without one', async () => {
    const get = async (path: string) => {
      const answer = await api.request('GET', path);
      return [answer.status, answer.text()];
    };
    expect(await get('/readyz?verbose')).toEqual([
      200,
      expect.stringMatching(/^\[\+\]ping ok\n.*readyz check passed\n$/s),
    ]);
    expect(await get('/livez/ping')).toEqual([200, 'ok']);
    expect((await get('/livez/nothing'))[0]).toBe(404);
    expect((await get('/readyz?verbose&exclude=store&exclude=moon'))[1]).toMatch(
      /\[\+\]store excluded: ok\n.*warn: some health checks cannot be excluded: no matches for "moon"\n/s,
    );
    await api.close();
    api = await testServer({ notReady: () => ['controllers'] });
    expect(await get('/readyz')).toEqual([500, expect.stringContaining('[-]controllers failed')]);
    expect(await get('/readyz?exclude=controllers')).toEqual([200, 'ok']);
    expect(await get('/livez')).toEqual([200, 'ok']);
  });

  test('a store that cannot be written to is told by readiness and by metrics, and a restart would not mend it', async () => {
    const store = await openStore({ engine: memoryEngine(), clock: systemClock });
    let full = false;
    const failing = Object.defineProperties(
      recordedStore(store, () => {}),
      {
        health: { get: () => (full ? { writable: false, reason: 'the disk is full' } : { writable: true, bytes: 77 }) },
      },
    );
    await api.close();
    api = await testServer({ store: failing });
    await api.request('POST', maps, { body: { metadata: { name: 'a' } } });
    await api.request('DELETE', `${maps}/a`);
    const metrics = async () => (await api.request('GET', '/metrics')).text();
    const text = await metrics();
    const labels = (operation: string) => `operation="${operation}",group="",resource="configmaps",type="configmaps"`;
    expect(text).toContain('# TYPE etcd_request_duration_seconds histogram');
    for (const operation of ['create', 'delete']) {
      expect(text).toContain(`etcd_requests_total{${labels(operation)}} 1`);
      expect(text).toContain(`etcd_request_duration_seconds_bucket{${labels(operation)},le="+Inf"} 1`);
      expect(text).toContain(`etcd_request_errors_total{${labels(operation)}} 0`);
    }
    expect(text).toContain('apiserver_storage_size_bytes{storage_cluster_id="embedded"} 77');
    expect(text).toContain('trimtab_store_writable 1');
    full = true;
    const health = async (path: string) => [path, (await api.request('GET', path)).status];
    expect(
      await Promise.all(['/readyz', '/healthz', '/livez', '/readyz/store', '/readyz?exclude=store'].map(health)),
    ).toEqual([
      ['/readyz', 500],
      ['/healthz', 500],
      ['/livez', 200],
      ['/readyz/store', 500],
      ['/readyz?exclude=store', 200],
    ]);
    expect((await api.request('GET', '/readyz')).text()).toContain('[-]store failed: it cannot be written to');
    expect(await metrics()).toContain('trimtab_store_writable 0');
  });

  test('a store that others write to as well is asked whether it is there, for two seconds', async () => {
    const clock = new VirtualClock();
    const store = await openStore({ engine: memoryEngine(), clock });
    let latest = async () => 1;
    const asked = Object.defineProperties(
      recordedStore(store, () => {}),
      {
        shared: { value: true },
        latest: { value: () => latest() },
      },
    );
    await api.close();
    api = await testServer({ clock, store: asked });
    const ready = async (path = '/readyz') => (await api.request('GET', path)).text();
    expect(await ready()).toBe('ok');
    latest = () => Promise.reject(new Error('etcd is gone'));
    expect(await ready()).toContain('[-]store failed: it does not answer');
    expect(await ready('/readyz/ping')).toBe('ok');
    let waiting = false;
    latest = () => {
      waiting = true;
      return new Promise(() => {});
    };
    const late = ready();
    while (!waiting) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(2_000);
    expect(await late).toContain('[-]store failed: it has not answered in 2 s');
    expect(await ready('/livez')).toBe('ok');
  });

  test('metrics count requests', async () => {
    await api.request('GET', maps);
    const text = (await api.request('GET', '/metrics')).text();
    expect(text).toMatch(
      /apiserver_request_total\{verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="namespace",component="apiserver",dry_run="",code="200"\} 1/,
    );
    const labels = 'group="",version="v1",resource="configmaps",subresource="",scope="namespace",component="apiserver"';
    expect(text).toContain(`apiserver_request_duration_seconds_count{verb="LIST",${labels},dry_run=""} 1`);
    expect(text).toContain(`apiserver_request_sli_duration_seconds_count{verb="LIST",${labels}} 1`);
    expect(text).toContain(`apiserver_response_sizes_bucket{verb="LIST",${labels},le="1000"} 1`);
    expect(text).toContain('apiserver_current_inflight_requests{request_kind="readOnly"} 1');
    expect(text).toContain('apiserver_storage_objects{resource="deployments.apps"} 0');
  });

  test('metrics tell who asked, whether they might, how long admission took, and what is deprecated', async () => {
    await api.request('GET', maps, { headers: { authorization: 'Bearer nobody' } });
    await api.request('POST', maps, { body: map('a') });
    await api.request('GET', '/api/v1/namespaces/default/endpoints');
    const text = (await api.request('GET', '/metrics')).text();
    for (const line of [
      'authentication_attempts{result="failure"} 1',
      'authentication_attempts{result="success"} 3',
      'authenticated_user_requests{username="admin"} 3',
      'authorization_attempts_total{result="allowed"} 3',
      'authentication_duration_seconds_count{result="success"} 3',
      'apiserver_admission_step_admission_duration_seconds_count{operation="CREATE",rejected="false",type="admit"} 1',
      'apiserver_requested_deprecated_apis{group="",version="v1",resource="endpoints",subresource="",removed_release=""} 1',
      'kubernetes_build_info{',
    ])
      expect(text).toContain(line);
  });
});
