import {
  ConfigMaps,
  Deployments,
  Events,
  type KubeObject,
  Leases,
  Namespaces,
  Nodes,
  PodDisruptionBudgets,
  Pods,
  type ResourceType,
  Roles,
  Secrets,
  Services,
} from '@trimtab/machinery';
import { deployment, failure, key, map, object, pod, record, type TestCluster, testCluster } from './testing.js';

/** The rules of writing and deleting, by their numbers in README.md. */

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});
afterEach(() => cluster.store.close());

const merge = (body: object) => ({ type: 'merge', body }) as const;
const inDefault = (name: string, more: object = {}) => ({ name, namespace: 'default', ...more });

describe('rule 11: what an update is held against', () => {
  test('rule 11: a stale revision, another uid, another name or namespace', async () => {
    const first = await cluster.client.create(ConfigMaps, map('a', { n: '1' }));
    const second = await cluster.client.update(ConfigMaps, { ...first, data: { n: '2' } });
    const stale = await failure(cluster.client.update(ConfigMaps, { ...first, data: { n: '3' } }));
    expect(stale.status).toMatchObject({
      code: 409,
      reason: 'Conflict',
      details: { name: 'a', kind: 'configmaps' },
      message:
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    });
    const { resourceVersion: _, ...metadata } = second.metadata;
    const free = await cluster.client.update(ConfigMaps, { ...second, metadata, data: { n: '4' } });
    expect(free.data).toEqual({ n: '4' });
    const other = await failure(
      cluster.client.update(ConfigMaps, { ...second, metadata: { ...metadata, uid: 'other' } }),
    );
    expect([other.code, other.message]).toEqual([
      409,
      `Operation cannot be fulfilled on configmaps "a": Precondition failed: UID in precondition: other, UID in object meta: ${metadata.uid}`,
    ]);
    const moved = await failure(
      cluster.client.patch(ConfigMaps, key('a'), merge({ metadata: { namespace: 'elsewhere' } })),
    );
    expect(moved.code).toBe(400);
    expect((await failure(cluster.client.patch(ConfigMaps, key('a'), merge({ metadata: { name: 'b' } })))).code).toBe(
      400,
    );
  });

  test('rule 11: what is missing is 404, or made where the kind allows that', async () => {
    expect((await failure(cluster.client.update(ConfigMaps, map('none')))).reason).toBe('NotFound');
    const lease = object('Lease', inDefault('l'), { spec: {} }, 'coordination.k8s.io/v1');
    expect((await failure(cluster.client.patch(Leases, key('l'), merge({ spec: {} })))).reason).toBe('NotFound');
    expect((await cluster.client.update(Leases, lease)).metadata.resourceVersion).toBe('1');
    const role = object('Role', inDefault('r'), { rules: [] }, 'rbac.authorization.k8s.io/v1');
    expect((await cluster.client.update(Roles, role)).metadata.uid).toBeDefined();
  });

  test('rule 11: kinds that take no unconditional update say so', async () => {
    const spec = { minAvailable: 1, selector: { matchLabels: { a: 'b' } } };
    const budget = object('PodDisruptionBudget', inDefault('b'), { spec }, 'policy/v1');
    const made = await cluster.client.create(PodDisruptionBudgets, budget);
    expect((await failure(cluster.client.update(PodDisruptionBudgets, budget))).message).toBe(
      'PodDisruptionBudget.policy "b" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update',
    );
    expect(await cluster.client.update(PodDisruptionBudgets, made)).toEqual(made);
    const labels = { x: 'y' };
    const patched = await cluster.client.patch(PodDisruptionBudgets, key('b'), merge({ metadata: { labels } }));
    expect(patched.metadata.labels).toEqual(labels);
  });
});

test('rule 12: writing what is there makes no revision and no event, whoever writes it', async () => {
  const made = await cluster.client.create(Deployments, deployment('web'));
  const watch = record(cluster.client, Deployments, { resourceVersion: '1' });
  await cluster.clock.advance(60_000);
  await cluster.client.update(Deployments, made, { fieldManager: 'other' });
  await cluster.client.patch(Deployments, key('web'), merge({ spec: { replicas: 2 } }));
  await cluster.client.patch(Deployments, key('web'), { type: 'json', body: [] });
  await cluster.client.patch(Deployments, key('web'), { type: 'strategic', body: { spec: { paused: null } } });
  await cluster.client.update(Deployments, made, { subresource: 'status' });
  await cluster.clock.advance(0);
  expect([cluster.store.revision, watch.seen]).toEqual([1, []]);
  watch.stop();
});

test('rule 13: patches without a revision are tried again until they hold, those with one conflict', async () => {
  const made = await cluster.client.create(ConfigMaps, map('a'));
  const patches = Array.from({ length: 20 }, (_, i) =>
    cluster.client.patch(ConfigMaps, key('a'), merge({ data: { [`k${i}`]: 'v' } })),
  );
  await Promise.all(patches);
  expect(Object.keys((await cluster.client.get(ConfigMaps, key('a'))).data ?? {})).toHaveLength(20);
  const { resourceVersion } = made.metadata;
  const held = await failure(
    cluster.client.patch(ConfigMaps, key('a'), merge({ metadata: { resourceVersion }, data: { x: 'y' } })),
  );
  expect(held.reason).toBe('Conflict');
});

test('rule 14: what a creator may not set', async () => {
  const { creationTimestamp, uid, ...rest } = (
    await cluster.client.create(
      Pods,
      pod('a', {
        metadata: {
          uid: 'mine',
          generation: 7,
          selfLink: '/x',
          creationTimestamp: '1999-01-01T00:00:00Z',
          deletionTimestamp: '1999-01-01T00:00:00Z',
          deletionGracePeriodSeconds: 5,
        },
      }),
    )
  ).metadata;
  expect(creationTimestamp).toBe('2026-01-01T00:00:00Z');
  expect(uid).not.toBe('mine');
  expect(rest).toMatchObject({ name: 'a', namespace: 'default', generation: 1, resourceVersion: '1' });
  for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink'])
    expect(rest).not.toHaveProperty(field);
  const versioned = await failure(cluster.client.create(ConfigMaps, map('b', {}, { resourceVersion: '9' })));
  expect(versioned.message).toBe('resourceVersion should not be set on objects to be created');
});

describe('rule 15: generated names', () => {
  const generated = (base: string) => object('ConfigMap', { generateName: base, namespace: 'default' });

  test('rule 15: five characters after at most 58', async () => {
    const { metadata } = await cluster.client.create(ConfigMaps, generated(`${'a'.repeat(70)}-`));
    expect(metadata.name).toMatch(/^a{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    expect(metadata.generateName).toBe(`${'a'.repeat(70)}-`);
  });

  test('rule 15: eight tries, then 409 with an invitation to come back', async () => {
    const random = cluster.registry.random as { next: () => number };
    random.next = () => 0;
    await cluster.client.create(ConfigMaps, generated('x-'));
    let tries = 0;
    random.next = () => {
      tries++;
      return 0;
    };
    const error = await failure(cluster.client.create(ConfigMaps, generated('x-')));
    expect(tries).toBe(8 * 5);
    expect(error.status).toMatchObject({ code: 409, reason: 'AlreadyExists', details: { retryAfterSeconds: 1 } });
    let draws = 0;
    random.next = () => (draws++ < 5 ? 0 : 0.5);
    expect((await cluster.client.create(ConfigMaps, generated('x-'))).metadata.name).toMatch(/^x-/);
  });
});

test('rule 16: the generation is the desired state’s, and grows once more when deletion begins', async () => {
  const made = await cluster.client.create(Deployments, {
    ...deployment('web'),
    metadata: inDefault('web', { generation: 5, finalizers: ['example.com/x'] }),
  });
  const generation = async (body: object, subresource = '') =>
    (await cluster.client.patch(Deployments, key('web'), merge(body), { subresource })).metadata.generation;
  expect(made.metadata.generation).toBe(1);
  expect(await generation({ metadata: { generation: 9, labels: { a: 'b' } } })).toBe(1);
  expect(await generation({ status: { replicas: 3 } }, 'status')).toBe(1);
  expect(await generation({ spec: { replicas: 3 } })).toBe(2);
  expect(await generation({ spec: { replicas: 3 } })).toBe(2);
  expect(((await cluster.client.delete(Deployments, key('web'))) as KubeObject).metadata.generation).toBe(3);
  expect(((await cluster.client.delete(Deployments, key('web'))) as KubeObject).metadata.generation).toBe(3);
  expect((await cluster.client.create(ConfigMaps, map('m'))).metadata).not.toHaveProperty('generation');
  expect((await cluster.client.create(Pods, pod('p'))).metadata.generation).toBe(1);
});

test('rule 17: an update cannot move what only the system sets, nor add finalizers to what is going', async () => {
  const made = await cluster.client.create(ConfigMaps, map('a', {}, { finalizers: ['example.com/x'] }));
  const going = (await cluster.client.delete(ConfigMaps, key('a'))) as KubeObject;
  const after = await cluster.client.patch(
    ConfigMaps,
    key('a'),
    merge({
      metadata: { creationTimestamp: null, deletionTimestamp: null, deletionGracePeriodSeconds: 9, labels: { a: 'b' } },
    }),
  );
  expect(after.metadata).toMatchObject({
    uid: made.metadata.uid,
    creationTimestamp: made.metadata.creationTimestamp,
    deletionTimestamp: going.metadata.deletionTimestamp,
    deletionGracePeriodSeconds: 0,
    labels: { a: 'b' },
  });
  const finalizers = ['example.com/x', 'example.com/y'];
  const error = await failure(cluster.client.patch(ConfigMaps, key('a'), merge({ metadata: { finalizers } })));
  expect(error.status.details?.causes).toEqual([
    {
      reason: 'FieldValueForbidden',
      field: 'metadata.finalizers',
      message:
        'Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/y"}',
    },
  ]);
});

describe('rule 18: names and sizes', () => {
  const refused = async (type: ResourceType<KubeObject>, given: KubeObject) =>
    (await failure(cluster.client.create(type, given))).status.details?.causes?.map((c) => `${c.reason} ${c.field}`);

  test('rule 18: each kind’s own kind of name', async () => {
    const bad = [['FieldValueInvalid metadata.name']];
    const role = (name: string) =>
      object('Role', inDefault(name), { rules: [] }, 'rbac.authorization.k8s.io/v1') as KubeObject;
    const service = (name: string) => object('Service', inDefault(name), { spec: { ports: [{ port: 1 }] } });
    expect(bad).toContainEqual(await refused(ConfigMaps, map('Upper')));
    expect(bad).toContainEqual(await refused(ConfigMaps, map('a'.repeat(254))));
    expect(bad).toContainEqual(await refused(Namespaces, object('Namespace', { name: 'a.b' })));
    expect(bad).toContainEqual(await refused(Services, service('1a')));
    expect(bad).toContainEqual(await refused(Roles, role('a%b')));
    expect(bad).toContainEqual(await refused(Roles, role('..')));
    await cluster.client.create(Roles, role('system:Some:Role'));
    await cluster.client.create(ConfigMaps, map(`${'a'.repeat(125)}.${'b'.repeat(127)}`));
  });

  test('rule 18: labels, annotations and data', async () => {
    const labels = { 'a b': 'x', ok: 'not ok' };
    expect(await refused(ConfigMaps, map('a', {}, { labels }))).toEqual([
      'FieldValueInvalid metadata.labels',
      'FieldValueInvalid metadata.labels',
    ]);
    const annotations = { a: 'x'.repeat(256 * 1024) };
    expect(await refused(ConfigMaps, map('a', {}, { annotations }))).toEqual([
      'FieldValueTooLong metadata.annotations',
    ]);
    expect(await refused(ConfigMaps, map('a', { big: 'x'.repeat(1024 * 1024 + 1) }))).toEqual(['FieldValueTooLong ']);
    const big = Buffer.alloc(1024 * 1024 + 1).toString('base64');
    expect(await refused(Secrets, object('Secret', inDefault('a'), { data: { big } }))).toEqual([
      'FieldValueTooLong data',
    ]);
    await cluster.client.create(ConfigMaps, map('a', { big: 'x'.repeat(1024 * 1024) }));
  });
});

test('rule 20: all that is wrong, in the order of the fields', async () => {
  const wrong = pod('Bad', {
    metadata: { labels: { 'a b': 'c' } },
    spec: { containers: [{ name: 'A' }], restartPolicy: 'Maybe', nodeSelector: { 'x y': 'z' } },
  });
  const { status } = await failure(cluster.client.create(Pods, wrong));
  expect(status.details?.causes?.map((c) => c.field)).toEqual([
    'metadata.name',
    'metadata.labels',
    'spec.containers[0].name',
    'spec.containers[0].image',
    'spec.restartPolicy',
    'spec.nodeSelector',
  ]);
  expect(status.details).toMatchObject({ name: 'Bad', kind: 'Pod' });
  expect(status.message).toMatch(/^Pod "Bad" is invalid: \[metadata\.name: Invalid value: "Bad": a lowercase RFC 1123/);
});

test('rule 21: a dry run goes the whole way and leaves nothing', async () => {
  const made = await cluster.client.create(ConfigMaps, map('a', { n: '1' }));
  const dryRun = true;
  expect((await cluster.client.create(ConfigMaps, map('b'), { dryRun })).metadata.uid).toBeDefined();
  expect((await failure(cluster.client.create(ConfigMaps, map('Bad'), { dryRun }))).code).toBe(422);
  expect((await failure(cluster.client.create(ConfigMaps, map('a'), { dryRun }))).reason).toBe('AlreadyExists');
  const patched = await cluster.client.patch(ConfigMaps, key('a'), merge({ data: { n: '2' } }), { dryRun });
  expect(patched.data).toEqual({ n: '2' });
  const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { x: 'y' } };
  const config = { type: 'apply', body: applied } as const;
  await cluster.client.patch(ConfigMaps, key('c'), config, { dryRun, fieldManager: 'm' });
  expect(await cluster.client.delete(ConfigMaps, key('a'), { dryRun })).toMatchObject({ status: 'Success' });
  await cluster.client.deleteCollection(ConfigMaps, { namespace: 'default', dryRun });
  expect(cluster.store.revision).toBe(1);
  expect(await cluster.client.get(ConfigMaps, key('a'))).toEqual(made);
});

describe('rule 31: deletion’s options', () => {
  test('rule 31: preconditions, and what is answered', async () => {
    const made = await cluster.client.create(ConfigMaps, map('a'));
    const wrong = async (preconditions: object) =>
      (await failure(cluster.client.delete(ConfigMaps, key('a'), { preconditions }))).status;
    expect(await wrong({ uid: 'x' })).toMatchObject({ code: 409, reason: 'Conflict' });
    expect((await wrong({ resourceVersion: '99' })).message).toBe(
      'Operation cannot be fulfilled on configmaps "a": Precondition failed: ResourceVersion in precondition: 99, ResourceVersion in object meta: 1',
    );
    const { uid, resourceVersion } = made.metadata;
    expect(await cluster.client.delete(ConfigMaps, key('a'), { preconditions: { uid, resourceVersion } })).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'a', kind: 'configmaps', uid },
      code: 200,
    });
    expect((await failure(cluster.client.delete(ConfigMaps, key('a')))).message).toBe('configmaps "a" not found');
  });
});

test('rule 32: a pod’s grace', async () => {
  const running = (name: string, spec: object = {}) =>
    cluster.client.create(Pods, pod(name, { spec: { nodeName: 'n', ...spec } }));
  const grace = async (name: string, gracePeriodSeconds?: number) => {
    const { metadata } = (await cluster.client.delete(Pods, key(name), { gracePeriodSeconds })) as KubeObject;
    return [metadata.deletionGracePeriodSeconds, metadata.deletionTimestamp];
  };
  await running('a');
  expect(await grace('a')).toEqual([30, '2026-01-01T00:00:30Z']);
  expect(await grace('a', 60)).toEqual([30, '2026-01-01T00:00:30Z']);
  expect(await grace('a', 10)).toEqual([10, '2026-01-01T00:00:10Z']);
  expect(await cluster.client.delete(Pods, key('a'), { gracePeriodSeconds: 0 })).toMatchObject({ status: 'Success' });
  await running('b', { terminationGracePeriodSeconds: 7 });
  expect(await grace('b')).toEqual([7, '2026-01-01T00:00:07Z']);
  await running('c');
  expect(await grace('c', -5)).toEqual([1, '2026-01-01T00:00:01Z']);
  await cluster.client.create(Pods, pod('loose'));
  expect(await cluster.client.delete(Pods, key('loose'))).toMatchObject({ status: 'Success' });
  await running('done');
  await cluster.client.patch(Pods, key('done'), merge({ status: { phase: 'Succeeded' } }), { subresource: 'status' });
  expect(await cluster.client.delete(Pods, key('done'))).toMatchObject({ status: 'Success' });
});

test('rule 33: the update that takes the last finalizer deletes, and answers with the object', async () => {
  await cluster.client.create(ConfigMaps, map('a', {}, { finalizers: ['example.com/a', 'example.com/b'] }));
  const watch = record(cluster.client, ConfigMaps, { resourceVersion: '1' });
  await cluster.client.delete(ConfigMaps, key('a'));
  const drop = (index: number) =>
    cluster.client.patch(ConfigMaps, key('a'), {
      type: 'json',
      body: [{ op: 'remove', path: `/metadata/finalizers/${index}` }],
    });
  await drop(0);
  const last = await drop(0);
  expect(last).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'a' } });
  await cluster.clock.advance(0);
  expect(watch.seen).toEqual(['MODIFIED a', 'MODIFIED a', 'DELETED a']);
  expect((await failure(cluster.client.get(ConfigMaps, key('a')))).code).toBe(404);
  watch.stop();
});

test('rule 34: propagation policies, explicit before inherited before the kind’s own', async () => {
  const finalizers = async (type: ResourceType<KubeObject>, name: string, options: object) => {
    const answer = (await cluster.client.delete(type, key(name), options)) as KubeObject;
    return answer.kind === 'Status' ? 'gone' : answer.metadata.finalizers;
  };
  for (const name of ['a', 'b', 'c', 'd']) await cluster.client.create(ConfigMaps, map(name));
  expect(await finalizers(ConfigMaps, 'a', {})).toBe('gone');
  expect(await finalizers(ConfigMaps, 'b', { propagationPolicy: 'Orphan' })).toEqual(['orphan']);
  expect(await finalizers(ConfigMaps, 'b', {})).toEqual(['orphan']);
  expect(await finalizers(ConfigMaps, 'b', { propagationPolicy: 'Background' })).toBe('gone');
  expect(await finalizers(ConfigMaps, 'c', { propagationPolicy: 'Foreground' })).toEqual(['foregroundDeletion']);
  expect(await finalizers(ConfigMaps, 'd', { propagationPolicy: 'Background' })).toBe('gone');
});

test('rule 35: a collection is deleted by selector, with each item’s own options', async () => {
  for (let i = 0; i < 40; i++)
    await cluster.client.create(ConfigMaps, map(`m${i}`, {}, { labels: { odd: String(i % 2) } }));
  await cluster.client.deleteCollection(ConfigMaps, {
    namespace: 'default',
    labelSelector: 'odd=1',
    propagationPolicy: 'Foreground',
  });
  const held = await cluster.client.list(ConfigMaps, { labelSelector: 'odd=1' });
  expect(held.items.every((o) => o.metadata.finalizers?.[0] === 'foregroundDeletion')).toBe(true);
  await cluster.client.deleteCollection(ConfigMaps, { namespace: 'default', labelSelector: 'odd=0' });
  expect((await cluster.client.list(ConfigMaps)).items).toHaveLength(20);
  expect(cluster.registry.kinds.find('', 'v1', 'namespaces')!.verbs).not.toContain('deletecollection');
});

test('rule 36: a namespace’s finalizers go only through finalize', async () => {
  await cluster.client.create(Namespaces, object('Namespace', { name: 'team' }));
  await cluster.client.patch(Namespaces, { name: 'team' }, merge({ spec: { finalizers: null } }));
  expect((await cluster.client.get(Namespaces, { name: 'team' })).spec).toEqual({ finalizers: ['kubernetes'] });
  const marked = (await cluster.client.delete(Namespaces, { name: 'team' })) as KubeObject;
  expect(marked).toMatchObject({ status: { phase: 'Terminating' } });
  await cluster.client.subresource(Namespaces, { name: 'team' }, 'finalize', 'update', {
    ...marked,
    spec: { finalizers: [] },
  });
  expect((await failure(cluster.client.get(Namespaces, { name: 'team' }))).code).toBe(404);
});

test('events and nodes can be made and listed by their own rules', async () => {
  const event = { involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' }, reason: 'Began', type: 'Normal' };
  await cluster.client.create(Events, object('Event', inDefault('e'), event) as KubeObject);
  const found = await cluster.client.list(Events, { fieldSelector: 'involvedObject.name=p,reason=Began' });
  expect(found.items).toHaveLength(1);
  await cluster.client.create(Nodes, object('Node', { name: 'n' }));
  expect((await cluster.client.list(Nodes, { fieldSelector: 'spec.unschedulable=false' })).items).toHaveLength(1);
});
