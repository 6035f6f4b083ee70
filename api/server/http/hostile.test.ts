import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import { silentLogger, systemRandom, VirtualClock } from '@trimtab/machinery';
import { memoryEngine, openStore } from '@trimtab/store';
import { bootstrapCluster } from '../bootstrap/bootstrap.js';
import { componentUsers, createClusterSecurity } from '../bootstrap/cluster-security.js';
import { builtinKinds } from '../registry/builtin-kinds.js';
import { createApiServer } from '../server.js';
import { type Answer, send, testTls } from './testing.js';

/** A server guarded as a cluster's is: everybody in these tests is somebody with few rights who wants more. */
async function guarded() {
  const clock = new VirtualClock();
  const store = await openStore({ engine: memoryEngine(), clock });
  const parts = { store, clock, random: systemRandom };
  const users = ['owner', 'reader', 'maker', 'root'].map((name) => [name, name] as const);
  const security = createClusterSecurity({
    ...parts,
    serviceAccountKey: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
    serviceCIDR: '10.96.0.0/16',
  });
  const server = await createApiServer({
    ...parts,
    logger: silentLogger,
    kinds: [builtinKinds({ strategies: security.strategies })],
    authenticator: {
      authenticate: async (credentials) => {
        const known = users.find(([token]) => token === credentials.bearerToken);
        if (!known) return security.authenticator.authenticate(credentials);
        return { name: known[1], groups: known[1] === 'root' ? ['system:masters'] : ['system:authenticated'] };
      },
    },
    authorizer: security.authorizer,
    admission: security.admission,
    handlers: security.handlers,
    rawHandlers: security.rawHandlers,
    tls: testTls,
    port: 0,
  });
  const root = server.localClient(componentUsers.apiServer);
  await bootstrapCluster({ client: root, reader: security.reader });
  const session = http2.connect(server.url, { rejectUnauthorized: false });
  const ask = (token: string, method: string, path: string, body?: object | string): Promise<Answer> => {
    const type: Record<string, string> = method === 'PATCH' ? { 'content-type': 'application/merge-patch+json' } : {};
    return send(session, method, path, { headers: { authorization: `Bearer ${token}`, ...type }, body });
  };
  /** A watch of one second, as text; the status where it is refused. */
  const watch = async (token: string, path: string): Promise<string | number> => {
    const separator = path.includes('?') ? '&' : '?';
    const stream = session.request({
      ':path': `${path}${separator}timeoutSeconds=1`,
      authorization: `Bearer ${token}`,
    });
    const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    let body = '';
    stream.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    const ended = once(stream, 'end');
    await clock.advance(1000);
    await ended;
    const status = Number((head as Record<string, unknown>)[':status']);
    return status === 200 ? body : status;
  };
  return {
    server,
    as: ask,
    watch,
    close: async () => {
      session.destroy();
      await server.close();
      security.close();
      await store.close();
    },
  };
}

let api: Awaited<ReturnType<typeof guarded>>;
beforeEach(async () => {
  api = await guarded();
  const role = (kind: string, name: string, rules: object[], namespace?: string) =>
    api.as(
      'root',
      'POST',
      `/apis/rbac.authorization.k8s.io/v1/${namespace ? `namespaces/${namespace}/` : ''}${kind.toLowerCase()}s`,
      { metadata: { name }, rules },
    );
  const bind = (name: string) =>
    api.as('root', 'POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/mine/rolebindings', {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'User', name, apiGroup: 'rbac.authorization.k8s.io' }],
    });
  for (const name of ['mine', 'theirs']) await api.as('root', 'POST', '/api/v1/namespaces', { metadata: { name } });
  for (const name of ['open', 'closed'])
    await api.as('root', 'POST', '/api/v1/namespaces/mine/secrets', { metadata: { name }, stringData: { a: name } });
  await role('Role', 'owner', [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }], 'mine');
  const named = { apiGroups: [''], resources: ['secrets'], resourceNames: ['open'] };
  await role('Role', 'reader', [{ ...named, verbs: ['get', 'list', 'watch'] }], 'mine');
  await role('Role', 'maker', [{ ...named, verbs: ['create', 'patch', 'update'] }], 'mine');
  for (const name of ['owner', 'reader', 'maker']) await bind(name);
});
afterEach(() => api.close());

const secrets = '/api/v1/namespaces/mine/secrets';

test('all rights in one namespace are none over another, however the path is put', async () => {
  expect((await api.as('owner', 'GET', '/api/v1/namespaces/mine')).status).toBe(200);
  for (const [method, path] of [
    ['GET', '/api/v1/namespaces/theirs'],
    ['GET', '/api/v1/namespaces/mine/namespaces/theirs'],
    ['GET', '/api/v1/namespaces/mine/namespaces'],
    ['GET', '/api/v1/watch/namespaces/mine/namespaces?timeoutSeconds=1'],
    ['DELETE', '/api/v1/namespaces/mine/namespaces/theirs'],
    ['DELETE', '/api/v1/namespaces/mine/namespaces'],
    ['GET', '/api/v1/namespaces/mine/nodes'],
    ['GET', '/api/v1/namespaces/mine%2f..%2ftheirs/secrets'],
    ['GET', '/api/v1/namespaces/mine/../theirs/secrets'],
    ['GET', '/api/v1//namespaces/mine/secrets'],
    ['GET', '/api/v1/namespaces//secrets'],
  ] as const) {
    const answer = await api.as('owner', method, path);
    expect([method, path, answer.status >= 400]).toEqual([method, path, true]);
  }
  const patch = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } } };
  expect((await api.as('owner', 'PUT', '/api/v1/namespaces/mine/namespaces/theirs', patch)).status).toBe(404);
  expect((await api.as('root', 'GET', '/api/v1/namespaces/theirs')).json().metadata.name).toBe('theirs');
});

test('the right to one name is the right to that name alone', async () => {
  const watched = async (path: string) => {
    const text = await api.watch('reader', path);
    return typeof text === 'number' ? text : [...text.matchAll(/"name":"(open|closed)"/g)].map((m) => m[1]);
  };
  expect(await watched(`${secrets}?watch=true&fieldSelector=metadata.name%3Dopen`)).toEqual(['open']);
  expect(await watched(`${secrets}/open?watch=true`)).toEqual(['open']);
  expect(await watched(`/api/v1/watch/namespaces/mine/secrets/open`)).toEqual(['open']);
  expect(await watched(`${secrets}/open?watch=true&fieldSelector=metadata.name%3Dclosed`)).toEqual([]);
  expect(await watched(`${secrets}/open?watch=true&fieldSelector=type!%3Dx`)).toEqual(['open']);
  expect(await watched(`/api/v1/watch/namespaces/mine/secrets/open?fieldSelector=type!%3Dx`)).toEqual(['open']);
  expect(await watched(`${secrets}?watch=true`)).toBe(403);
});

test('a write names its object in the body and the path alike', async () => {
  const made = await api.as('maker', 'POST', `${secrets}/open`, { metadata: { name: 'another' } });
  expect(made.status).toBeGreaterThanOrEqual(403);
  for (const method of ['PUT', 'PATCH'])
    expect((await api.as('root', method, secrets, { metadata: { generateName: 'x' } })).status).toBe(405);
  expect((await api.as('root', 'GET', `${secrets}/another`)).status).toBe(404);
});

test('figures grow with what is served, not with what is asked for', async () => {
  const sizes: number[] = [];
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 20; i++) {
      const odd = `${round}-${i}`;
      await api.as('nobody', 'GET', `/apis/g${odd}/v${odd}/r${odd}/n/s${odd}`);
      await api.as('root', `M${odd}`, `/api/v1/namespaces/mine/secrets/open/s${odd}`);
      await api.as('root', 'GET', `/apis/g${odd}/v1/watch/r${odd}`);
    }
    const text = (await api.as('root', 'GET', '/metrics')).text();
    sizes.push(text.split('\n').filter((line) => line !== '').length);
  }
  expect(sizes[1]! - sizes[0]!).toBeLessThan(20);
});

test('names that every object has in JavaScript are names of nothing here', async () => {
  for (const name of ['constructor', '__proto__', 'toString']) {
    expect((await api.as('root', 'GET', `${secrets}/open/${name}`)).status).toBe(404);
    expect((await api.as('root', 'GET', `/apis/${name}/v1/${name}`)).status).toBe(404);
    expect((await api.as('root', name, secrets)).status).toBe(405);
    const body = `{"metadata":{"name":"x-${name.length}","${name}":{"name":"y"}},"${name}":{"data":{}},"stringData":{}}`;
    const made = await api.as('root', 'POST', `${secrets}?fieldValidation=Strict`, body);
    expect([name, made.status, made.json().message]).toEqual([
      name,
      400,
      expect.stringContaining(`unknown field "metadata.${name}", unknown field "${name}"`),
    ]);
    const merged = await api.as('root', 'PATCH', `${secrets}/open`, `{"metadata":{"labels":{"${name}":"a"}}}`);
    expect([name, merged.status]).toEqual([name, name === '__proto__' ? 422 : 200]);
  }
  expect(({} as Record<string, unknown>).name).toBeUndefined();
});

test('a body that is wrong about everything is answered at once, with no more warnings than fit', async () => {
  const fields = Array.from({ length: 50_000 }, (_, i) => `"f${i}":1`).join(',');
  const made = await api.as('root', 'POST', secrets, `{"metadata":{"name":"odd"},${fields}}`);
  expect(made.status).toBe(201);
  expect(made.headers.warning).toContain('unknown field \\"f0\\"');
  expect(String(made.headers.warning).length).toBeLessThan(10_000);
});

test('options of a deletion that are not what they should be are refused, and nothing is deleted', async () => {
  for (const options of [
    { gracePeriodSeconds: 'abc' },
    { gracePeriodSeconds: 1e300 },
    { dryRun: 'All' },
    { dryRun: [7] },
    { preconditions: 7 },
    { orphanDependents: 'no' },
  ]) {
    const answer = await api.as('root', 'DELETE', `${secrets}/open`, options);
    expect([options, answer.status]).toEqual([options, 400]);
  }
  expect((await api.as('root', 'GET', `${secrets}/open`)).status).toBe(200);
  expect((await api.as('root', 'DELETE', `${secrets}/open`, { gracePeriodSeconds: null })).status).toBe(200);
});
