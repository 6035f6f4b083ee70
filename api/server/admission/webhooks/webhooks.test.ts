import type { KubeObject, StatusError } from '@trimtab/machinery';
import fc from 'fast-check';
import WebSocket from 'ws';
import { cluster as makeCluster, message, podSpec, pods, type } from '../../bootstrap/testing.js';
import { testServer } from '../../http/testing.js';
import { type Reply, type TestWebhook, testWebhook } from '../../webhook/testing.js';

const group = 'admissionregistration.k8s.io';
const mutatingConfigurations = type(group, 'MutatingWebhookConfiguration', 'mutatingwebhookconfigurations', false);
const validatingConfigurations = type(
  group,
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
  false,
);
const maps = type('', 'ConfigMap', 'configmaps');
const namespaces = type('', 'Namespace', 'namespaces', false);
const deployments = type('apps', 'Deployment', 'deployments');
const scalers = type('autoscaling', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers', true, 'v2');

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Request {
  readonly uid: string;
  readonly name: string;
  readonly operation: string;
  readonly object: KubeObject & Record<string, never>;
  readonly oldObject: KubeObject | null;
  readonly [field: string]: unknown;
}
type Decide = (request: Request) => object | Promise<object> | string;

async function setUp() {
  const made = await makeCluster();
  closing.push(() => made.security.close());
  return made;
}
type Cluster = Awaited<ReturnType<typeof setUp>>;

/** A webhook that answers what `decide` gives as `response`, its uid filled in. */
async function hook(decide: Decide): Promise<TestWebhook & { readonly requests: () => readonly Request[] }> {
  const server = await testWebhook(async ({ body }): Promise<Reply> => {
    const request = body.request as Request;
    const response = await decide(request);
    if (typeof response === 'string') return response as Reply;
    if ('raw' in response) return response.raw as Reply;
    return { apiVersion: body.apiVersion, kind: body.kind, response: { uid: request.uid, ...response } };
  });
  closing.push(() => server.close());
  return { ...server, requests: () => server.received.map(({ body }) => body.request as Request) };
}

const patch = (...operations: object[]) => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});
const deny = (text?: string, more: object = {}) => ({
  allowed: false,
  ...(text ? { status: { message: text, ...more } } : {}),
});
const rule = (resource: string, operations: string[] = ['CREATE'], apiGroup = '', version = 'v1') => ({
  operations,
  apiGroups: [apiGroup],
  apiVersions: [version],
  resources: [resource],
});
const webhook = (name: string, server: Pick<TestWebhook, 'url' | 'caBundle'>, more: object = {}) => ({
  name,
  clientConfig: { url: `${server.url}/${name}`, caBundle: server.caBundle },
  rules: [rule('configmaps')],
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
  ...more,
});
const register = ({ make }: Cluster, kind: typeof mutatingConfigurations, name: string, ...webhooks: object[]) =>
  make(kind, name, { webhooks });

const stored = async ({ root }: Cluster, name: string) =>
  (await root.get(maps, { namespace: 'default', name })) as KubeObject & { data?: Record<string, string> };

describe('[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin]', () => {
  test('should mutate configmap [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(({ object }) => {
      const data = (object as unknown as { data: Record<string, string> }).data;
      if (data['mutation-start'] === 'yes' && !data['mutation-stage-1'])
        return patch({ op: 'add', path: '/data/mutation-stage-1', value: 'yes' });
      if (data['mutation-stage-1'] === 'yes') return patch({ op: 'add', path: '/data/mutation-stage-2', value: 'yes' });
      return { allowed: true };
    });
    await register(
      c,
      mutatingConfigurations,
      'stages',
      webhook('a.stage.example', server),
      webhook('b.stage.example', server),
    );
    await c.make(maps, 'm', { data: { 'mutation-start': 'yes' } });
    const map = await stored(c, 'm');
    expect(map.data).toEqual({ 'mutation-start': 'yes', 'mutation-stage-1': 'yes', 'mutation-stage-2': 'yes' });
    const owned = JSON.stringify(map.metadata.managedFields);
    expect(owned).toContain('f:mutation-start');
    expect(owned).not.toContain('f:mutation-stage-2');
    expect(server.received.map(({ path }) => path)).toEqual([
      '/a.stage.example?timeout=10s',
      '/b.stage.example?timeout=10s',
    ]);
  });

  test('should mutate pod and apply defaults after mutation [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(() =>
      patch({
        op: 'add',
        path: '/spec/initContainers',
        value: [{ image: 'webhook:1', name: 'added', resources: {}, surprise: 1 }],
      }),
    );
    await register(c, mutatingConfigurations, 'init', webhook('init.pods.example', server, { rules: [rule('pods')] }));
    const { spec } = await c.make(pods, 'p', podSpec);
    expect(spec.initContainers).toEqual([
      expect.objectContaining({
        name: 'added',
        imagePullPolicy: 'IfNotPresent',
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
      }),
    ]);
    expect(spec.initContainers).toEqual([expect.not.objectContaining({ surprise: 1 })]);
  });

  test('should be able to deny pod and configmap creation [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(({ object, operation }) => {
      if (object?.metadata.name === 'hang') return 'never';
      if (operation === 'CREATE' && object.kind === 'Pod') return deny('the pod contains unwanted container name');
      const data = (object as unknown as { data?: Record<string, string> }).data;
      return data?.['webhook-e2e-test'] === 'webhook-disallow'
        ? deny('the configmap contains unwanted key and value')
        : { allowed: true };
    });
    await register(
      c,
      validatingConfigurations,
      'deny',
      webhook('deny-pods.example.com', server, { rules: [rule('pods')] }),
      webhook('deny-maps.example.com', server, {
        rules: [rule('configmaps', ['CREATE', 'UPDATE', 'DELETE'])],
        namespaceSelector: { matchExpressions: [{ key: 'skip', operator: 'NotIn', values: ['yes'] }] },
      }),
    );
    expect(await message(c.make(pods, 'p', podSpec))).toBe(
      'admission webhook "deny-pods.example.com" denied the request: the pod contains unwanted container name',
    );
    const bad = { data: { 'webhook-e2e-test': 'webhook-disallow' } };
    const denied =
      'admission webhook "deny-maps.example.com" denied the request: the configmap contains unwanted key and value';
    expect(await message(c.make(maps, 'm', bad))).toBe(denied);
    await c.make(maps, 'm', { data: { fine: 'yes' } });
    expect(await message(c.root.patch(maps, { namespace: 'default', name: 'm' }, { type: 'merge', body: bad }))).toBe(
      denied,
    );
    expect((await stored(c, 'm')).data).toEqual({ fine: 'yes' });
    await c.make(namespaces, 'open', { metadata: { name: 'open', labels: { skip: 'yes' } } });
    expect(await message(c.make(maps, 'm', bad, 'open'))).toBe('');
  });

  test('should be able to deny attaching pod [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(({ object }) =>
      object.kind === 'PodPortForwardOptions' ? { allowed: true } : deny('attaching to pod is not allowed'),
    );
    const rules = [rule('pods/attach', ['CONNECT']), rule('pods/proxy', ['CONNECT'])];
    await register(c, validatingConfigurations, 'attach', webhook('deny-attaching-pod.k8s.io', server, { rules }));
    await c.make(pods, 'p', podSpec);
    const http = await testServer({ store: c.store, admission: c.security.admission });
    closing.push(() => http.server.close());
    const path = '/api/v1/namespaces/default/pods/p';
    const socket = new WebSocket(`${http.server.url}${path}/attach?stdout=1`, 'v4.channel.k8s.io', {
      rejectUnauthorized: false,
      headers: { authorization: 'Bearer admin' },
    });
    const refused = await new Promise<{ statusCode?: number }>((resolve) => {
      socket.once('unexpected-response', (_request, response) => resolve(response));
      socket.on('error', () => {});
    });
    socket.terminate();
    expect(refused.statusCode).toBe(400);
    expect(server.requests()[0]).toMatchObject({
      operation: 'CONNECT',
      kind: { kind: 'PodAttachOptions' },
      resource: { resource: 'pods' },
      subResource: 'attach',
      object: { kind: 'PodAttachOptions', apiVersion: 'v1', stdout: true, container: 'c' },
      oldObject: null,
      options: null,
    });
    const proxied = await http.request('GET', `${path}/proxy/health`);
    expect(proxied.json().message).toBe(
      'admission webhook "deny-attaching-pod.k8s.io" denied the request: attaching to pod is not allowed',
    );
    expect(server.requests()[1]).toMatchObject({ object: { kind: 'PodProxyOptions', path: '/health' } });
  });

  test('should unconditionally reject operations on fail closed webhook [Conformance]', async () => {
    const c = await setUp();
    const nobody = { url: 'https://127.0.0.1:1', caBundle: '' };
    await register(c, validatingConfigurations, 'closed', webhook('fail-closed.k8s.io', nobody));
    const refused = (await c.make(maps, 'm').catch((error: unknown) => error)) as StatusError;
    expect(refused.status).toMatchObject({
      code: 500,
      reason: 'InternalError',
      message:
        'Internal error occurred: failed calling webhook "fail-closed.k8s.io": failed to call webhook: Post "https://127.0.0.1:1/fail-closed.k8s.io?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused',
    });
    expect(await message(stored(c, 'm'))).toContain('not found');
  });

  test('should not be able to mutate or prevent deletion of webhook configuration objects [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(() => deny('no'));
    const all = { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }] };
    await register(c, validatingConfigurations, 'all', webhook('all.example.com', server, all));
    await register(c, mutatingConfigurations, 'all', webhook('all.example.com', server, all));
    await register(
      c,
      mutatingConfigurations,
      'dummy',
      webhook('dummy.example.com', server, { rules: [rule('nothing')] }),
    );
    expect(await message(c.root.delete(mutatingConfigurations, { name: 'dummy' }))).toBe('');
    expect(server.received).toHaveLength(0);
    expect(await message(c.make(maps, 'm'))).toContain('denied the request: no');
  });

  test('should honor timeout [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(() => 'never');
    const slow = (failurePolicy: string, path: string) =>
      webhook('allow-configmap-with-delay-webhook.k8s.io', server, {
        timeoutSeconds: 1,
        failurePolicy,
        objectSelector: { matchLabels: { policy: path } },
      });
    await register(c, validatingConfigurations, 'slow', slow('Fail', 'fail'));
    await register(c, validatingConfigurations, 'slow-ignored', slow('Ignore', 'ignore'));
    const labelled = (policy: string) =>
      message(c.make(maps, policy, { metadata: { name: policy, namespace: 'default', labels: { policy } } }));
    const [fail, ignore] = await Promise.all([labelled('fail'), labelled('ignore')]);
    expect(fail).toMatch(/failed calling webhook .*\?timeout=1s": context deadline exceeded$/);
    expect(ignore).toBe('');
  });

  test('patching/updating a validating webhook should work [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(() => deny('no'));
    await register(c, validatingConfigurations, 'v', webhook('v.example.com', server));
    expect(await message(c.make(maps, 'm'))).toContain('denied');
    const operations = (value: string[]) =>
      c.root.patch(
        validatingConfigurations,
        { name: 'v' },
        {
          type: 'json',
          body: [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value }],
        },
      );
    await operations(['UPDATE']);
    expect(await message(c.make(maps, 'm'))).toBe('');
    await operations(['CREATE']);
    expect(await message(c.make(maps, 'n'))).toContain('denied');
  });

  test('listing mutating webhooks should work [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(() => patch({ op: 'add', path: '/data', value: { mutated: 'yes' } }));
    for (const name of ['a', 'b'])
      await c.make(mutatingConfigurations, name, {
        metadata: { name, labels: { test: 'one' } },
        webhooks: [webhook(`${name}.example.com`, server)],
      });
    expect((await c.root.list(mutatingConfigurations, { labelSelector: 'test=one' })).items).toHaveLength(2);
    expect((await c.make(maps, 'm')) as object).toMatchObject({ data: { mutated: 'yes' } });
    await c.root.deleteCollection(mutatingConfigurations, { labelSelector: 'test=one' });
    expect((await c.make(maps, 'n')) as object).not.toHaveProperty('data');
  });

  test('should include webhook resources in discovery documents [Conformance]', async () => {
    const c = await setUp();
    const http = await testServer({ store: c.store });
    closing.push(() => http.server.close());
    const text = (path: string) => http.request('GET', path).then((answer) => answer.text());
    expect(await text('/apis')).toContain('"name":"admissionregistration.k8s.io"');
    expect(await text('/apis/admissionregistration.k8s.io')).toContain('admissionregistration.k8s.io/v1');
    const resources = await text('/apis/admissionregistration.k8s.io/v1');
    for (const name of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'])
      expect(resources).toContain(`"name":"${name}"`);
  });

  test('patching/updating a mutating webhook should work [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(() => patch({ op: 'add', path: '/data', value: { mutated: 'yes' } }));
    const made = await register(c, mutatingConfigurations, 'm', webhook('m.example.com', server));
    const [first] = (made as unknown as { webhooks: readonly object[] }).webhooks;
    await c.root.update(mutatingConfigurations, {
      ...made,
      webhooks: [{ ...first, rules: [rule('configmaps', ['UPDATE'])] }],
    } as KubeObject);
    expect(await c.make(maps, 'a')).not.toHaveProperty('data');
    await c.root.patch(
      mutatingConfigurations,
      { name: 'm' },
      { type: 'json', body: [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['CREATE'] }] },
    );
    expect(await c.make(maps, 'b')).toMatchObject({ data: { mutated: 'yes' } });
  });

  test('listing validating webhooks should work [Conformance]', async () => {
    const c = await setUp();
    const server = await hook(() => deny('no'));
    for (const name of ['a', 'b'])
      await c.make(validatingConfigurations, name, {
        metadata: { name, labels: { test: 'one' } },
        webhooks: [webhook(`${name}.example.com`, server)],
      });
    expect((await c.root.list(validatingConfigurations, { labelSelector: 'test=one' })).items).toHaveLength(2);
    expect(await message(c.make(maps, 'm'))).toContain('admission webhook "a.example.com" denied');
    await c.root.deleteCollection(validatingConfigurations, { labelSelector: 'test=one' });
    expect(await message(c.make(maps, 'm'))).toBe('');
  });

  for (const [kind, what] of [
    [validatingConfigurations, 'validating'],
    [mutatingConfigurations, 'mutating'],
  ] as const) {
    const conditioned = (expression: string) => ({
      ...webhook('c.example.com', { url: 'https://127.0.0.1:1', caBundle: '' }),
      matchConditions: [{ name: 'expression-1', expression }],
    });

    test(`should be able to create and update ${what} webhook configurations with match conditions [Conformance]`, async () => {
      const c = await setUp();
      const made = await register(c, kind, 'c', conditioned("object.metadata.namespace == 'production'"));
      const [first] = (made as unknown as { webhooks: readonly object[] }).webhooks;
      const matchConditions = [
        { name: 'expression-1', expression: "object.metadata.namespace == 'production'" },
        { name: 'expression-2', expression: "object.metadata.namespace == 'staging'" },
      ];
      const updated = await c.root.update(kind, { ...made, webhooks: [{ ...first, matchConditions }] } as KubeObject);
      expect(updated).toMatchObject({ webhooks: [{ matchConditions }] });
    });

    test(`should reject ${what} webhook configurations with invalid match conditions [Conformance]`, async () => {
      const c = await setUp();
      expect(await message(register(c, kind, 'c', conditioned('... [] bad expression')))).toContain(
        'webhooks[0].matchConditions[0].expression: Invalid value: "... [] bad expression": compilation failed: ERROR: <input>:1:1: Syntax error',
      );
    });
  }

  test("should mutate everything except 'skip-me' configmaps [Conformance]", async () => {
    const c = await setUp();
    const server = await hook(() => patch({ op: 'add', path: '/data/mutation-stage-1', value: 'yes' }));
    const matchConditions = [{ name: 'exclude-skip', expression: 'object.metadata.name != "skip-me"' }];
    await register(c, mutatingConfigurations, 'm', webhook('m.example.com', server, { matchConditions }));
    expect(await c.make(maps, 'skip-me', { data: { a: 'b' } })).toMatchObject({ data: { a: 'b' } });
    expect(server.received).toHaveLength(0);
    expect(await c.make(maps, 'mutate-me', { data: { a: 'b' } })).toMatchObject({
      data: { a: 'b', 'mutation-stage-1': 'yes' },
    });
  });
});

describe('an admission webhook', () => {
  test('is told everything there is to know', async () => {
    const c = await setUp();
    const server = await hook(() => ({ allowed: true, warnings: ['mind the gap'] }));
    const rules = [rule('configmaps', ['CREATE', 'UPDATE', 'DELETE'])];
    await register(c, validatingConfigurations, 'v', webhook('v.example.com', server, { rules }));
    const made = await c.make(maps, 'm', { data: { a: '1' } });
    await c.root.update(maps, { ...made, data: { a: '2' } } as KubeObject, { fieldManager: 'me' });
    await c.root.delete(maps, { namespace: 'default', name: 'm' }, { propagationPolicy: 'Background' });
    const [create, update, remove] = server.requests();
    expect(server.received[0]!.body).toMatchObject({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1' });
    const gvk = { group: '', version: 'v1', kind: 'ConfigMap' };
    const gvr = { group: '', version: 'v1', resource: 'configmaps' };
    expect(create).toMatchObject({
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      kind: gvk,
      resource: gvr,
      requestKind: gvk,
      requestResource: gvr,
      name: 'm',
      namespace: 'default',
      operation: 'CREATE',
      userInfo: { username: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] },
      object: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'm', uid: expect.any(String) },
        data: { a: '1' },
      },
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' },
    });
    expect(update).toMatchObject({
      operation: 'UPDATE',
      object: { data: { a: '2' } },
      oldObject: { kind: 'ConfigMap', data: { a: '1' } },
      options: { kind: 'UpdateOptions', fieldManager: 'me' },
    });
    expect(remove).toMatchObject({
      operation: 'DELETE',
      object: null,
      oldObject: { data: { a: '2' } },
      options: { kind: 'DeleteOptions', propagationPolicy: 'Background' },
    });
  });

  test('sees each object of a collection, and the version its rule names', async () => {
    const c = await setUp();
    const server = await hook(({ name }) => (name === 'kept' ? deny('stays') : { allowed: true }));
    await register(
      c,
      validatingConfigurations,
      'v',
      webhook('v.example.com', server, { rules: [rule('configmaps', ['DELETE'])] }),
    );
    for (const name of ['a', 'b', 'kept'])
      await c.make(maps, name, { metadata: { name, namespace: 'default', labels: { x: 'y' } } });
    expect(await message(c.root.deleteCollection(maps, { namespace: 'default', labelSelector: 'x=y' }))).toContain(
      'stays',
    );
    expect(new Set(server.requests().map(({ name }) => name))).toEqual(new Set(['a', 'b', 'kept']));

    const old = await hook(() => patch({ op: 'replace', path: '/spec/targetCPUUtilizationPercentage', value: 70 }));
    const v1 = rule('horizontalpodautoscalers', ['CREATE'], 'autoscaling', 'v1');
    await register(c, mutatingConfigurations, 'h', webhook('h.example.com', old, { rules: [v1] }));
    const spec = {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' },
      maxReplicas: 3,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      ],
    };
    const scaler = await c.make(scalers, 's', { spec });
    expect(old.requests()[0]).toMatchObject({
      kind: { group: 'autoscaling', version: 'v1' },
      requestKind: { version: 'v2' },
      object: { apiVersion: 'autoscaling/v1', spec: { targetCPUUtilizationPercentage: 50 } },
    });
    expect(scaler).toMatchObject({
      apiVersion: 'autoscaling/v2',
      spec: { metrics: [{ resource: { target: { averageUtilization: 70 } } }] },
    });
    await register(
      c,
      mutatingConfigurations,
      'h2',
      webhook('h2.example.com', old, { rules: [v1], matchPolicy: 'Exact' }),
    );
    await c.make(scalers, 's2', { spec });
    expect(old.requests()).toHaveLength(2);
  });

  test('of a subresource gets the subresource’s own object', async () => {
    const c = await setUp();
    const server = await hook(() => patch({ op: 'replace', path: '/spec/replicas', value: 2 }));
    await register(
      c,
      mutatingConfigurations,
      's',
      webhook('s.example.com', server, { rules: [rule('*/scale', ['*'], 'apps')] }),
    );
    await c.make(deployments, 'd', {
      spec: { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, ...podSpec } },
    });
    expect(server.received).toHaveLength(0);
    await c.root.patch(
      deployments,
      { namespace: 'default', name: 'd' },
      { type: 'merge', body: { spec: { replicas: 9 } } },
      { subresource: 'scale' },
    );
    expect(server.requests()[0]).toMatchObject({
      kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
      subResource: 'scale',
      requestSubResource: 'scale',
      object: { kind: 'Scale', spec: { replicas: 9 } },
    });
    expect(await c.root.get(deployments, { namespace: 'default', name: 'd' })).toMatchObject({ spec: { replicas: 2 } });
  });

  test('of evictions is asked before the budget is used', async () => {
    const c = await setUp();
    const server = await hook(() => deny('not now'));
    await register(
      c,
      validatingConfigurations,
      'e',
      webhook('e.example.com', server, { rules: [rule('pods/eviction', ['CREATE'])] }),
    );
    await c.make(pods, 'p', podSpec);
    const key = { namespace: 'default', name: 'p' };
    const evict = c.root.subresource(pods, key, 'eviction', 'create', { metadata: key });
    expect(await message(evict)).toBe('admission webhook "e.example.com" denied the request: not now');
    expect(server.requests()[0]).toMatchObject({
      kind: { group: 'policy', version: 'v1', kind: 'Eviction' },
      resource: { resource: 'pods' },
      subResource: 'eviction',
      object: { kind: 'Eviction', metadata: { name: 'p' } },
    });
    expect((await c.root.get(pods, key)).metadata.deletionTimestamp).toBeUndefined();
  });

  test('is asked again only when it asked for that and others have changed the object since', async () => {
    const c = await setUp();
    const seen: string[] = [];
    const server = await hook(({ object }) => {
      const data = (object as unknown as { data?: Record<string, string> }).data ?? {};
      seen.push(Object.keys(data).sort().join('+'));
      return { allowed: true };
    });
    const adds = await hook(() => patch({ op: 'add', path: '/data/b', value: '1' }));
    await register(
      c,
      mutatingConfigurations,
      'c',
      webhook('a.example.com', server, { reinvocationPolicy: 'IfNeeded' }),
      webhook('b.example.com', adds),
    );
    await c.make(maps, 'm', { data: { a: '1' } });
    expect(seen).toEqual(['a', 'a+b']);
    expect(adds.received).toHaveLength(1);
  });

  test('denies with its own code and reason, and can only deny a deletion, not change it', async () => {
    const c = await setUp();
    const server = await hook(({ name, operation }) =>
      operation === 'DELETE'
        ? patch({ op: 'add', path: '/data', value: {} })
        : name === 'quiet'
          ? deny()
          : deny('', { code: 429, reason: 'TooManyRequests', details: { retryAfterSeconds: 3 } }),
    );
    await register(
      c,
      mutatingConfigurations,
      'c',
      webhook('c.example.com', server, {
        rules: [rule('configmaps', ['*'])],
        objectSelector: { matchLabels: { watched: 'yes' } },
      }),
    );
    const watched = (name: string) => ({ metadata: { name, namespace: 'default', labels: { watched: 'yes' } } });
    expect(await message(c.make(maps, 'quiet', watched('quiet')))).toBe(
      'admission webhook "c.example.com" denied the request without explanation',
    );
    const loud = (await c.make(maps, 'loud', watched('loud')).catch((error: unknown) => error)) as StatusError;
    expect(loud.status).toMatchObject({
      code: 400,
      message: 'admission webhook "c.example.com" denied the request without explanation',
    });
    await c.make(maps, 'free');
    expect(server.received).toHaveLength(2);
  });

  test('with side effects refuses dry runs; without, it is told', async () => {
    const c = await setUp();
    const server = await hook(() => ({ allowed: true }));
    await register(c, validatingConfigurations, 'v', webhook('v.example.com', server, { sideEffects: 'NoneOnDryRun' }));
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', namespace: 'default' } };
    await c.root.create(maps, map, { dryRun: true });
    expect(server.requests()[0]).toMatchObject({ dryRun: true, options: { dryRun: ['All'] } });
    expect(await message(stored(c, 'm'))).toContain('not found');
  });

  test('whose answer is none is told of by what is wrong with it', async () => {
    const c = await setUp();
    let response: object = {};
    const server = await hook(() => response);
    await register(c, mutatingConfigurations, 'v', webhook('v.example.com', server));
    const text = async (given: object) => {
      response = given;
      return (await message(c.make(maps, 'm'))).replace(
        'Internal error occurred: failed calling webhook "v.example.com": ',
        '',
      );
    };
    const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' };
    expect(await text({ raw: review })).toBe('received invalid webhook response: webhook response was absent');
    expect(await text({ uid: 'x', allowed: true })).toMatch(
      /^received invalid webhook response: expected response.uid="[0-9a-f-]+", got "x"$/,
    );
    expect(await text({ allowed: true, patch: 'W10=' })).toBe(
      'received invalid webhook response: webhook returned response.patch but not response.patchType',
    );
    expect(await text({ allowed: true, patchType: 'JSONPatch' })).toBe(
      'received invalid webhook response: webhook returned response.patchType but not response.patch',
    );
    expect(await text({ allowed: true, patchType: 'Full', patch: 'W10=' })).toBe('unsupported patch type "Full"');
    expect(await text(patch({ op: 'remove', path: '/nothing/there' }))).toMatch(/^Internal error occurred: /);
    expect(await text({ raw: { status: 503, text: '' } })).toBe(
      'failed to call webhook: the server is currently unable to handle the request',
    );
    expect(await message(stored(c, 'm'))).toContain('not found');
  });

  test('configuration is refused with all that is wrong', async () => {
    const c = await setUp();
    const bad = {
      name: 'short',
      clientConfig: {},
      rules: [
        {
          operations: ['*', 'CREATE'],
          apiGroups: [],
          apiVersions: ['v1'],
          resources: ['*', 'pods', 'pods/*', 'pods/log'],
          scope: 'Some',
        },
      ],
      sideEffects: 'Many',
      failurePolicy: 'Maybe',
      timeoutSeconds: 31,
      admissionReviewVersions: ['v9'],
      matchConditions: [{ name: '', expression: '' }],
    };
    const text = await message(c.make(validatingConfigurations, 'bad', { webhooks: [bad] }));
    for (const part of [
      'webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots',
      'webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
      'webhooks[0].rules[0].apiGroups: Required value',
      'webhooks[0].rules[0].resources[3]: Invalid value: "pods/log": if \'pods/*\' is present, must not specify pods/log',
      'webhooks[0].rules[0].resources: Invalid value: ["*","pods","pods/*","pods/log"]: if \'*\' is present, must not specify other resources without subresources',
      'webhooks[0].rules[0].scope: Unsupported value: "Some": supported values: "*", "Cluster", "Namespaced"',
      'webhooks[0].failurePolicy: Unsupported value: "Maybe": supported values: "Fail", "Ignore"',
      'webhooks[0].sideEffects: Unsupported value: "Many": supported values: "None", "NoneOnDryRun"',
      'webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds',
      'webhooks[0].clientConfig: Required value: exactly one of url or service is required',
      'webhooks[0].admissionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1',
      'webhooks[0].matchConditions[0].expression: Required value',
      'webhooks[0].matchConditions[0].name: Required value',
    ])
      expect(text).toContain(part);
  });
});

describe('match conditions', () => {
  test('that cannot be evaluated refuse or pass over, by the failure policy; one that is false decides', async () => {
    const c = await setUp();
    const server = await hook(() => deny('asked'));
    const conditions = (failurePolicy: string, ...expressions: string[]) =>
      webhook('m.example.com', server, {
        failurePolicy,
        matchConditions: expressions.map((expression, i) => ({ name: `c${i}`, expression })),
      });
    const tried = async (given: object) => {
      await register(c, validatingConfigurations, 'v', given);
      const text = await message(c.make(maps, 'm'));
      await c.root.delete(validatingConfigurations, { name: 'v' });
      if (text === '') await c.root.delete(maps, { namespace: 'default', name: 'm' });
      return text;
    };
    expect(await tried(conditions('Fail', 'object.missing == 1'))).toBe(
      `configmaps "m" is forbidden: expression 'object.missing == 1' resulted in error: no such key: missing`,
    );
    expect(await tried(conditions('Ignore', 'object.missing == 1'))).toBe('');
    expect(await tried(conditions('Fail', 'object.missing == 1', 'false'))).toBe('');
    expect(await tried(conditions('Fail', "request.userInfo.username == 'nobody'"))).toBe('');
    expect(
      await tried(conditions('Fail', "authorizer.group('').resource('secrets').check('list').allowed()")),
    ).toContain('denied the request: asked');
    expect(server.received).toHaveLength(1);
  });
});

test('whatever a webhook does, what is refused leaves no trace and what is admitted is stored as answered', async () => {
  const c = await setUp();
  let next: object | string = {};
  const server = await hook(() => next as object);
  const rules = [rule('configmaps', ['CREATE', 'UPDATE', 'DELETE'])];
  await register(
    c,
    mutatingConfigurations,
    'm',
    webhook('m.example.com', server, { rules, reinvocationPolicy: 'IfNeeded' }),
  );
  await register(c, validatingConfigurations, 'v', webhook('v.example.com', server, { rules }));
  const key = { namespace: 'default', name: 'm' };
  const replies = fc.constantFrom<object | string>(
    { allowed: true },
    patch({ op: 'add', path: '/data/added', value: 'x' }),
    patch({ op: 'remove', path: '/data/none' }),
    patch({ op: 'replace', path: '/data', value: 7 }),
    deny('no'),
    'hang up',
    { raw: { status: 500, text: 'x' } },
    { raw: {} },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('create', 'update', 'delete'), replies), { maxLength: 6 }),
      async (steps) => {
        next = { allowed: true };
        await c.root.delete(maps, key).catch(() => {});
        for (const [verb, reply] of steps) {
          const before = await stored(c, 'm').catch(() => undefined);
          const revision = c.store.revision;
          next = reply;
          const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: key, data: { v: String(revision) } };
          const run: Promise<unknown> =
            verb === 'create'
              ? c.root.create(maps, body)
              : verb === 'update'
                ? c.root.update(maps, body)
                : c.root.delete(maps, key);
          const answer = await run.catch((error: StatusError) => error);
          const after = await stored(c, 'm').catch(() => undefined);
          if (answer instanceof Error) {
            expect(after).toEqual(before);
            expect(c.store.revision).toBe(revision);
          } else if (verb === 'delete') expect(after).toBeUndefined();
          else expect(after).toEqual(answer);
        }
      },
    ),
    { numRuns: 25, seed: 11 },
  );
});
