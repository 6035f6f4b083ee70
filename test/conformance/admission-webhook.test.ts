import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster, eventually, FRONTEND, guestbookImages, Place, type Ran, run } from '../e2e/cluster.js';
import { describeReal } from './real-cluster.js';

/**
 * Conformance tests of class W, under their own names: the API server calls a webhook that runs in a pod behind a Service, over TLS.
 * Needs root, kubectl and the guestbook's image. Custom resources are in `custom-resource-admission`.
 */

/** What the suite's own webhook image does, as far as it is asked here. */
const HOOK = `
const deny = (message) => ({ allowed: false, status: { message, code: 403 } });
const patch = (operations) => ({ allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') });
const hooks = {
  '/always-deny': () => deny('this webhook denies all requests'),
  '/slow': () => new Promise((done) => setTimeout(() => done({ allowed: true }), 5000)),
  '/pods': ({ object }) => object.metadata.labels?.['webhook-e2e-test'] === 'disallow' ? deny('the pod contains unwanted label') : { allowed: true },
  '/configmaps': ({ operation, object, oldObject }) => (operation === 'DELETE' ? oldObject : object).data?.['webhook-e2e-test'] === 'webhook-disallow'
    ? deny('the configmap contains unwanted key and value') : { allowed: true },
  '/attach': () => deny("attaching to pod 'to-be-attached-pod' is not allowed"),
  '/mutating-configmaps': ({ object }) => patch(object.data?.['mutation-start'] === 'yes'
    ? [{ op: 'add', path: '/data/mutation-stage-1', value: 'yes' }] : []),
  '/mutating-configmaps-2': ({ object }) => patch(object.data?.['mutation-stage-1'] === 'yes'
    ? [{ op: 'add', path: '/data/mutation-stage-2', value: 'yes' }] : []),
  '/mutating-pods': () => patch([{ op: 'add', path: '/spec/initContainers', value: [{ image: 'added:1', name: 'webhook-added-init-container', resources: {} }] }]),
};
require('https').createServer({ key: process.env.KEY, cert: process.env.CERT }, (request, response) => {
  let text = '';
  request.on('data', (data) => { text += data; }).on('end', async () => {
    const hook = hooks[request.url.split('?')[0]];
    if (!hook) return response.writeHead(200).end('ok');
    const review = JSON.parse(text);
    const answer = { uid: review.request.uid, ...(await hook(review.request)) };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, response: answer }));
  });
}).listen(8443);
process.on('SIGTERM', () => process.exit(0));
`;

interface Hook {
  readonly name?: string;
  readonly path: string;
  readonly rule: object;
  readonly more?: object;
}
const operations = (resource: string, ...list: readonly string[]) => ({
  operations: list.length > 0 ? list : ['CREATE', 'UPDATE'],
  apiGroups: [''],
  apiVersions: ['v1'],
  resources: [resource],
});

describeReal('[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin]', () => {
  let place: Place;
  let cluster: Cluster;
  let caBundle = '';
  let ns = '';
  let count = 0;

  beforeAll(async () => {
    place = await new Place().make();
    await guestbookImages(place);
    cluster = await Cluster.start(place);
    const [key, cert] = [join(place.dataDir, 'hook.key'), join(place.dataDir, 'hook.crt')];
    const made = await run('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=e2e-test-webhook'],
      ...['-addext', 'subjectAltName=DNS:e2e-test-webhook.hooks.svc', '-out', cert, '-keyout', key],
    ]);
    if (made.code !== 0) throw new Error(made.stderr);
    const [KEY, CERT] = await Promise.all([key, cert].map((file) => readFile(file, 'utf8')));
    caBundle = Buffer.from(CERT!).toString('base64');
    const env = Object.entries({ KEY, CERT }).map(([name, value]) => ({ name, value }));
    await cluster.must('create', 'namespace', 'hooks');
    await eventually(
      () => cluster.kubectl('-n', 'hooks', 'get', 'serviceaccount', 'default'),
      ({ code }) => code === 0,
    );
    const labels = { app: 'sample-webhook' };
    const readinessProbe = {
      httpGet: { scheme: 'HTTPS', port: 8443, path: '/readyz' },
      periodSeconds: 1,
      timeoutSeconds: 60,
    };
    await cluster.apply(
      {
        apiVersion: 'v1',
        kind: 'List',
        items: [
          {
            apiVersion: 'v1',
            kind: 'Pod',
            metadata: { name: 'webhook', labels },
            spec: {
              terminationGracePeriodSeconds: 1,
              containers: [{ name: 'c', image: FRONTEND, command: ['/usr/bin/node', '-e', HOOK], env, readinessProbe }],
            },
          },
          {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name: 'e2e-test-webhook' },
            spec: { selector: labels, ports: [{ port: 8443, targetPort: 8443 }] },
          },
        ],
      },
      '-n',
      'hooks',
    );
    await cluster.must('-n', 'hooks', 'wait', 'pod/webhook', '--for=condition=Ready', '--timeout=120s');
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
  });
  beforeEach(async () => {
    ns = `webhook-${count++}`;
    const metadata = { name: ns, labels: { of: ns } };
    await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata });
    await eventually(
      () => cluster.kubectl('-n', ns, 'get', 'serviceaccount/default', 'configmap/kube-root-ca.crt'),
      ({ code }) => code === 0,
    );
  });
  afterEach(async () => {
    const all = 'validatingwebhookconfigurations,mutatingwebhookconfigurations';
    await cluster.must('delete', all, '-l', `of=${ns}`);
    await cluster.must('delete', 'namespace', ns, '--wait=false');
  });

  type Kind = 'Validating' | 'Mutating';
  const configuration = (kind: Kind, hooks: readonly Hook[], name = ns) => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}WebhookConfiguration`,
    metadata: { name, labels: { of: ns } },
    webhooks: hooks.map(({ name: hook = 'hook', path, rule, more }) => ({
      name: `${hook}.k8s.io`,
      rules: [rule],
      clientConfig: { service: { namespace: 'hooks', name: 'e2e-test-webhook', path, port: 8443 }, caBundle },
      sideEffects: 'None',
      admissionReviewVersions: ['v1', 'v1beta1'],
      namespaceSelector: { matchLabels: { of: ns } },
      timeoutSeconds: 30,
      ...more,
    })),
  });
  const apply = (object: object): Promise<Ran> =>
    cluster.kubectlWith({ input: JSON.stringify(object) }, '-n', ns, 'apply', '-f', '-');
  const make = async (object: object): Promise<void> => {
    const { code, stderr } = await apply(object);
    if (code !== 0) throw new Error(stderr);
  };
  const map = (name: string, data: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
  const pod = (name: string, labels: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: { nodeSelector: { no: 'where' }, containers: [{ name: 'c', image: 'example.com/c:1' }] },
  });
  const json = (what: string) => cluster.json<{ data?: Record<string, string>; spec?: never }>('-n', ns, 'get', what);
  const bad = map('bad', { 'webhook-e2e-test': 'webhook-disallow' });
  const denied = expect.stringContaining('the configmap contains unwanted key and value');
  const configmaps: Hook = { path: '/configmaps', rule: operations('configmaps', 'CREATE', 'UPDATE', 'DELETE') };
  const mutating: Hook = { path: '/mutating-configmaps', rule: operations('configmaps') };
  const begun = { 'mutation-start': 'yes' };

  test('should include webhook resources in discovery documents [Conformance]', async () => {
    const groups = JSON.parse(await cluster.must('get', '--raw', '/apis')).groups as {
      name: string;
      versions: { version: string }[];
    }[];
    expect(
      groups.find(({ name }) => name === 'admissionregistration.k8s.io')?.versions.map((one) => one.version),
    ).toContain('v1');
    const { resources } = JSON.parse(await cluster.must('get', '--raw', '/apis/admissionregistration.k8s.io/v1'));
    expect(resources.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']),
    );
  });

  test('should be able to deny pod and configmap creation [Conformance]', async () => {
    const pods: Hook = { name: 'pods', path: '/pods', rule: operations('pods') };
    await make(configuration('Validating', [pods, configmaps]));
    const refused = await apply(pod('disallowed-pod', { 'webhook-e2e-test': 'disallow' }));
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining('admission webhook "pods.k8s.io" denied the request: the pod contains unwanted label'),
    ]);
    expect((await apply(bad)).stderr).toEqual(denied);
    await make(map('good', { a: 'b' }));
    const change = ['patch', 'configmap', 'good', '-p', '{"data":{"webhook-e2e-test":"webhook-disallow"}}'];
    expect((await cluster.kubectl('-n', ns, ...change)).stderr).toEqual(denied);
    expect((await apply(map('good', { 'webhook-e2e-test': 'webhook-disallow' }))).stderr).toEqual(denied);
    // Who is in a namespace that is not selected is not asked.
    expect((await cluster.kubectlWith({ input: JSON.stringify(bad) }, '-n', 'hooks', 'apply', '-f', '-')).code).toBe(0);
  });

  test('should be able to deny attaching pod [Conformance]', async () => {
    await make(configuration('Validating', [{ path: '/attach', rule: operations('pods/attach', 'CONNECT') }]));
    const command = ['/usr/bin/node', '-e', 'setInterval(() => {}, 1e6)'];
    const spec = { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: FRONTEND, command }] };
    await make({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'to-be-attached-pod' }, spec });
    await cluster.must('-n', ns, 'wait', 'pod/to-be-attached-pod', '--for=condition=Ready', '--timeout=120s');
    const { code, stderr } = await cluster.kubectl('-n', ns, 'attach', 'to-be-attached-pod', '-c=c');
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("attaching to pod 'to-be-attached-pod' is not allowed"),
    ]);
  });

  test('should unconditionally reject operations on fail closed webhook [Conformance]', async () => {
    const wrong = { service: { namespace: 'hooks', name: 'e2e-test-webhook', path: '/x', port: 8443 } };
    await make(
      configuration('Validating', [
        { path: '', rule: operations('configmaps', 'CREATE'), more: { clientConfig: wrong, failurePolicy: 'Fail' } },
      ]),
    );
    const { code, stderr } = await apply(map('foo', {}));
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/failed calling webhook "hook\.k8s\.io": failed to call webhook: .*(certificate|x509)/),
    ]);
  });

  test('should honor timeout [Conformance]', async () => {
    const slow = (timeoutSeconds: number, failurePolicy: string): Hook => ({
      path: '/slow',
      rule: operations('configmaps', 'CREATE'),
      more: { timeoutSeconds, failurePolicy },
    });
    await make(configuration('Validating', [slow(1, 'Fail')]));
    expect((await apply(map('late', {}))).stderr).toMatch(
      /failed calling webhook "hook\.k8s\.io"[\s\S]*(deadline exceeded|timeout|Timeout)/,
    );
    await make(configuration('Validating', [slow(1, 'Ignore')]));
    await make(map('ignored', {}));
    await make(configuration('Validating', [slow(30, 'Fail')]));
    await make(map('waited-for', {}));
  });

  test('should mutate configmap [Conformance]', async () => {
    await make(
      configuration('Mutating', [
        { ...mutating, name: 'a-first' },
        { ...mutating, name: 'b-second', path: '/mutating-configmaps-2' },
      ]),
    );
    await make(map('to-be-mutated', begun));
    expect((await json('configmap/to-be-mutated')).data).toEqual({
      ...begun,
      'mutation-stage-1': 'yes',
      'mutation-stage-2': 'yes',
    });
  });

  test('should mutate pod and apply defaults after mutation [Conformance]', async () => {
    await make(configuration('Mutating', [{ path: '/mutating-pods', rule: operations('pods', 'CREATE') }]));
    await make(pod('webhook-to-be-mutated'));
    const { spec } = await json('pod/webhook-to-be-mutated');
    expect(spec).toMatchObject({
      initContainers: [
        {
          name: 'webhook-added-init-container',
          terminationMessagePolicy: 'File',
          terminationMessagePath: '/dev/termination-log',
          imagePullPolicy: 'IfNotPresent',
        },
      ],
    });
  });

  test('should not be able to mutate or prevent deletion of webhook configuration objects [Conformance]', async () => {
    const rule = {
      operations: ['*'],
      apiGroups: ['admissionregistration.k8s.io'],
      apiVersions: ['*'],
      resources: ['validatingwebhookconfigurations', 'mutatingwebhookconfigurations'],
    };
    const everywhere = { namespaceSelector: {} };
    await make(configuration('Validating', [{ path: '/always-deny', rule, more: everywhere }], `${ns}-deny`));
    await make(configuration('Mutating', [{ path: '/mutating-pods', rule, more: everywhere }], `${ns}-mutate`));
    for (const kind of ['Validating', 'Mutating'] as const) {
      await make(configuration(kind, [configmaps], `${ns}-dummy`));
      const type = `${kind.toLowerCase()}webhookconfiguration`;
      expect(await json(`${type}/${ns}-dummy`)).not.toHaveProperty('spec');
      await cluster.must('delete', type, `${ns}-dummy`);
    }
  });

  test("should mutate everything except 'skip-me' configmaps [Conformance]", async () => {
    const matchConditions = [{ name: 'skip-me', expression: "object.metadata.name != 'skip-me'" }];
    await make(configuration('Mutating', [{ ...mutating, more: { matchConditions } }]));
    await make(map('skip-me', begun));
    await make(map('not-skipped', begun));
    expect((await json('configmap/skip-me')).data).toEqual(begun);
    expect((await json('configmap/not-skipped')).data).toEqual({ ...begun, 'mutation-stage-1': 'yes' });
  });

  const both = [
    ['validating', 'Validating', configmaps],
    ['mutating', 'Mutating', mutating],
  ] as const;
  for (const [word, kind, hook] of both) {
    const type = `${kind.toLowerCase()}webhookconfiguration`;
    /** Whether the webhook has its way with a ConfigMap it would deny or change. */
    const works = async (name: string): Promise<boolean> => {
      if (kind === 'Validating') return (await apply({ ...bad, metadata: { name } })).code !== 0;
      await make(map(name, begun));
      return (await json(`configmap/${name}`)).data?.['mutation-stage-1'] === 'yes';
    };

    const article = kind === 'Validating' ? 'a validating' : 'a mutating';
    test(`patching/updating ${article} webhook should work [Conformance]`, async () => {
      await make(configuration(kind, [hook]));
      expect(await works('first')).toBe(true);
      const set = (list: readonly string[]) =>
        cluster.must(
          'patch',
          type,
          ns,
          '--type=json',
          '-p',
          JSON.stringify([{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: list }]),
        );
      await set(['UPDATE']);
      await eventually(
        () => works(`patched-${count++}`),
        (does) => !does,
      );
      await make(configuration(kind, [hook]));
      await eventually(
        () => works(`updated-${count++}`),
        (does) => does,
      );
    });

    test(`listing ${word} webhooks should work [Conformance]`, async () => {
      for (const name of ['a', 'b', 'c']) await make(configuration(kind, [{ ...hook, name }], `${ns}-${name}`));
      const { items } = await cluster.json<{ items: unknown[] }>('get', type, '-l', `of=${ns}`);
      expect(items).toHaveLength(3);
      expect(await works('listed')).toBe(true);
      await cluster.must('delete', type, '-l', `of=${ns}`);
      await eventually(
        () => works(`free-${count++}`),
        (does) => !does,
      );
    });

    test(`should be able to create and update ${word} webhook configurations with match conditions [Conformance]`, async () => {
      const conditions = (...matchConditions: readonly object[]) =>
        configuration(kind, [{ ...hook, more: { matchConditions } }]);
      const first = { name: 'expression-1', expression: "object.metadata.namespace == 'production'" };
      await make(conditions(first));
      expect(await works('elsewhere')).toBe(false);
      const second = { name: 'expression-2', expression: "request.resource.resource == 'configmaps'" };
      await make(conditions(second));
      const { webhooks } = (await cluster.json(...['get', type, ns])) as {
        webhooks: { matchConditions: object[] }[];
      };
      expect(webhooks[0]!.matchConditions).toEqual([second]);
      await eventually(
        () => works(`matched-${count++}`),
        (does) => does,
      );
    });

    test(`should reject ${word} webhook configurations with invalid match conditions [Conformance]`, async () => {
      const matchConditions = [{ name: 'invalid-expression-1', expression: '... [] bad expression' }];
      const { code, stderr } = await apply(configuration(kind, [{ ...hook, more: { matchConditions } }]));
      expect([code, stderr]).toEqual([1, expect.stringMatching(/compilation failed|Invalid value/)]);
    });
  }
});
