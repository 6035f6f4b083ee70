import { ConfigMaps, Deployments, type KubeObject, lastAppliedAnnotation, Pods, Services } from '@trimtab/machinery';
import { deployment, failure, key, map, object, pod, type TestCluster, testCluster } from './testing.js';

/** The rules of patches and of managed fields, by their numbers in README.md. */

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});
afterEach(() => cluster.store.close());

const applyMap = (manager: string, data: object, options: object = {}) =>
  cluster.client.patch(
    ConfigMaps,
    key('a'),
    { type: 'apply', body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data } },
    { fieldManager: manager, ...options },
  );
const entries = (o: KubeObject) =>
  o.metadata.managedFields?.map((m) => [m.manager, m.operation, m.subresource ?? '', m.fieldsV1]);

test('rule 24: JSON patches fail whole, merge patches remove by null and replace lists', async () => {
  await cluster.client.create(Deployments, deployment('web'));
  const json = (body: readonly object[]) => cluster.client.patch(Deployments, key('web'), { type: 'json', body });
  for (const body of [
    [{ op: 'test', path: '/spec/replicas', value: 9 }],
    [{ op: 'remove', path: '/spec/none' }],
    [{ op: 'replace', path: '/spec/none/deep', value: 1 }],
    [
      { op: 'replace', path: '/spec/replicas', value: 7 },
      { op: 'test', path: '/spec/replicas', value: 8 },
    ],
  ])
    expect((await failure(json(body))).code).toBe(422);
  const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'Deployment' }));
  expect((await failure(json(many))).code).toBe(413);
  expect((await cluster.client.get(Deployments, key('web'))).spec?.replicas).toBe(2);
  const containers = [{ name: 'only', image: 'only:1' }];
  const merged = await cluster.client.patch(Deployments, key('web'), {
    type: 'merge',
    body: { spec: { revisionHistoryLimit: null, template: { spec: { containers } } } },
  });
  expect(merged.spec?.template.spec?.containers.map((c) => c.name)).toEqual(['only']);
  expect(merged.spec?.revisionHistoryLimit).toBe(10);
});

test('rule 25: strategic merge by key, with its directives', async () => {
  const made = {
    ...deployment('web'),
    metadata: { name: 'web', namespace: 'default', finalizers: ['example.com/a', 'example.com/b'] },
  };
  await cluster.client.create(Deployments, made);
  const strategic = (body: object) => cluster.client.patch(Deployments, key('web'), { type: 'strategic', body });
  const containers = async (list: readonly object[], more: object = {}) =>
    (await strategic({ spec: { template: { spec: { containers: list, ...more } } } })).spec?.template.spec?.containers;
  expect((await containers([{ name: 'side', image: 'side:2' }]))?.map((c) => c.image)).toEqual(['app:1', 'side:2']);
  expect((await containers([{ name: 'new', image: 'new:1' }]))?.map((c) => c.name)).toEqual(['new', 'main', 'side']);
  expect((await containers([{ name: 'new', $patch: 'delete' }]))?.map((c) => c.name)).toEqual(['main', 'side']);
  const order = [{ name: 'side' }, { name: 'main' }];
  expect((await containers([], { '$setElementOrder/containers': order }))?.map((c) => c.name)).toEqual([
    'side',
    'main',
  ]);
  expect((await containers([{ $patch: 'replace' }, { name: 'one', image: 'one:1' }]))?.map((c) => c.name)).toEqual([
    'one',
  ]);
  const dropped = await strategic({ metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/a'] } });
  expect(dropped.metadata.finalizers).toEqual(['example.com/b']);
  const recreate = await strategic({ spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } });
  expect(recreate.spec?.strategy).toEqual({ type: 'Recreate' });
  const keyless = await failure(strategic({ spec: { template: { spec: { containers: [{ image: 'x' }] } } } }));
  expect([keyless.code, keyless.status.details?.causes?.[0]?.message]).toEqual([
    422,
    'map: {"image":"x"} does not contain declared merge key: name',
  ]);
});

test('rule 26: ports merge by number in a strategic patch, by number and protocol in an apply', async () => {
  const ports = [{ name: 'dns', port: 53, protocol: 'UDP' }];
  const service = object('Service', { name: 's', namespace: 'default' }, { spec: { ports } });
  await cluster.client.create(Services, service as KubeObject);
  const patched = await cluster.client.patch(Services, key('s'), {
    type: 'strategic',
    body: { spec: { ports: [{ port: 53, name: 'domain' }] } },
  });
  expect(patched.spec?.ports).toMatchObject([{ name: 'domain', port: 53, protocol: 'UDP' }]);
  const more = [{ name: 'tcp', port: 53, protocol: 'TCP' }];
  const body = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: more } };
  const applied = await cluster.client.patch(Services, key('s'), { type: 'apply', body }, { fieldManager: 'm' });
  expect(applied.spec?.ports?.map((p) => p.protocol).sort()).toEqual(['TCP', 'UDP']);
});

describe('rule 27: who owns what', () => {
  test('rule 27: creators and updaters from the first write on, each through each door once', async () => {
    await cluster.client.create(ConfigMaps, map('a', { x: '1' }));
    await cluster.clock.advance(1000);
    const after = await cluster.client.patch(
      ConfigMaps,
      key('a'),
      { type: 'merge', body: { data: { y: '2' } } },
      { fieldManager: 'other' },
    );
    expect(entries(after)).toEqual([
      ['tester', 'Update', '', { 'f:data': { '.': {}, 'f:x': {} } }],
      ['other', 'Update', '', { 'f:data': { 'f:y': {} } }],
    ]);
    expect(after.metadata.managedFields?.every((m) => m.fieldsType === 'FieldsV1' && m.apiVersion === 'v1')).toBe(true);
  });

  test('rule 27: status and scale are owners of their own', async () => {
    await cluster.client.create(Deployments, deployment('web'), { fieldManager: 'maker' });
    const state = { type: 'merge', body: { status: { replicas: 1 } } } as const;
    await cluster.client.patch(Deployments, key('web'), state, { subresource: 'status', fieldManager: 'maker' });
    const scale = { type: 'merge', body: { spec: { replicas: 4 } } } as const;
    await cluster.client.patch(Deployments, key('web'), scale, { subresource: 'scale', fieldManager: 'scaler' });
    const owners = entries(await cluster.client.get(Deployments, key('web'))) ?? [];
    expect(owners.map(([manager, , subresource]) => `${manager}/${subresource}`).sort()).toEqual([
      'maker/',
      'maker/status',
      'scaler/scale',
    ]);
    expect(owners.find(([manager]) => manager === 'scaler')?.[3]).toEqual({ 'f:spec': { 'f:replicas': {} } });
  });

  test('rule 27: more than ten updaters are put together, oldest first', async () => {
    await cluster.client.create(ConfigMaps, map('a', { x: '1' }), { fieldManager: 'm00' });
    for (let i = 1; i <= 12; i++) {
      await cluster.clock.advance(1000);
      const body = { data: { [`k${i}`]: 'v' } };
      const fieldManager = `m${String(i).padStart(2, '0')}`;
      await cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body }, { fieldManager });
    }
    const managers = entries(await cluster.client.get(ConfigMaps, key('a')))?.map(([m]) => m) ?? [];
    expect(managers).toContain('ancient-changes');
    expect(managers.length).toBeLessThanOrEqual(11);
    expect(managers).toContain('m12');
  });

  test('rule 27: what nobody tracked belongs to before-first-apply', async () => {
    await cluster.client.create(ConfigMaps, map('a', { x: '1' }));
    await cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { metadata: { managedFields: [{}] } } });
    const clash = await failure(applyMap('m', { x: '2' }));
    expect(clash.message).toContain('conflict with "before-first-apply"');
  });
});

describe('rule 28: apply', () => {
  test('rule 28: needs a manager, no managed fields, and makes what is missing', async () => {
    const none = await failure(applyMap('', {}));
    expect([none.code, none.message]).toEqual([422, expect.stringContaining('fieldManager')]);
    const body = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', managedFields: [{ manager: 'x', operation: 'Apply', apiVersion: 'v1' }] },
    };
    const apply = (fields: object) =>
      failure(cluster.client.patch(ConfigMaps, key('a'), { type: 'apply', body: fields }, { fieldManager: 'm' }));
    expect(await apply(body)).toMatchObject({ code: 400, message: 'metadata.managedFields must be nil' });
    expect((await apply({ ...body, metadata: { name: 'a', resourceVersion: '5' } })).code).toBe(409);
    expect((await apply({ ...body, metadata: { name: 'a', uid: 'x' } })).code).toBe(409);
    expect((await applyMap('m', { x: '1' })).metadata.resourceVersion).toBe('1');
    expect((await applyMap('m', { x: '1' })).metadata.resourceVersion).toBe('1');
  });

  test('rule 28: conflicts, force, sharing, giving up', async () => {
    await applyMap('one', { x: '1', y: '1' });
    await applyMap('two', { x: '1', z: '1' });
    const clash = await failure(applyMap('two', { x: '2', z: '1', y: '9' }));
    expect(clash.status).toMatchObject({ code: 409, reason: 'Conflict' });
    expect(clash.message).toBe('Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y');
    expect(clash.status.details?.causes).toEqual([
      { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.x' },
      { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.y' },
    ]);
    expect((await applyMap('one', { y: '1' })).data).toEqual({ x: '1', y: '1', z: '1' });
    expect((await applyMap('two', { z: '1' })).data).toEqual({ y: '1', z: '1' });
    const forced = await applyMap('two', { y: '2' }, { force: true });
    expect(forced.data).toEqual({ y: '2' });
    expect(entries(forced)?.map(([m]) => m)).toEqual(['two']);
  });
});

test('rule 29: identity is nobody’s, and status is not the main door’s', async () => {
  const body = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels: { a: 'b' } },
    spec: { selector: { matchLabels: { app: 'web' } }, template: deployment('web').spec?.template },
    status: { replicas: 5 },
  };
  const applied = await cluster.client.patch(Deployments, key('web'), { type: 'apply', body }, { fieldManager: 'm' });
  const [[, , , fields] = []] = entries(applied) ?? [];
  expect(Object.keys(fields as object).sort()).toEqual(['f:metadata', 'f:spec']);
  expect((fields as Record<string, unknown>)['f:metadata']).toEqual({ 'f:labels': { 'f:a': {} } });
  expect(applied.status?.replicas).toBeUndefined();
});

describe('rule 29: from kubectl’s own bookkeeping to the server’s', () => {
  const config = (data: object) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', namespace: 'default' },
    data,
  });

  test('rule 29: what client-side apply set moves to the applier without conflict, and what it drops goes', async () => {
    const lastApplied = JSON.stringify(config({ x: '1', y: '1' }));
    const made = map('a', { x: '1', y: '1' }, { annotations: { [lastAppliedAnnotation]: lastApplied } });
    await cluster.client.create(ConfigMaps, made, { fieldManager: 'kubectl-client-side-apply' });
    const body = config({ x: '2' });
    const applied = await cluster.client.patch(
      ConfigMaps,
      key('a'),
      { type: 'apply', body: { ...body, metadata: { ...body.metadata } } },
      { fieldManager: 'kubectl' },
    );
    expect(applied.data?.x).toBe('2');
    expect(JSON.parse(applied.metadata.annotations?.[lastAppliedAnnotation] ?? '{}').data).toEqual({ x: '2' });
  });
});

test('rule 30: an empty entry clears; a set given twice is refused', async () => {
  const clear = (managedFields: readonly object[]) =>
    cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { metadata: { managedFields } } });
  await cluster.client.create(ConfigMaps, map('a', { x: '1' }));
  expect((await clear([{}])).metadata.managedFields ?? []).toEqual([]);
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', finalizers: ['example.com/a', 'example.com/a'] },
    spec: pod('p').spec,
  };
  const twice = await failure(cluster.client.patch(Pods, key('p'), { type: 'apply', body }, { fieldManager: 'm' }));
  expect([twice.code, twice.message]).toEqual([422, expect.stringContaining('Duplicate value: "example.com/a"')]);
});

test('rule 27: what admission adds is nobody’s, and no applier that comes after takes it away', async () => {
  const stamp = {
    name: 'stamp',
    mutate: ({ object: given }: { readonly object?: KubeObject }) =>
      given && ({ ...given, data: { ...(given as { data?: object }).data, stamped: 'yes' } } as KubeObject),
  };
  const stamped = await testCluster({ admission: [stamp as never] });
  const made = await stamped.client.create(ConfigMaps, map('a', { x: '1' }), { fieldManager: 'kubectl' });
  expect(made.data).toEqual({ x: '1', stamped: 'yes' });
  expect(entries(made)).toEqual([['kubectl', 'Update', '', { 'f:data': { '.': {}, 'f:x': {} } }]]);
  await stamped.store.close();
});
