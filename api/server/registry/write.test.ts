import {
  ConfigMaps,
  Deployments,
  type KubeObject,
  type Namespace,
  Namespaces,
  Pods,
  type ResourceType,
} from '@trimtab/machinery';
import { deployment, failure, key, map, object, pod, record, type TestCluster, testCluster } from './testing.js';

type Scale = KubeObject & { readonly spec: { readonly replicas?: number } };
let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});
afterEach(() => cluster.store.close());

describe('create', () => {
  test('the system sets what only it may set', async () => {
    const made = await cluster.client.create(
      ConfigMaps,
      map('a', {}, { uid: 'mine', generation: 9, deletionTimestamp: '2020-01-01T00:00:00Z' }),
    );
    expect(made.metadata.uid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(made.metadata).toMatchObject({ creationTimestamp: '2026-01-01T00:00:00Z', resourceVersion: '1' });
    expect(made.metadata).not.toHaveProperty('generation');
    expect(made.metadata).not.toHaveProperty('deletionTimestamp');
  });

  test('a second object of the same name, and one with a resourceVersion, are refused', async () => {
    await cluster.client.create(ConfigMaps, map('a'));
    const twice = await failure(cluster.client.create(ConfigMaps, map('a')));
    expect(twice.status).toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
      message: 'configmaps "a" already exists',
    });
    const versioned = await failure(cluster.client.create(ConfigMaps, map('b', {}, { resourceVersion: '1' })));
    expect(versioned.message).toBe('resourceVersion should not be set on objects to be created');
  });

  test('generateName gives a free name', async () => {
    const names = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const { name, ...rest } = map('x').metadata;
      const made = await cluster.client.create(ConfigMaps, {
        ...map('x'),
        metadata: { ...rest, generateName: 'job-' },
      });
      names.add(made.metadata.name!);
    }
    expect(names.size).toBe(20);
    for (const name of names) expect(name).toMatch(/^job-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  test('all that is wrong is said at once, in field order', async () => {
    const wrong = map('Bad_Name', {}, { labels: { 'a b': 'x' }, finalizers: ['nope nope'] });
    const { status } = await failure(cluster.client.create(ConfigMaps, wrong));
    expect(status).toMatchObject({ code: 422, reason: 'Invalid', details: { kind: 'ConfigMap', name: 'Bad_Name' } });
    expect(status.details?.causes?.map((c) => c.field)).toEqual([
      'metadata.name',
      'metadata.labels',
      'metadata.finalizers',
    ]);
  });

  test('a dry run says what would be and stores nothing', async () => {
    const made = await cluster.client.create(ConfigMaps, map('a'), { dryRun: true });
    expect(made.metadata.uid).toBeDefined();
    expect((await failure(cluster.client.get(ConfigMaps, key('a')))).reason).toBe('NotFound');
    expect(cluster.store.revision).toBe(0);
  });
});

describe('update', () => {
  test('what older rules let pass may stay while other parts change, and is judged as soon as it changes', async () => {
    const made = await cluster.client.create(Pods, pod('a'));
    const containers = [{ ...made.spec!.containers[0]!, imagePullPolicy: 'Sometimes' }];
    const stored = { ...made, spec: { ...made.spec!, containers } };
    await cluster.store.commit([
      { type: 'put', key: { resource: '/pods', namespace: 'default', name: 'a' }, object: stored },
    ]);
    const labelled = { type: 'merge', body: { metadata: { labels: { x: 'y' } } } } as const;
    expect((await cluster.client.patch(Pods, key('a'), labelled)).metadata.labels).toEqual({ x: 'y' });
    const now = await cluster.client.get(Pods, key('a'));
    const again = { ...now, metadata: { ...now.metadata, labels: { x: 'z' } } };
    expect((await cluster.client.update(Pods, again)).metadata.labels).toEqual({ x: 'z' });
    const changed = { type: 'merge', body: { spec: { activeDeadlineSeconds: 9 } } } as const;
    const { status } = await failure(cluster.client.patch(Pods, key('a'), changed));
    expect(status.details?.causes?.[0]).toMatchObject({ field: 'spec.containers[0].imagePullPolicy' });
  });

  test('a stale resourceVersion conflicts; the object named in the message', async () => {
    const first = await cluster.client.create(ConfigMaps, map('a', { n: '1' }));
    await cluster.client.update(ConfigMaps, { ...first, data: { n: '2' } } as KubeObject);
    const stale = await failure(cluster.client.update(ConfigMaps, { ...first, data: { n: '3' } } as KubeObject));
    expect(stale.message).toBe(
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    );
  });

  test('writing what is there changes nothing: no revision, no event', async () => {
    const made = await cluster.client.create(ConfigMaps, map('a', { n: '1' }));
    const watch = record(cluster.client, ConfigMaps, { resourceVersion: made.metadata.resourceVersion });
    await cluster.clock.advance(5000);
    const again = await cluster.client.update(ConfigMaps, made, { fieldManager: 'somebody-else' });
    await cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { data: { n: '1' } } });
    await cluster.clock.advance(0);
    expect(again.metadata.resourceVersion).toBe('1');
    expect(cluster.store.revision).toBe(1);
    expect(watch.seen).toEqual([]);
    watch.stop();
  });

  test('generation grows with the desired state only, and status has its own door', async () => {
    const made = await cluster.client.create(Deployments, deployment('web'));
    expect(made.metadata.generation).toBe(1);
    const labelled = await cluster.client.patch(Deployments, key('web'), {
      type: 'merge',
      body: { metadata: { labels: { a: 'b' } }, status: { replicas: 7 } },
    });
    expect(labelled.metadata.generation).toBe(1);
    expect(labelled.status?.replicas).toBeUndefined();
    const counted = await cluster.client.update(
      Deployments,
      { ...labelled, spec: { ...labelled.spec!, replicas: 99 }, status: { replicas: 2 } },
      { subresource: 'status' },
    );
    expect(counted).toMatchObject({ spec: { replicas: 2 }, status: { replicas: 2 }, metadata: { generation: 1 } });
    const scaled = await cluster.client.patch(Deployments, key('web'), {
      type: 'merge',
      body: { spec: { replicas: 3 } },
    });
    expect(scaled.metadata.generation).toBe(2);
  });

  test('nobody changes uid, creation time or name', async () => {
    const made = await cluster.client.create(ConfigMaps, map('a'));
    const other = await failure(
      cluster.client.update(ConfigMaps, { ...made, metadata: { ...made.metadata, uid: 'other', resourceVersion: '' } }),
    );
    expect(other.message).toContain('Precondition failed: UID in precondition: other');
    const kept = await cluster.client.patch(ConfigMaps, key('a'), {
      type: 'merge',
      body: { metadata: { creationTimestamp: '1999-01-01T00:00:00Z', labels: { x: 'y' } } },
    });
    expect(kept.metadata.creationTimestamp).toBe(made.metadata.creationTimestamp);
  });

  test('of two that race with patches, both win', async () => {
    await cluster.client.create(ConfigMaps, map('a', {}));
    const patches = Array.from({ length: 10 }, (_, i) =>
      cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { data: { [`k${i}`]: 'v' } } }),
    );
    await Promise.all(patches);
    const all = await cluster.client.get(ConfigMaps, key('a'));
    expect(Object.keys(all.data ?? {})).toHaveLength(10);
  });
});

describe('patch', () => {
  test('strategic merge knows containers by name; JSON patch by place', async () => {
    await cluster.client.create(Deployments, deployment('web'));
    const containers = [{ name: 'side', image: 'side:2' }];
    await cluster.client.patch(Deployments, key('web'), {
      type: 'strategic',
      body: { spec: { template: { spec: { containers } } } },
    });
    const after = await cluster.client.patch(Deployments, key('web'), {
      type: 'json',
      body: [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'app:2' }],
    });
    expect(after.spec?.template.spec?.containers.map((c) => c.image).sort()).toEqual(['app:2', 'side:2']);
  });

  test('apply creates, shares, conflicts, and takes back what it gave', async () => {
    const config = (data: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data });
    const apply = (manager: string, data: object, force = false) =>
      cluster.client.patch(
        ConfigMaps,
        key('a'),
        { type: 'apply', body: config(data) },
        { fieldManager: manager, force },
      );
    await apply('one', { x: '1', y: '1' });
    await apply('two', { z: '2' });
    const clash = await failure(apply('two', { z: '2', x: '2' }));
    expect(clash.status).toMatchObject({ code: 409, reason: 'Conflict' });
    expect(clash.status.details?.causes?.[0]).toMatchObject({ reason: 'FieldManagerConflict', field: '.data.x' });
    await apply('two', { z: '2', x: '2' }, true);
    const after = await apply('one', { y: '1' });
    expect(after.data).toEqual({ x: '2', y: '1', z: '2' });
    expect(after.metadata.managedFields?.map((m) => m.manager).sort()).toEqual(['one', 'two']);
    expect(await apply('two', {})).toMatchObject({ data: { y: '1' } });
  });

  test('scale speaks of replicas only', async () => {
    await cluster.client.create(Deployments, deployment('web'));
    const scale = await cluster.client.subresource<never, Scale>(Deployments, key('web'), 'scale', 'get');
    expect(scale).toMatchObject({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      spec: { replicas: 2 },
      status: { selector: 'app=web' },
    });
    await cluster.client.subresource(Deployments, key('web'), 'scale', 'update', { ...scale, spec: { replicas: 5 } });
    const stale = await failure(
      cluster.client.subresource(Deployments, key('web'), 'scale', 'update', { ...scale, spec: { replicas: 6 } }),
    );
    expect(stale.reason).toBe('Conflict');
    const patched = await cluster.client.patch<Scale>(
      Deployments as ResourceType as ResourceType<Scale>,
      key('web'),
      { type: 'merge', body: { spec: { replicas: 5 } } },
      { subresource: 'scale' },
    );
    expect(patched).toMatchObject({ kind: 'Scale', spec: { replicas: 5 } });
    expect((await cluster.client.get(Deployments, key('web'))).spec?.replicas).toBe(5);
  });
});

describe('delete', () => {
  test('finalizers hold an object until the last is taken off', async () => {
    await cluster.client.create(ConfigMaps, map('a', {}, { finalizers: ['example.com/hold'] }));
    const held = (await cluster.client.delete(ConfigMaps, key('a'))) as KubeObject;
    expect(held.metadata).toMatchObject({ deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0 });
    const more = await failure(
      cluster.client.patch(ConfigMaps, key('a'), {
        type: 'merge',
        body: { metadata: { finalizers: ['example.com/hold', 'example.com/more'] } },
      }),
    );
    expect(more.status.details?.causes?.[0]?.field).toBe('metadata.finalizers');
    await cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { metadata: { finalizers: null } } });
    expect((await failure(cluster.client.get(ConfigMaps, key('a')))).reason).toBe('NotFound');
  });

  test('propagation policies become finalizers for the garbage collector', async () => {
    for (const name of ['a', 'b', 'c']) await cluster.client.create(ConfigMaps, map(name));
    const gone = await cluster.client.delete(ConfigMaps, key('a'), { propagationPolicy: 'Background' });
    expect(gone).toMatchObject({ kind: 'Status', status: 'Success', details: { name: 'a', kind: 'configmaps' } });
    const held = await cluster.client.delete(ConfigMaps, key('b'), { propagationPolicy: 'Foreground' });
    expect(held).toMatchObject({ metadata: { finalizers: ['foregroundDeletion'] } });
    const orphan = await cluster.client.delete(ConfigMaps, key('c'), { propagationPolicy: 'Orphan' });
    expect(orphan).toMatchObject({ metadata: { finalizers: ['orphan'] } });
  });

  test('a pod on a node waits for its kubelet; its grace only gets shorter', async () => {
    await cluster.client.create(Pods, pod('loose'));
    expect(await cluster.client.delete(Pods, key('loose'))).toMatchObject({ kind: 'Status' });
    await cluster.client.create(Pods, pod('p', { spec: { nodeName: 'n1' } }));
    const first = (await cluster.client.delete(Pods, key('p'))) as KubeObject;
    expect(first.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:30Z',
      deletionGracePeriodSeconds: 30,
      generation: 2,
    });
    await cluster.clock.advance(2000);
    const longer = (await cluster.client.delete(Pods, key('p'), { gracePeriodSeconds: 60 })) as KubeObject;
    expect(longer.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    const shorter = (await cluster.client.delete(Pods, key('p'), { gracePeriodSeconds: 5 })) as KubeObject;
    expect(shorter.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:05Z',
      deletionGracePeriodSeconds: 5,
      generation: 2,
    });
    const wrong = await failure(
      cluster.client.delete(Pods, key('p'), { gracePeriodSeconds: 0, preconditions: { uid: 'other' } }),
    );
    expect(wrong.reason).toBe('Conflict');
    const gone = await cluster.client.delete(Pods, key('p'), {
      gracePeriodSeconds: 0,
      preconditions: { uid: first.metadata.uid },
    });
    expect(gone).toMatchObject({ kind: 'Status', status: 'Success' });
  });

  test('a namespace goes when its spec has no finalizer left', async () => {
    const made = await cluster.client.create(Namespaces, object('Namespace', { name: 'team' }) as Namespace);
    expect(made).toMatchObject({ spec: { finalizers: ['kubernetes'] } });
    await cluster.client.delete(Namespaces, { name: 'team' });
    const dying = await cluster.client.get(Namespaces, { name: 'team' });
    expect(dying.metadata.deletionTimestamp).toBeDefined();
    expect(dying.status?.phase).toBe('Terminating');
    await cluster.client.subresource(Namespaces, { name: 'team' }, 'finalize', 'update', {
      ...dying,
      spec: { finalizers: [] },
    });
    expect((await failure(cluster.client.get(Namespaces, { name: 'team' }))).reason).toBe('NotFound');
  });

  test('a collection goes page by page, by selector', async () => {
    for (let i = 0; i < 12; i++)
      await cluster.client.create(ConfigMaps, map(`m${i}`, {}, { labels: { odd: String(i % 2) } }));
    await cluster.client.deleteCollection(ConfigMaps, { namespace: 'default', labelSelector: 'odd=1' });
    const left = await cluster.client.list(ConfigMaps, { namespace: 'default' });
    expect(left.items.map((o) => o.metadata.name)).toEqual(['m0', 'm10', 'm2', 'm4', 'm6', 'm8']);
  });
});
