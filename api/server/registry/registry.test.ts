import { ConfigMaps, Events, HorizontalPodAutoscalers, HorizontalPodAutoscalersV1, Pods } from '@trimtab/machinery';
import { allowAll, failure, key, map, object, pod, type TestCluster, testCluster } from './testing.js';

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});
afterEach(() => cluster.store.close());

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
            return given && { ...given, metadata: { ...given.metadata, labels: { stamped: 'yes' } } };
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
    expect(calls).toEqual(['mutate CREATE', 'validate CREATE yes', 'mutate DELETE', 'validate DELETE yes']);
    await admitted.store.close();
  });
});
