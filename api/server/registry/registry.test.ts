import {
  type ConfigMap,
  ConfigMaps,
  type Deployment,
  Deployments,
  Events,
  HorizontalPodAutoscalers,
  HorizontalPodAutoscalersV1,
  type KubeObject,
  type Namespace,
  Namespaces,
  type ObjectMeta,
  Pods,
  type ResourceType,
  type StatusError,
} from '@trimtab/machinery';
import { allowAll, object, pod, record, type TestCluster, testCluster } from './testing.js';

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});
afterEach(() => cluster.store.close());

const map = (name: string, data: Record<string, string> = {}, metadata: ObjectMeta = {}): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...metadata },
  data,
});
const key = (name: string) => ({ namespace: 'default', name });
const failure = async (promise: Promise<unknown>): Promise<StatusError> => {
  try {
    await promise;
  } catch (error) {
    return error as StatusError;
  }
  throw new Error('it should have failed');
};
const deployment = (name: string, replicas = 2): Deployment =>
  object(
    'Deployment',
    { name, namespace: 'default' },
    {
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: {
            containers: [
              { name: 'main', image: 'app:1' },
              { name: 'side', image: 'side:1' },
            ],
          },
        },
      },
    },
    'apps/v1',
  ) as Deployment;
type Scale = KubeObject & { readonly spec: { readonly replicas?: number } };

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

describe('list', () => {
  beforeEach(async () => {
    for (let i = 0; i < 6; i++) await cluster.client.create(ConfigMaps, map(`m${i}`));
  });
  const names = (list: { readonly items: readonly KubeObject[] }) => list.items.map((o) => o.metadata.name);

  test('pages stay at the first page’s revision', async () => {
    const first = await cluster.client.list(ConfigMaps, { limit: 2 });
    expect(names(first)).toEqual(['m0', 'm1']);
    expect(first.metadata.remainingItemCount).toBe(4);
    await cluster.client.delete(ConfigMaps, key('m2'));
    await cluster.client.create(ConfigMaps, map('m3a'));
    const second = await cluster.client.list(ConfigMaps, { limit: 10, continue: first.metadata.continue });
    expect(names(second)).toEqual(['m2', 'm3', 'm4', 'm5']);
    expect(second.metadata).toEqual({ resourceVersion: first.metadata.resourceVersion });
  });

  test('an expired page says so, with a token that goes on anyway', async () => {
    const first = await cluster.client.list(ConfigMaps, { limit: 2 });
    await cluster.client.delete(ConfigMaps, key('m2'));
    await cluster.store.compact(cluster.store.revision);
    const expired = await failure(cluster.client.list(ConfigMaps, { limit: 2, continue: first.metadata.continue }));
    expect(expired.status).toMatchObject({ code: 410, reason: 'Expired' });
    const rest = await cluster.client.list(ConfigMaps, { continue: expired.status.metadata.continue });
    expect(names(rest)).toEqual(['m3', 'm4', 'm5']);
  });

  test('exact, not older than, too old, too new', async () => {
    await cluster.client.delete(ConfigMaps, key('m0'));
    const exact = await cluster.client.list(ConfigMaps, { resourceVersion: '3', resourceVersionMatch: 'Exact' });
    expect(names(exact)).toEqual(['m0', 'm1', 'm2']);
    expect(exact.metadata.resourceVersion).toBe('3');
    const newer = await cluster.client.list(ConfigMaps, { resourceVersion: '3' });
    expect(names(newer)).toEqual(['m1', 'm2', 'm3', 'm4', 'm5']);
    await cluster.store.compact(7);
    const old = await failure(cluster.client.list(ConfigMaps, { resourceVersion: '3', resourceVersionMatch: 'Exact' }));
    expect(old.status).toMatchObject({ code: 410, reason: 'Expired', message: 'too old resource version: 3 (7)' });
    const future = failure(cluster.client.list(ConfigMaps, { resourceVersion: '99' }));
    await cluster.clock.advance(3100);
    expect((await future).status).toMatchObject({ code: 504, message: 'Too large resource version: 99, current: 7' });
    const wrong = await failure(cluster.client.list(ConfigMaps, { resourceVersionMatch: 'Exact' }));
    expect(wrong.code).toBe(422);
  });

  test('a limit with a selector still fills its page', async () => {
    await cluster.client.create(ConfigMaps, map('z', {}, { labels: { hit: 'yes' } }));
    const found = await cluster.client.list(ConfigMaps, { labelSelector: 'hit', limit: 1 });
    expect(names(found)).toEqual(['z']);
    expect(found.metadata.continue).toBeUndefined();
    expect((await failure(cluster.client.list(ConfigMaps, { fieldSelector: 'data.x=1' }))).message).toBe(
      'field label not supported: data.x',
    );
  });
});

describe('watch', () => {
  test('entering a selector is ADDED, leaving it DELETED with the revision it left at', async () => {
    const watch = record(cluster.client, ConfigMaps, {
      namespace: 'default',
      labelSelector: 'app=x',
      resourceVersion: '0',
    });
    await cluster.client.create(ConfigMaps, map('a'));
    const label = (app: string) =>
      cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { metadata: { labels: { app } } } });
    await label('x');
    await cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { data: { n: '1' } } });
    await label('y');
    await label('x');
    await cluster.client.delete(ConfigMaps, key('a'));
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED a', 'DELETED a']);
    expect(watch.events[2]!.object.metadata).toMatchObject({ resourceVersion: '4', labels: { app: 'x' } });
    expect(watch.events[4]!.object.metadata.resourceVersion).toBe('6');
    watch.stop();
  });

  test('initial events end with an annotated bookmark; bookmarks come by the minute and before the end', async () => {
    await cluster.client.create(ConfigMaps, map('a'));
    const watch = record(cluster.client, ConfigMaps, {
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: true,
      timeoutSeconds: 100,
    });
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual(['ADDED a', 'BOOKMARK']);
    expect(watch.events[1]!.object.metadata).toMatchObject({
      resourceVersion: '1',
      annotations: { 'k8s.io/initial-events-end': 'true' },
    });
    await cluster.client.create(ConfigMaps, map('b'));
    await cluster.clock.advance(99_000);
    expect(watch.seen.slice(2)).toEqual(['ADDED b', 'BOOKMARK', 'BOOKMARK']);
    expect(watch.events.at(-1)!.object.metadata.resourceVersion).toBe('2');
    expect(watch.ended()).toBeUndefined();
    await cluster.clock.advance(1000);
    expect(watch.ended()).toBe('complete');
  });

  test('a revision that is gone is refused before anything is sent', async () => {
    for (const name of ['a', 'b', 'c']) await cluster.client.create(ConfigMaps, map(name));
    await cluster.store.compact(3);
    const watch = record(cluster.client, ConfigMaps, { resourceVersion: '1' });
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual([]);
    expect((watch.ended() as StatusError).status).toMatchObject({ code: 410, reason: 'Expired' });
  });

  test('all watchers of an event see the same object', async () => {
    const one = record(cluster.client, ConfigMaps, {});
    const two = record(cluster.client, ConfigMaps, { labelSelector: '!none' });
    await cluster.clock.advance(0);
    await cluster.client.create(ConfigMaps, map('a'));
    await cluster.clock.advance(0);
    expect(one.events[0]!.object).toBe(two.events[0]!.object);
    one.stop();
    two.stop();
  });
});

describe('subresources of pods', () => {
  test('a pod is bound once', async () => {
    const made = await cluster.client.create(Pods, pod('p'));
    const bind = (node: string, uid?: string) =>
      cluster.client.subresource(Pods, key('p'), 'binding', 'create', {
        metadata: { name: 'p', uid },
        target: { kind: 'Node', name: node },
      });
    expect((await failure(bind('n1', 'other'))).reason).toBe('Conflict');
    await bind('n1', made.metadata.uid);
    const bound = await cluster.client.get(Pods, key('p'));
    expect(bound.spec?.nodeName).toBe('n1');
    expect(bound.status?.conditions).toContainEqual(expect.objectContaining({ type: 'PodScheduled', status: 'True' }));
    expect((await failure(bind('n2'))).message).toContain('pod p is already assigned to node "n1"');
  });

  test('eviction uses up the disruption budget, and is refused beyond it', async () => {
    const budgets = {
      group: 'policy',
      version: 'v1',
      kind: 'PodDisruptionBudget',
      resource: 'poddisruptionbudgets',
      namespaced: true,
    };
    const spec = { minAvailable: 1, selector: { matchLabels: { app: 'db' } } };
    const budget = object('PodDisruptionBudget', { name: 'db', namespace: 'default' }, { spec }, 'policy/v1');
    const made = await cluster.client.create(budgets, budget);
    const status = {
      disruptionsAllowed: 1,
      currentHealthy: 2,
      desiredHealthy: 1,
      expectedPods: 2,
      observedGeneration: 1,
    };
    await cluster.client.update(budgets, { ...made, status }, { subresource: 'status' });
    for (const name of ['db-0', 'db-1']) {
      const created = await cluster.client.create(
        Pods,
        pod(name, { metadata: { labels: { app: 'db' } }, spec: { nodeName: 'n' } }),
      );
      const running = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
      await cluster.client.update(Pods, { ...created, status: running }, { subresource: 'status' });
    }
    const evict = (name: string) =>
      cluster.client.subresource(Pods, key(name), 'eviction', 'create', { metadata: { name } });
    await evict('db-0');
    const evicted = await cluster.client.get(Pods, key('db-0'));
    expect(evicted.metadata.deletionTimestamp).toBeDefined();
    expect(evicted.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', status: 'True' }),
    );
    const refused = await failure(evict('db-1'));
    expect(refused.status).toMatchObject({
      code: 429,
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
    });
    expect(refused.status.details?.causes?.[0]?.reason).toBe('DisruptionBudget');
  });
});

describe('versions and groups that share objects', () => {
  test('an event is the same object in both its groups', async () => {
    const event = object(
      'Event',
      { name: 'e', namespace: 'default' },
      {
        involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
        reason: 'Started',
        message: 'it runs',
        type: 'Normal',
      },
    );
    await cluster.client.create(Events, event);
    const types = { group: 'events.k8s.io', version: 'v1', kind: 'Event', resource: 'events', namespaced: true };
    const other = await cluster.client.get(types, key('e'));
    expect(other).toMatchObject({ apiVersion: 'events.k8s.io/v1', regarding: { name: 'p' }, note: 'it runs' });
    expect(other).not.toHaveProperty('involvedObject');
  });

  test('an autoscaler goes from v1 to v2 and back without loss', async () => {
    const spec = {
      maxReplicas: 5,
      scaleTargetRef: { kind: 'Deployment', name: 'web' },
      targetCPUUtilizationPercentage: 60,
    };
    const hpa = object('HorizontalPodAutoscaler', { name: 'h', namespace: 'default' }, { spec }, 'autoscaling/v1');
    await cluster.client.create(HorizontalPodAutoscalersV1, hpa);
    const v2 = await cluster.client.get(HorizontalPodAutoscalers, key('h'));
    expect(v2.spec.metrics).toEqual([
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
    ]);
    const memory = {
      type: 'Resource',
      resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 70 } },
    };
    await cluster.client.update(HorizontalPodAutoscalers, {
      ...v2,
      spec: { ...v2.spec, metrics: [...(v2.spec?.metrics ?? []), memory] },
    });
    const v1 = await cluster.client.get(HorizontalPodAutoscalersV1, key('h'));
    expect(v1.spec.targetCPUUtilizationPercentage).toBe(60);
    await cluster.client.update(HorizontalPodAutoscalersV1, { ...v1, spec: { ...v1.spec, maxReplicas: 6 } });
    const back = await cluster.client.get(HorizontalPodAutoscalers, key('h'));
    expect(back.spec).toMatchObject({ maxReplicas: 6, metrics: [v2.spec?.metrics?.[0], memory] });
    expect(back.metadata.annotations ?? {}).toEqual({});
  });
});

describe('who may, and what is acceptable', () => {
  test('a refusal names who, what and where; nothing is read before', async () => {
    const authorizer = { authorize: () => ({ allowed: false, reason: '' }) };
    const strict = await testCluster({ authorizer });
    const { status } = await failure(strict.client.list(Pods, { namespace: 'default' }));
    expect(status).toMatchObject({
      code: 403,
      message:
        'pods is forbidden: User "tester" cannot list resource "pods" in API group "" in the namespace "default"',
    });
    await strict.store.close();
  });

  test('plugins change objects first and judge them afterwards', async () => {
    const calls: string[] = [];
    const admitted = await testCluster({
      authorizer: allowAll,
      admission: [
        {
          name: 'stamp',
          mutate: ({ object: given, operation }) => {
            calls.push(`mutate ${operation}`);
            return { ...given!, metadata: { ...given!.metadata, labels: { stamped: 'yes' } } };
          },
        },
        {
          name: 'judge',
          validate: ({ object: given, oldObject, operation }) => {
            calls.push(`validate ${operation} ${(given ?? oldObject)?.metadata.labels?.stamped}`);
          },
        },
      ],
    });
    const made = await admitted.client.create(ConfigMaps, map('a'));
    await admitted.client.delete(ConfigMaps, key('a'));
    expect(made.metadata.labels).toEqual({ stamped: 'yes' });
    expect(calls).toEqual(['mutate CREATE', 'validate CREATE yes', 'validate DELETE yes']);
    await admitted.store.close();
  });
});
