import type { KubeObject, Status } from '@trimtab/machinery';
import { type ApiCluster, apiCluster } from '../api-cluster.js';
import { run } from '../e2e/cluster.js';
import { namespaceFor, typeOf, wholeLife } from './lifecycle.js';

/** Conformance tests of single kinds' behaviour, under their own names. They need an API server and nothing else. */

let api: ApiCluster;
let namespace: string;
beforeAll(async () => {
  api = await apiCluster();
});
beforeEach(async () => {
  namespace = await namespaceFor(api);
});
afterAll(() => api.close());

const core = (resource: string) => typeOf(api, '', 'v1', resource);
const object = (kind: string, name: string, more: object = {}, apiVersion = 'v1'): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
  ...more,
});
const merge = (body: object) => ({ type: 'merge', body }) as const;
const refusal = async (promise: Promise<unknown>): Promise<Status> =>
  promise.then(
    () => {
      throw new Error('it should have been refused');
    },
    (error: { status: Status }) => error.status,
  );
const pod = (spec: object = {}) => ({ spec: { containers: [{ name: 'c', image: 'i', ...spec }] } });

test('[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied. [Conformance]', async () => {
  const limits = [
    {
      type: 'Container',
      min: { cpu: '50m', memory: '100Mi' },
      max: { cpu: '500m', memory: '500Mi' },
      default: { cpu: '500m', memory: '500Mi' },
      defaultRequest: { cpu: '100m', memory: '200Mi' },
    },
  ];
  await api.client.create(core('limitranges'), object('LimitRange', 'limit', { spec: { limits } }));
  const plain = await api.client.create(core('pods'), object('Pod', 'plain', pod()));
  expect(plain).toMatchObject(pod({ resources: { requests: limits[0]!.defaultRequest, limits: limits[0]!.default } }));
  const much = await refusal(
    api.client.create(
      core('pods'),
      object('Pod', 'much', pod({ resources: { requests: { cpu: '600m' }, limits: { cpu: '600m' } } })),
    ),
  );
  expect([much.code, much.message]).toEqual([403, expect.stringContaining('maximum cpu usage per Container is 500m')]);
  const little = await refusal(
    api.client.create(
      core('pods'),
      object('Pod', 'little', pod({ resources: { requests: { cpu: '10m' }, limits: { cpu: '10m' } } })),
    ),
  );
  expect([little.code, little.message]).toEqual([
    403,
    expect.stringContaining('minimum cpu usage per Container is 50m'),
  ]);
});

test('[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu [Conformance]', async () => {
  const amounts = { cpu: '100m', memory: '100Mi' };
  const made = await api.client.create(
    core('pods'),
    object('Pod', 'qos', pod({ resources: { limits: amounts, requests: amounts } })),
  );
  expect(made).toMatchObject({ status: { qosClass: 'Guaranteed' } });
});

test('[sig-node] Sysctls [LinuxOnly] [NodeConformance] should reject invalid sysctls [MinimumKubeletVersion:1.21] [Conformance]', async () => {
  const names = ['foo-', 'kernel.shmmax', 'safe-and-unsafe', 'bar..'];
  const sysctls = names.map((name) => ({ name, value: '1' }));
  const spec = { ...pod().spec, securityContext: { sysctls } };
  const { code, message } = await refusal(api.client.create(core('pods'), object('Pod', 'sysctl', { spec })));
  expect(code).toBe(422);
  expect(message).toContain('Invalid value: "foo-"');
  expect(message).toContain('Invalid value: "bar.."');
  expect(message).not.toContain('safe-and-unsafe');
  expect(message).not.toContain('kernel.shmmax');
});

test('[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass [NodeConformance] [Conformance]', async () => {
  const spec = { ...pod().spec, runtimeClassName: 'none-such' };
  const status = await refusal(api.client.create(core('pods'), object('Pod', 'runtime', { spec })));
  expect([status.code, status.message]).toEqual([403, expect.stringContaining('RuntimeClass "none-such" not found')]);
});

test('[sig-node] RuntimeClass should reject a Pod requesting a deleted RuntimeClass [NodeConformance] [Conformance]', async () => {
  const classes = typeOf(api, 'node.k8s.io', 'v1', 'runtimeclasses');
  const body = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'shortly' }, handler: 'crun' };
  await api.client.create(classes, body as KubeObject);
  const spec = { ...pod().spec, runtimeClassName: 'shortly' };
  await api.client.create(core('pods'), object('Pod', 'in-time', { spec }));
  await api.client.delete(classes, { name: 'shortly' });
  const status = await refusal(api.client.create(core('pods'), object('Pod', 'too-late', { spec })));
  expect([status.code, status.message]).toEqual([403, expect.stringContaining('RuntimeClass "shortly" not found')]);
});

test('[sig-node] ConfigMap should fail to create ConfigMap with empty key [Conformance]', async () => {
  const status = await refusal(
    api.client.create(core('configmaps'), object('ConfigMap', 'empty', { data: { '': 'value-1' } })),
  );
  expect(status.reason).toBe('Invalid');
});

test('[sig-node] ConfigMap should update ConfigMap successfully [NodeConformance] [Conformance]', async () => {
  const created = await api.client.create(
    core('configmaps'),
    object('ConfigMap', 'changing', { data: { data: 'value' } }),
  );
  const updated = await api.client.update(core('configmaps'), { ...created, data: { data: 'value-2' } } as KubeObject);
  expect(updated).toMatchObject({ data: { data: 'value-2' }, metadata: { uid: created.metadata.uid } });
  expect(await api.client.get(core('configmaps'), { namespace, name: 'changing' })).toEqual(updated);
});

test('[sig-node] Secrets should fail to create secret due to empty secret key [Conformance]', async () => {
  const status = await refusal(
    api.client.create(core('secrets'), object('Secret', 'empty', { data: { '': 'dmFsdWU=' } })),
  );
  expect(status.reason).toBe('Invalid');
});

describe.each([
  ['[sig-storage] ConfigMap should be immutable if `immutable` field is set [Conformance]', 'configmaps', 'ConfigMap'],
  ['[sig-storage] Secrets should be immutable if `immutable` field is set [Conformance]', 'secrets', 'Secret'],
])('%s', (name, resource, kind) => {
  test(name, async () => {
    const made = await api.client.create(core(resource), object(kind, 'immutable', { data: { 'data-1': 'dmFs' } }));
    const change = (body: object) => api.client.patch(core(resource), { namespace, name: 'immutable' }, merge(body));
    await change({ data: { 'data-4': 'dmFs' } });
    await change({ immutable: true });
    expect((await refusal(change({ data: { 'data-1': 'b3RoZXI=' } }))).reason).toBe('Invalid');
    expect((await refusal(change({ immutable: false }))).reason).toBe('Invalid');
    await change({ metadata: { labels: { still: 'possible' } } });
    await api.client.delete(core(resource), { namespace, name: made.metadata.name! });
  });
});

test('[sig-node] PodTemplates should replace a pod template [Conformance]', async () => {
  const template = { spec: pod().spec };
  const made = await api.client.create(core('podtemplates'), object('PodTemplate', 't', { template }));
  const metadata = { ...made.metadata, annotations: { updated: 'true' } };
  expect((await api.client.update(core('podtemplates'), { ...made, metadata })).metadata.annotations).toEqual({
    updated: 'true',
  });
});

test('[sig-node] PodTemplates should delete a collection of pod templates [Conformance]', async () => {
  for (const n of [1, 2, 3])
    await api.client.create(core('podtemplates'), {
      ...object('PodTemplate', `t${n}`, { template: { spec: pod().spec } }),
      metadata: { name: `t${n}`, namespace, labels: { podtemplate: 'set' } },
    });
  await api.client.deleteCollection(core('podtemplates'), { namespace, labelSelector: 'podtemplate=set' });
  expect((await api.client.list(core('podtemplates'), { namespace })).items).toEqual([]);
});

test('[sig-network] Services should find a service from listing all namespaces [Conformance]', async () => {
  const { items } = await api.client.list(core('services'));
  expect(
    items.some((s) => s.metadata.name === 'kubernetes' && s.metadata.namespace === 'default') || items.length === 0,
  ).toBe(true);
  await api.client.create(core('services'), object('Service', 'found', { spec: { ports: [{ port: 80 }] } }));
  expect(
    (await api.client.list(core('services'))).items.map((s) => `${s.metadata.namespace}/${s.metadata.name}`),
  ).toContain(`${namespace}/found`);
});

test('[sig-network] Services should complete a service status lifecycle [Conformance]', async () => {
  const services = core('services');
  const made = await api.client.create(
    services,
    object('Service', 'status', { spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } }),
  );
  const key = { namespace, name: made.metadata.name! };
  const ingress = { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } };
  const patched = await api.client.patch(
    services,
    key,
    merge({ metadata: { annotations: { patchedstatus: 'true' } }, status: ingress }),
    { subresource: 'status' },
  );
  expect(patched).toMatchObject({ metadata: { annotations: { patchedstatus: 'true' } }, status: ingress });
  const conditions = [
    {
      type: 'StatusUpdate',
      status: 'True',
      reason: 'E2E',
      message: 'Set from e2e test',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    },
  ];
  const updated = await api.client.update(services, { ...patched, status: { ...ingress, conditions } } as KubeObject, {
    subresource: 'status',
  });
  expect(updated).toMatchObject({ status: { conditions } });
  const after = await api.client.patch(services, key, merge({ metadata: { labels: { x: 'y' } } }));
  expect(after).toMatchObject({ status: { conditions } });
});

describe('events in their two groups', () => {
  const later = () => typeOf(api, 'events.k8s.io', 'v1', 'events');
  const coreEvent = (name: string) =>
    object('Event', name, {
      involvedObject: { namespace },
      message: 'This is a test event',
      reason: 'Test',
      type: 'Normal',
      count: 1,
    });
  const newEvent = (name: string) =>
    object(
      'Event',
      name,
      {
        regarding: { kind: 'Pod', name: 'p', namespace },
        note: 'This is name',
        reason: 'Test',
        type: 'Normal',
        action: 'Do',
        reportingController: 'test-controller',
        reportingInstance: 'test-node',
        eventTime: '2026-01-01T00:00:00.000000Z',
      },
      'events.k8s.io/v1',
    );

  test('[sig-instrumentation] Events should manage the lifecycle of an event [Conformance]', async () => {
    const events = core('events');
    const key = { namespace, name: 'e' };
    await api.client.create(events, coreEvent('e'));
    const patched = await api.client.patch(events, key, {
      type: 'strategic',
      body: { message: 'This is a test event - patched' },
    });
    expect(patched).toMatchObject({ message: 'This is a test event - patched' });
    expect(
      await api.client.update(events, {
        ...patched,
        series: { count: 100, lastObservedTime: '2026-01-01T00:00:00.000000Z' },
      } as KubeObject),
    ).toMatchObject({ series: { count: 100 } });
    expect(await api.client.get(later(), key)).toMatchObject({
      note: 'This is a test event - patched',
      regarding: { namespace },
    });
    await api.client.delete(events, key);
    expect((await api.client.list(events, { namespace })).items).toEqual([]);
  });
  test('[sig-instrumentation] Events should delete a collection of events [Conformance]', async () => {
    for (const name of ['a', 'b', 'c']) await api.client.create(core('events'), coreEvent(name));
    await api.client.deleteCollection(core('events'), { namespace });
    expect((await api.client.list(core('events'), { namespace })).items).toEqual([]);
  });
  test('[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed [Conformance]', async () => {
    const key = { namespace, name: 'n' };
    const made = await api.client.create(later(), newEvent('n'));
    expect(await api.client.get(later(), key)).toEqual(made);
    expect(
      (await api.client.list(later(), { namespace, fieldSelector: 'reportingController=test-controller' })).items,
    ).toHaveLength(1);
    const series = { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' };
    expect(await api.client.patch(later(), key, { type: 'strategic', body: { series } })).toMatchObject({
      series: { count: 2 },
    });
    await api.client.delete(later(), key);
    expect((await refusal(api.client.get(later(), key))).reason).toBe('NotFound');
  });
  test('[sig-instrumentation] Events API should delete a collection of events [Conformance]', async () => {
    for (const name of ['a', 'b', 'c']) await api.client.create(later(), newEvent(name));
    await api.client.deleteCollection(later(), { namespace });
    expect((await api.client.list(core('events'), { namespace })).items).toEqual([]);
  });
});

test('[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations [Conformance]', async () => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  const { stdout } = await run('openssl', ['req', '-new', ...key, '-subj', '/O=e2e/CN=e2e'], {});
  const request = Buffer.from(stdout).toString('base64');
  const group = 'certificates.k8s.io';
  const life = {
    group,
    version: 'v1',
    resource: 'certificatesigningrequests',
    body: () => ({
      spec: { request, signerName: 'example.com/e2e', usages: ['client auth'], expirationSeconds: 3600 },
    }),
  };
  await wholeLife(api, life);
  const type = typeOf(api, group, 'v1', life.resource);
  const made = await api.client.create(type, {
    apiVersion: `${group}/v1`,
    kind: 'CertificateSigningRequest',
    metadata: { name: 'e2e' },
    ...life.body(),
  } as KubeObject);
  const condition = { type: 'Approved', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };
  const approved = await api.client.update(type, { ...made, status: { conditions: [condition] } } as KubeObject, {
    subresource: 'approval',
  });
  expect(approved).toMatchObject({ status: { conditions: [condition] } });
  const failed = { type: 'Failed', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };
  const body = { status: { conditions: [condition, failed] } };
  const status = await api.client.patch(type, { name: 'e2e' }, merge(body), { subresource: 'status' });
  expect(status).toMatchObject(body);
  await api.client.delete(type, { name: 'e2e' });
});

test('[sig-auth] SubjectReview should support SubjectReview API operations [Conformance]', async () => {
  const reviews = typeOf(api, 'authorization.k8s.io', 'v1', 'subjectaccessreviews');
  const user = `system:serviceaccount:${namespace}:e2e`;
  const ask = async (verb: string) =>
    (await api.client.create(reviews, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: { user, resourceAttributes: { verb, resource: 'configmaps', namespace } },
    } as KubeObject)) as KubeObject & { status: { allowed: boolean } };
  expect((await ask('list')).status.allowed).toBe(false);
  const rbac = (resource: string) => typeOf(api, 'rbac.authorization.k8s.io', 'v1', resource);
  await api.client.create(
    rbac('roles'),
    object(
      'Role',
      'r',
      { rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }] },
      'rbac.authorization.k8s.io/v1',
    ),
  );
  await api.client.create(
    rbac('rolebindings'),
    object(
      'RoleBinding',
      'b',
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' },
        subjects: [{ kind: 'ServiceAccount', name: 'e2e', namespace }],
      },
      'rbac.authorization.k8s.io/v1',
    ),
  );
  expect((await ask('list')).status.allowed).toBe(true);
  expect((await ask('delete')).status.allowed).toBe(false);
});
