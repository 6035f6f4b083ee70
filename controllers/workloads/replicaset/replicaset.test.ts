import { runInMemory } from '@trimtab/framework';
import {
  Events,
  type Pod,
  Pods,
  type ReplicaSet,
  ReplicaSets,
  serviceUnavailable,
  timestamp,
} from '@trimtab/machinery';
import fc from 'fast-check';
import { simulatedNode } from '../simulated-node.js';
import { replicaSetController } from './controller.js';
import { rankForDeletion } from './ranking.js';

const key = { namespace: 'ns', name: 'web' };
const replicaSet = (replicas: number, more: Partial<NonNullable<ReplicaSet['spec']>> = {}): ReplicaSet => ({
  metadata: key,
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    ...more,
  },
});
const start = (node = simulatedNode()) => runInMemory([replicaSetController, node]);

test('makes pods from the template, owned and named after the set, and tells how many are ready', async () => {
  const t = await start();
  const made = await t.client.create(ReplicaSets, replicaSet(3));
  await t.pass();
  const pods = t.client.all(Pods);
  expect(pods).toHaveLength(3);
  expect(pods[0]).toMatchObject({
    metadata: {
      name: expect.stringMatching(/^web-[a-z0-9]{5}$/),
      generateName: 'web-',
      labels: { app: 'web' },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: made.metadata.uid, controller: true },
      ],
    },
  });
  expect(t.client.find(ReplicaSets, key)?.status).toEqual({
    replicas: 3,
    fullyLabeledReplicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    observedGeneration: 1,
  });
  expect(t.client.all(Events).map((e) => e.message!.replace(/[a-z0-9]{5}$/, '?'))).toEqual(
    Array(3).fill('Created pod: web-?'),
  );
  const writes = t.client.writes.length;
  await t.pass(24 * 3_600_000);
  expect(t.client.writes.length).toBe(writes);
});

test('replaces pods that fail or are deleted, at once and not before', async () => {
  const t = await start(simulatedNode({ stopsAfterMs: 5_000 }));
  await t.client.create(ReplicaSets, replicaSet(2));
  await t.pass();
  const [first, second] = t.client.all(Pods);
  await t.client.delete(Pods, { namespace: 'ns', name: first!.metadata.name! });
  await t.pass();
  expect(t.client.all(Pods)).toHaveLength(3);
  expect(t.client.find(ReplicaSets, key)?.status?.replicas).toBe(2);
  await t.pass(5_000);
  expect(t.client.all(Pods)).toHaveLength(2);
  await t.client.patch(
    Pods,
    { namespace: 'ns', name: second!.metadata.name! },
    { type: 'merge', body: { status: { phase: 'Failed' } } },
    { subresource: 'status' },
  );
  await t.pass();
  expect(t.client.all(Pods).filter((p) => p.status?.phase === 'Running')).toHaveLength(2);
});

test('adopts matching orphans, lets go of pods whose labels left, and never takes another controller’s', async () => {
  const t = await start();
  const pod = (name: string, more: Partial<Pod['metadata']> = {}): Pod => ({
    metadata: { name, namespace: 'ns', labels: { app: 'web' }, ...more },
    spec: { containers: [] },
  });
  await t.client.create(Pods, pod('orphan'));
  await t.client.create(
    Pods,
    pod('foreign', {
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'x', uid: 'x', controller: true }],
    }),
  );
  await t.client.create(ReplicaSets, replicaSet(2));
  await t.pass();
  expect(t.client.find(Pods, { namespace: 'ns', name: 'orphan' })?.metadata.ownerReferences?.[0]?.name).toBe('web');
  expect(t.client.find(Pods, { namespace: 'ns', name: 'foreign' })?.metadata.ownerReferences?.[0]?.name).toBe('x');
  expect(t.client.all(Pods)).toHaveLength(3);
  await t.client.patch(
    Pods,
    { namespace: 'ns', name: 'orphan' },
    { type: 'merge', body: { metadata: { labels: { app: 'debug' } } } },
  );
  await t.pass();
  expect(t.client.find(Pods, { namespace: 'ns', name: 'orphan' })?.metadata.ownerReferences).toBeUndefined();
  expect(t.client.all(Pods)).toHaveLength(4);
  await t.client.create(Pods, pod('late'));
  await t.pass();
  expect(t.client.find(ReplicaSets, key)?.status?.replicas).toBe(2);
  expect(t.client.all(Pods)).toHaveLength(4);
});

test('adopts nothing for an owner that only a cache behind still knows', async () => {
  const t = await start();
  await t.client.create(ReplicaSets, replicaSet(1));
  await t.pass();
  const [pod] = t.client.all(Pods);
  t.client.freeze(ReplicaSets);
  await t.client.delete(ReplicaSets, key);
  await t.client.patch(
    Pods,
    { namespace: 'ns', name: pod!.metadata.name! },
    { type: 'merge', body: { metadata: { ownerReferences: null } } },
  );
  await t.pass(1_000);
  expect(t.client.all(Pods)).toHaveLength(1);
  expect(t.client.all(Pods)[0]!.metadata.ownerReferences).toBeUndefined();
  t.client.thaw();
  await t.client.create(ReplicaSets, replicaSet(1));
  await t.pass(60_000);
  const [again] = t.client.all(ReplicaSets);
  expect(t.client.all(Pods).map((p) => p.metadata.ownerReferences?.[0]?.uid)).toEqual([again!.metadata.uid]);
});

test('a pod counts as available after minReadySeconds, exactly', async () => {
  const t = await start();
  await t.client.create(ReplicaSets, replicaSet(1, { minReadySeconds: 30 }));
  await t.pass(29_900);
  expect(t.client.find(ReplicaSets, key)?.status).toMatchObject({ readyReplicas: 1 });
  expect(t.client.find(ReplicaSets, key)?.status?.availableReplicas).toBeUndefined();
  await t.pass(200);
  expect(t.client.find(ReplicaSets, key)?.status?.availableReplicas).toBe(1);
});

test('failing to make pods shows as ReplicaFailure until it works, with few requests', async () => {
  const t = await start();
  let refused = 0;
  t.client.before = (call) => {
    if (call.verb === 'create' && call.resource === 'pods') {
      refused++;
      throw new Error('exceeded quota');
    }
  };
  await t.client.create(ReplicaSets, replicaSet(50));
  await t.pass(1_000);
  expect(refused).toBeLessThan(12);
  expect(t.client.find(ReplicaSets, key)?.status?.conditions).toMatchObject([
    { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' },
  ]);
  t.client.before = () => {};
  await t.pass(10_000);
  expect(t.client.find(ReplicaSets, key)?.status).toMatchObject({ replicas: 50, availableReplicas: 50 });
  expect(t.client.find(ReplicaSets, key)?.status?.conditions).toBeUndefined();
});

test('a deleted set makes no more pods', async () => {
  const t = await start();
  await t.client.create(ReplicaSets, { ...replicaSet(1), metadata: { ...key, finalizers: ['x/y'] } });
  await t.pass();
  await t.client.delete(ReplicaSets, key);
  const [pod] = t.client.all(Pods);
  await t.client.delete(Pods, { namespace: 'ns', name: pod!.metadata.name! });
  await t.pass();
  expect(t.client.all(Pods)).toHaveLength(0);
});

test('any single lost answer or refused request ends with the right number of pods and nothing left over', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 40 }),
      fc.boolean(),
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 }),
      async (at, lost, sizes) => {
        const t = await start(simulatedNode({ readyAfterMs: 100 }));
        let count = 0;
        const fault = () => {
          if (count++ === at) throw serviceUnavailable('fault');
        };
        await t.client.create(ReplicaSets, replicaSet(0));
        if (lost) t.client.after = fault;
        else t.client.before = fault;
        for (const replicas of sizes) {
          await t.client
            .patch(ReplicaSets, key, { type: 'merge', body: { spec: { replicas } } })
            .catch(() => undefined);
          await t.pass(20);
        }
        await t.pass(60_000);
        const wanted = t.client.find(ReplicaSets, key)!.spec!.replicas!;
        expect(t.client.all(Pods)).toHaveLength(wanted);
        expect(t.client.find(ReplicaSets, key)?.status?.availableReplicas ?? 0).toBe(wanted);
        await t.stop();
      },
    ),
    { numRuns: 60 },
  );
});

describe('which pods go first', () => {
  const now = Date.UTC(2026, 0, 2);
  const pod = (
    name: string,
    o: { node?: string; phase?: string; ready?: number; cost?: string; restarts?: number } = {},
  ): Pod => ({
    metadata: {
      name,
      uid: name,
      creationTimestamp: timestamp(now - 3_600_000),
      ...(o.cost ? { annotations: { 'controller.kubernetes.io/pod-deletion-cost': o.cost } } : {}),
    },
    spec: { containers: [], ...(o.node ? { nodeName: o.node } : {}) },
    status: {
      phase: o.phase ?? 'Running',
      ...(o.ready === undefined
        ? {}
        : { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: timestamp(now - o.ready) }] }),
      containerStatuses: [{ name: 'c', restartCount: o.restarts ?? 0, ready: true, image: '', imageID: '' }],
    },
  });
  const order = (...pods: Pod[]) => rankForDeletion(pods, pods, now).map((p) => p.metadata.name);

  test('unassigned, pending, unready, cheap, crowded, fresh, restarted', () => {
    const full = { node: 'n', phase: 'Running', ready: 3_600_000 };
    expect(order(pod('assigned', { node: 'n', phase: 'Pending' }), pod('unassigned', { phase: 'Pending' }))).toEqual([
      'unassigned',
      'assigned',
    ]);
    expect(order(pod('running', full), pod('pending', { node: 'n', phase: 'Pending' }))).toEqual([
      'pending',
      'running',
    ]);
    expect(order(pod('ready', full), pod('unready', { node: 'n' }))).toEqual(['unready', 'ready']);
    expect(
      order(
        pod('dear', { ...full, cost: '5' }),
        pod('cheap', { ...full, cost: '-5' }),
        pod('odd', { ...full, cost: '007' }),
      ),
    ).toEqual(['cheap', 'odd', 'dear']);
    expect(order(pod('alone', { ...full, node: 'm' }), pod('a', full), pod('b', full)).at(-1)).toBe('alone');
    expect(order(pod('old', full), pod('fresh', { ...full, ready: 1_000 }))).toEqual(['fresh', 'old']);
    expect(order(pod('calm', full), pod('restless', { ...full, restarts: 9 }))).toEqual(['restless', 'calm']);
  });
});
