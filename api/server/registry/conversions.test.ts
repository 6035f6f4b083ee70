import { Events, HorizontalPodAutoscalers, type KubeObject } from '@trimtab/machinery';
import { failure, key, object, type TestCluster, testCluster } from './testing.js';

/** Kinds served in several versions or groups over one storage. */

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});
afterEach(() => cluster.store.close());

const place = { name: 'a', namespace: 'default' };

describe('autoscaling/v1 and v2', () => {
  const first = () => cluster.registry.kinds.find('autoscaling', 'v1', 'horizontalpodautoscalers')!;
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
  const memory = {
    type: 'Resource',
    resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 50 } },
  };

  test('each sees what the other wrote, and what v1 cannot say is not lost through it', async () => {
    const spec = { maxReplicas: 5, scaleTargetRef, targetCPUUtilizationPercentage: 60 };
    await cluster.client.create(first(), object('HorizontalPodAutoscaler', place, { spec }, 'autoscaling/v1'));
    const second = await cluster.client.get(HorizontalPodAutoscalers, key('a'));
    expect(second.spec?.metrics).toMatchObject([{ resource: { name: 'cpu', target: { averageUtilization: 60 } } }]);
    const metrics = [...(second.spec?.metrics ?? []), memory];
    await cluster.client.patch(HorizontalPodAutoscalers, key('a'), { type: 'merge', body: { spec: { metrics } } });
    const old = await cluster.client.get(first(), key('a'));
    expect(old).toMatchObject({ apiVersion: 'autoscaling/v1', spec: { targetCPUUtilizationPercentage: 60 } });
    await cluster.client.update(first(), { ...old, spec: { ...spec, maxReplicas: 9 } } as KubeObject);
    const after = await cluster.client.get(HorizontalPodAutoscalers, key('a'));
    expect(after.spec).toMatchObject({ maxReplicas: 9 });
    expect(after.spec?.metrics).toHaveLength(2);
    expect(after.metadata.annotations ?? {}).toEqual({});
  });

  test('a write of either that changes nothing is none', async () => {
    const spec = { maxReplicas: 5, scaleTargetRef };
    const made = await cluster.client.create(
      first(),
      object('HorizontalPodAutoscaler', place, { spec }, 'autoscaling/v1'),
    );
    await cluster.client.update(first(), made);
    const second = await cluster.client.get(HorizontalPodAutoscalers, key('a'));
    await cluster.client.update(HorizontalPodAutoscalers, second);
    expect(cluster.store.revision).toBe(1);
  });

  test('an applier keeps its fields from one version to the other', async () => {
    const config = (maxReplicas: number, apiVersion: string) => ({
      apiVersion,
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'a' },
      spec: { maxReplicas, scaleTargetRef },
    });
    const apply = (type: typeof HorizontalPodAutoscalers, body: object, fieldManager: string) =>
      cluster.client.patch(type, key('a'), { type: 'apply', body }, { fieldManager });
    await apply(first() as never, config(5, 'autoscaling/v1'), 'one');
    const again = await apply(HorizontalPodAutoscalers, config(6, 'autoscaling/v2'), 'one');
    expect(again.spec?.maxReplicas).toBe(6);
    expect(again.metadata.managedFields?.map((f) => [f.manager, f.apiVersion])).toEqual([['one', 'autoscaling/v2']]);
    const clash = await failure(apply(first() as never, config(7, 'autoscaling/v1'), 'two'));
    expect(clash.status.details?.causes).toEqual([
      {
        reason: 'FieldManagerConflict',
        message: expect.stringContaining('conflict with "one"'),
        field: '.spec.maxReplicas',
      },
    ]);
  });
});

test('an event is the same in both of its groups', async () => {
  const later = cluster.registry.kinds.find('events.k8s.io', 'v1', 'events')!;
  const made = await cluster.client.create(
    Events,
    object('Event', place, {
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' },
      message: 'hello',
      reason: 'Said',
      type: 'Normal',
      count: 2,
    }) as never,
  );
  const seen = await cluster.client.get(later, key('a'));
  expect(seen).toMatchObject({
    apiVersion: 'events.k8s.io/v1',
    regarding: { name: 'p' },
    note: 'hello',
    deprecatedCount: 2,
    metadata: { uid: made.metadata.uid },
  });
  const goodbye = (type: typeof later | typeof Events, field: string) =>
    cluster.client.patch(type as typeof later, key('a'), { type: 'merge', body: { [field]: 'goodbye' } });
  await goodbye(Events, 'message');
  expect(await cluster.client.get(later, key('a'))).toMatchObject({ note: 'goodbye', deprecatedCount: 2 });
  // The newer group's rules are stricter.
  await expect(goodbye(later, 'note')).rejects.toThrow('eventTime: Required value');
});
