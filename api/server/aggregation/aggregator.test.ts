import { createPublicKey } from 'node:crypto';
import type http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { APIServices, EndpointSlices, type KubeObject, Services, silentLogger, systemClock } from '@trimtab/machinery';
import { memoryEngine, openStore } from '@trimtab/store';
import { followChanges, storeReader } from '../authorization/store-feed.js';
import { newKey, signCertificate } from '../certificates/certificate.js';
import { type TestServer, testServer, testTls } from '../http/testing.js';
import { Aggregator } from './aggregator.js';
import { localApiService } from './api-service.js';
import { remoteUserHeaders } from './remote-user.js';

const now = Date.now();
const validity = { notBefore: now - 60_000, notAfter: now + 3_600_000 };
function authority(commonName: string) {
  const key = newKey();
  const issuer = { subject: { commonName }, key, publicKey: createPublicKey(key) };
  const certificate = signCertificate({ ...issuer, usage: 'authority', ...validity }, issuer.publicKey, issuer);
  const leaf = (name: string, usage: 'server' | 'client', names: readonly string[] = []) => {
    const own = newKey();
    const signed = signCertificate(
      { subject: { commonName: name }, usage, names, ...validity },
      createPublicKey(own),
      issuer,
    );
    return { certificate: signed, key: own.export({ type: 'pkcs8', format: 'pem' }).toString() };
  };
  return { certificate, leaf };
}

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly commonName: string;
}

/** An aggregated server as users write them: it believes the front proxy's certificate alone. */
async function otherServer() {
  const proxies = authority('front-proxy-ca');
  const own = authority('metrics-ca');
  const seen: Seen[] = [];
  const serving = own.leaf('metrics', 'server', ['metrics.kube-system.svc']);
  const server = https.createServer(
    {
      cert: serving.certificate,
      key: serving.key,
      ca: proxies.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const commonName = String((request.socket as tls.TLSSocket).getPeerCertificate().subject?.CN);
        const body = Buffer.concat(chunks).toString();
        seen.push({ method: request.method!, url: request.url!, headers: request.headers, body, commonName });
        const answer = (status: number, value: unknown) => {
          response.writeHead(status, { 'content-type': 'application/json', 'x-from': 'metrics' });
          response.end(JSON.stringify(value));
        };
        if (request.url === '/apis/metrics.k8s.io/v1beta1')
          return answer(200, {
            kind: 'APIResourceList',
            groupVersion: 'metrics.k8s.io/v1beta1',
            resources: [
              { name: 'nodes', singularName: 'node', namespaced: false, kind: 'NodeMetrics', verbs: ['get', 'list'] },
              { name: 'nodes/raw', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs: ['get'] },
            ],
          });
        if (request.url === '/openapi/v3')
          return answer(200, {
            paths: {
              'apis/metrics.k8s.io/v1beta1': { serverRelativeURL: '/openapi/v3/apis/metrics.k8s.io/v1beta1?hash=AB' },
            },
          });
        if (request.url === '/openapi/v2')
          return answer(200, {
            paths: { '/apis/metrics.k8s.io/v1beta1/nodes': {}, '/apis/evil/v1/x': {} },
            definitions: { 'io.k8s.metrics.NodeMetrics': { type: 'object' } },
          });
        if (request.url?.startsWith('/apis/metrics.k8s.io/v1beta1/nodes'))
          return answer(200, { kind: 'NodeMetricsList', items: [] });
        return answer(404, { kind: 'Status', code: 404 });
      });
    },
  );
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { ca: own.certificate, client: proxies.leaf('front-proxy-client', 'client'), port, seen, server };
}

let other: Awaited<ReturnType<typeof otherServer>>;
let t: TestServer;
let aggregator: Aggregator;

/** Waits on the event loop, for what happens within milliseconds; the test's own limit ends what never does. */
async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
}
const standing = async () => {
  const object = await t.admin.get(APIServices, { name: 'v1beta1.metrics.k8s.io' });
  return object.status?.conditions?.[0];
};
const slice = () =>
  ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'kube-system', name: 'metrics-1', labels: { 'kubernetes.io/service-name': 'metrics' } },
    addressType: 'IPv4',
    ports: [{ name: 'https', port: other.port }],
    endpoints: [{ addresses: ['192.0.2.1'], conditions: { ready: true } }],
  }) as unknown as KubeObject;

beforeAll(async () => {
  other = await otherServer();
  const store = await openStore({ engine: memoryEngine(), clock: systemClock });
  aggregator = new Aggregator({
    reader: storeReader(store),
    follow: (resource, apply) => followChanges(store, resource, store.revision, apply),
    clock: systemClock,
    logger: silentLogger,
    client: () => other.client,
    services: { resolve: () => ({ host: '127.0.0.1', port: other.port }) },
  });
  t = await testServer({ store, aggregator });
  aggregator.keepWritten(t.admin, {
    list: () => [
      { group: '', version: 'v1', custom: false },
      { group: 'apps', version: 'v1', custom: false },
    ],
    changed: () => () => {},
  });
  const made = {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: 'v1beta1.metrics.k8s.io' },
    spec: {
      group: 'metrics.k8s.io',
      version: 'v1beta1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      service: { namespace: 'kube-system', name: 'metrics', port: 443 },
      caBundle: Buffer.from(other.ca).toString('base64'),
    },
  };
  await t.admin.create(APIServices, made as never);
});
afterAll(async () => {
  aggregator.close();
  await t.close();
  other.server.closeAllConnections();
  await new Promise((resolve) => other.server.close(resolve));
});

test('an APIService stands as its Service does, and is answered 503 until the server answers', async () => {
  await until(async () => (await standing())?.reason === 'ServiceNotFound');
  expect(await standing()).toMatchObject({
    type: 'Available',
    status: 'False',
    message: 'service/metrics in "kube-system" is not present',
  });
  const refused = await t.request('GET', '/apis/metrics.k8s.io/v1beta1/nodes');
  expect(refused.status).toBe(503);
  expect(refused.json().message).toContain('is not present');
  const stale = await t.request('GET', '/apis', {
    headers: { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' },
  });
  expect(stale.text()).toContain('"freshness":"Stale"');

  await t.admin.create(Services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'kube-system', name: 'metrics' },
    spec: { ports: [{ name: 'https', port: 443 }] },
  } as never);
  await until(async () => (await standing())?.reason === 'EndpointsNotFound');
  await t.admin.create(EndpointSlices, slice() as never);
  await until(async () => (await standing())?.status === 'True');
  expect(await standing()).toMatchObject({ reason: 'Passed', message: 'all checks passed' });
});

test('requests are passed on as their caller’s, by the front proxy’s certificate, and without credentials', async () => {
  other.seen.length = 0;
  const answer = await t.request('POST', '/apis/metrics.k8s.io/v1beta1/nodes?dryRun=All', {
    headers: {
      'x-remote-user': 'root',
      'x-remote-extra-scopes': 'all',
      'impersonate-user': 'ann',
      'impersonate-group': 'system:masters',
    },
    body: { a: 1 },
  });
  expect([answer.status, answer.headers['x-from'], answer.json()]).toEqual([
    200,
    'metrics',
    { kind: 'NodeMetricsList', items: [] },
  ]);
  const [asked] = other.seen;
  expect(asked).toMatchObject({
    method: 'POST',
    url: '/apis/metrics.k8s.io/v1beta1/nodes?dryRun=All',
    body: '{"a":1}',
    commonName: 'front-proxy-client',
  });
  expect(asked!.headers).toMatchObject({
    'x-remote-user': 'ann',
    'x-remote-group': 'system:masters, system:authenticated',
  });
  for (const name of ['authorization', 'impersonate-user', 'x-remote-extra-scopes'])
    expect(asked!.headers).not.toHaveProperty(name);
});

test('its groups stand in discovery and OpenAPI beside those of this server', async () => {
  const groups = (await t.request('GET', '/apis')).text();
  expect(groups).toContain('"preferredVersion":{"groupVersion":"metrics.k8s.io/v1beta1","version":"v1beta1"}');
  expect(groups).toContain('"name":"apps"');
  expect((await t.request('GET', '/apis/metrics.k8s.io')).json()).toMatchObject({
    kind: 'APIGroup',
    name: 'metrics.k8s.io',
  });
  expect((await t.request('GET', '/apis/metrics.k8s.io/v1beta1')).json()).toMatchObject({ kind: 'APIResourceList' });
  const v2 = await t.request('GET', '/apis', {
    headers: { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' },
  });
  const items = JSON.parse(v2.text()).items as { metadata: { name: string }; versions: object[] }[];
  expect(items.find((i) => i.metadata.name === 'metrics.k8s.io')!.versions).toEqual([
    {
      version: 'v1beta1',
      freshness: 'Current',
      resources: [
        {
          resource: 'nodes',
          scope: 'Cluster',
          singularResource: 'node',
          verbs: ['get', 'list'],
          responseKind: { group: 'metrics.k8s.io', version: 'v1beta1', kind: 'NodeMetrics' },
          subresources: [
            {
              subresource: 'raw',
              verbs: ['get'],
              responseKind: { group: 'metrics.k8s.io', version: 'v1beta1', kind: 'NodeMetrics' },
            },
          ],
        },
      ],
    },
  ]);
  const index = (await t.request('GET', '/openapi/v3')).json();
  expect(index.paths['apis/metrics.k8s.io/v1beta1']).toEqual({
    serverRelativeURL: '/openapi/v3/apis/metrics.k8s.io/v1beta1?hash=AB',
  });
  const whole = JSON.parse((await t.request('GET', '/openapi/v2')).text()) as { paths: object; definitions: object };
  expect(whole.paths).toHaveProperty(['/apis/metrics.k8s.io/v1beta1/nodes']);
  expect(whole.paths).toHaveProperty(['/apis/apps/v1/deployments']);
  expect(whole.paths).not.toHaveProperty(['/apis/evil/v1/x']);
  expect(whole.definitions).toHaveProperty(['io.k8s.metrics.NodeMetrics']);
});

test('upgrades are passed through', async () => {
  const { port } = new URL(t.server.url);
  const socket = tls.connect({
    port: Number(port),
    host: '127.0.0.1',
    ca: testTls.clientCa,
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['http/1.1'],
  });
  socket.write(
    'GET /apis/metrics.k8s.io/v1beta1/nodes/x/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
  );
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await until(() => text.includes('\r\n\r\n'));
  expect(text).toMatch(/^HTTP\/1\.1 101 /);
  socket.write('hello');
  await until(() => text.endsWith('hello'));
  socket.destroy();
});

test('what this server answers itself has an APIService, too; a server that goes is noticed', async () => {
  await until(async () => (await t.admin.list(APIServices)).items.every((o) => o.status?.conditions));
  const all = (await t.admin.list(APIServices)).items;
  expect(all.map((o) => o.metadata.name)).toEqual(['v1.', 'v1.apps', 'v1beta1.metrics.k8s.io']);
  expect(all[1]!.status!.conditions).toMatchObject([{ type: 'Available', status: 'True', reason: 'Local' }]);
  await t.admin.delete(EndpointSlices, { namespace: 'kube-system', name: 'metrics-1' });
  await until(async () => (await standing())?.reason === 'EndpointsNotFound');
  expect((await t.request('GET', '/apis/metrics.k8s.io/v1beta1/nodes')).status).toBe(503);
  await t.admin.delete(APIServices, { name: 'v1beta1.metrics.k8s.io' });
  await until(async () => (await t.request('GET', '/apis/metrics.k8s.io/v1beta1/nodes')).status === 404);
});

test('what is no header character is percent-encoded', () => {
  expect(remoteUserHeaders({ name: 'a', uid: '1', groups: [], extra: { 'Acme.com/Projekt Ü': ['x', 'y'] } })).toEqual({
    'x-remote-user': 'a',
    'x-remote-uid': '1',
    'x-remote-extra-acme.com%2fprojekt%20%c3%bc': ['x', 'y'],
  });
  expect(localApiService('', 'v1', false)).toMatchObject({
    metadata: { name: 'v1.' },
    spec: { groupPriorityMinimum: 18000, versionPriority: 1 },
  });
});
