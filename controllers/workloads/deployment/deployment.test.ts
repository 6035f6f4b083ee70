import { runInMemory, type TestRun } from '@trimtab/framework';
import {
  type Deployment,
  Deployments,
  Events,
  type Pod,
  Pods,
  type ReplicaSet,
  ReplicaSets,
  serviceUnavailable,
} from '@trimtab/machinery';
import fc from 'fast-check';
import { replicaSetController } from '../replicaset/controller.js';
import { simulatedNode } from '../simulated-node.js';
import { deploymentController } from './controller.js';
import { proportionally } from './sizes.js';
import { allowanceOf } from './strategy.js';

const key = { namespace: 'ns', name: 'web' };
const deployment = (replicas: number, image = 'v1', more: object = {}): Deployment => ({
  metadata: { ...key, annotations: { team: 'blue' } },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } },
    ...more,
  },
});

const start = (options: Parameters<typeof simulatedNode>[0] = { readyAfterMs: 1_000, stopsAfterMs: 1_000 }) =>
  runInMemory([deploymentController, replicaSetController, simulatedNode(options)]);
const get = (t: TestRun): Deployment => t.client.find(Deployments, key)!;
const sets = (t: TestRun): Record<string, number> =>
  Object.fromEntries(
    t.client.all(ReplicaSets).map((rs) => [rs.spec!.template!.spec!.containers[0]!.image, rs.spec!.replicas!]),
  );
const setOf = (t: TestRun, image: string): ReplicaSet =>
  t.client.all(ReplicaSets).find((rs) => rs.spec!.template!.spec!.containers[0]!.image === image)!;
const progressing = (t: TestRun) => get(t).status?.conditions?.find((c) => c.type === 'Progressing');
const patch = (t: TestRun, spec: object) => t.client.patch(Deployments, key, { type: 'merge', body: { spec } });
const image = (name: string) => ({ template: { spec: { containers: [{ name: 'c', image: name }] } } });
const REVISION = 'deployment.kubernetes.io/revision';

test('makes one ReplicaSet named after its template, and reports what kubectl rollout status reads', async () => {
  const t = await start();
  await t.client.create(Deployments, deployment(3));
  await t.pass();
  const rs = setOf(t, 'v1');
  const hash = rs.metadata.labels!['pod-template-hash']!;
  expect(rs).toMatchObject({
    metadata: {
      name: `web-${hash}`,
      annotations: {
        team: 'blue',
        [REVISION]: '1',
        'deployment.kubernetes.io/desired-replicas': '3',
        'deployment.kubernetes.io/max-replicas': '4',
      },
      ownerReferences: [{ kind: 'Deployment', name: 'web', controller: true }],
    },
    spec: {
      selector: { matchLabels: { app: 'web', 'pod-template-hash': hash } },
      template: { metadata: { labels: { app: 'web', 'pod-template-hash': hash } } },
    },
  });
  expect(hash).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{6,10}$/);
  expect(progressing(t)).toMatchObject({ status: 'True', reason: 'ReplicaSetUpdated' });
  expect(get(t).status?.conditions?.find((c) => c.type === 'Available')).toMatchObject({ status: 'False' });
  await t.pass(5_000);
  expect(get(t).metadata.annotations![REVISION]).toBe('1');
  expect(get(t).status).toMatchObject({
    replicas: 3,
    updatedReplicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    observedGeneration: 1,
  });
  expect(get(t).status?.unavailableReplicas).toBeUndefined();
  expect(progressing(t)).toMatchObject({
    status: 'True',
    reason: 'NewReplicaSetAvailable',
    message: `ReplicaSet "web-${hash}" has successfully progressed.`,
  });
  expect(get(t).status?.conditions?.find((c) => c.type === 'Available')).toMatchObject({
    status: 'True',
    reason: 'MinimumReplicasAvailable',
  });
  expect(t.client.all(Events).map((e) => e.message)).toContain(`Scaled up replica set web-${hash} from 0 to 3`);
  const writes = t.client.writes.length;
  await t.pass(24 * 3_600_000);
  expect(t.client.writes.length).toBe(writes);
});

test('a rolling update never exceeds the surge, never falls below availability, and ends with the old set empty', async () => {
  for (const [surge, unavailable] of [
    ['25%', '25%'],
    [1, 0],
    [0, 1],
    ['100%', 0],
    [0, 0],
  ] as const) {
    const t = await start();
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable } };
    await t.client.create(Deployments, deployment(8, 'v1', { strategy }));
    await t.pass(5_000);
    const { maxSurge, maxUnavailable } = allowanceOf(get(t));
    await patch(t, image('v2'));
    let seen = 0;
    for (let i = 0; i < 400; i++) {
      await t.pass(100);
      const sizes = Object.values(sets(t)).reduce((a, b) => a + b, 0);
      const ready = t.client
        .all(Pods)
        .filter((p) => !p.metadata.deletionTimestamp && p.status?.conditions?.[0]?.status === 'True').length;
      seen = Math.max(seen, sizes);
      expect(sizes).toBeLessThanOrEqual(8 + maxSurge);
      expect(ready).toBeGreaterThanOrEqual(8 - maxUnavailable);
    }
    expect(seen).toBe(8 + maxSurge);
    expect(sets(t)).toEqual({ v1: 0, v2: 8 });
    expect(get(t).metadata.annotations![REVISION]).toBe('2');
    expect(progressing(t)?.reason).toBe('NewReplicaSetAvailable');
  }
});

test('rolling back re-uses the old set under a new revision, and history is bounded', async () => {
  const t = await start();
  await t.client.create(Deployments, deployment(2, 'v1', { revisionHistoryLimit: 2 }));
  await t.pass(10_000);
  for (const v of ['v2', 'v3']) {
    await patch(t, image(v));
    await t.pass(20_000);
  }
  const first = setOf(t, 'v1').metadata.uid;
  await patch(t, image('v1'));
  await t.pass(20_000);
  expect(setOf(t, 'v1').metadata).toMatchObject({
    uid: first,
    annotations: { [REVISION]: '4', 'deployment.kubernetes.io/revision-history': '1' },
  });
  expect(sets(t)).toEqual({ v1: 2, v2: 0, v3: 0 });
  expect(get(t).metadata.annotations![REVISION]).toBe('4');
  await patch(t, image('v4'));
  await t.pass(20_000);
  expect(sets(t)).toEqual({ v1: 0, v3: 0, v4: 2 });
});

test('Recreate starts nothing new before the last old pod has ended', async () => {
  const t = await start({ readyAfterMs: 1_000, stopsAfterMs: 10_000 });
  await t.client.create(Deployments, deployment(3, 'v1', { strategy: { type: 'Recreate' } }));
  await t.pass(5_000);
  await patch(t, image('v2'));
  for (let i = 0; i < 9; i++) {
    await t.pass(1_000);
    expect(t.client.all(Pods).every((p) => p.metadata.deletionTimestamp)).toBe(true);
    expect(sets(t)).toEqual({ v1: 0 });
  }
  await t.pass(5_000);
  expect(sets(t)).toEqual({ v1: 0, v2: 3 });
  expect(get(t).status?.availableReplicas).toBe(3);
});

test('a paused Deployment scales but does not roll; resumed, it goes on with a fresh deadline', async () => {
  const t = await start();
  await t.client.create(Deployments, deployment(2));
  await t.pass(5_000);
  await patch(t, { paused: true });
  await t.pass();
  expect(progressing(t)).toMatchObject({ status: 'Unknown', reason: 'DeploymentPaused' });
  await patch(t, { ...image('v2'), replicas: 4 });
  await t.pass(5_000);
  expect(sets(t)).toEqual({ v1: 4 });
  await t.pass(3_600_000);
  await patch(t, { paused: false });
  await t.pass();
  expect(progressing(t)?.status).not.toBe('False');
  await t.pass(20_000);
  expect(sets(t)).toEqual({ v1: 0, v2: 4 });
  expect(progressing(t)?.reason).toBe('NewReplicaSetAvailable');
});

test('scaling in the middle of a rollout keeps the sets in proportion', async () => {
  const t = await start({ broken: (pod: Pod) => pod.metadata.annotations?.bad === 'yes' });
  const strategy = { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } };
  await t.client.create(Deployments, deployment(10, 'v1', { strategy }));
  await t.pass(5_000);
  await patch(t, { template: { metadata: { annotations: { bad: 'yes' } }, ...image('v2').template } });
  await t.pass(20_000);
  expect(sets(t)).toEqual({ v1: 8, v2: 5 });
  await patch(t, { replicas: 15 });
  await t.pass(5_000);
  expect(sets(t)).toEqual({ v1: 11, v2: 7 });
  await patch(t, { replicas: 0 });
  await t.pass(5_000);
  expect(sets(t)).toEqual({ v1: 0, v2: 0 });
});

test('no progress within the deadline shows as ProgressDeadlineExceeded, at the deadline; progress clears it', async () => {
  let broken = true;
  const t = await start({ broken: (pod) => broken && pod.metadata.annotations?.bad === 'yes' });
  await t.client.create(Deployments, deployment(2, 'v1', { progressDeadlineSeconds: 60 }));
  await t.pass(5_000);
  await patch(t, { template: { metadata: { annotations: { bad: 'yes' } } } });
  await t.pass(55_000);
  expect(progressing(t)?.status).toBe('True');
  await t.pass(10_000);
  expect(progressing(t)).toMatchObject({ status: 'False', reason: 'ProgressDeadlineExceeded' });
  expect([...t.running.runners[0]!.states.values()]).toEqual(['{"rolling":"stalled"}']);
  broken = false;
  for (const pod of t.client.all(Pods))
    await t.client.patch(
      Pods,
      { namespace: 'ns', name: pod.metadata.name! },
      { type: 'merge', body: { metadata: { labels: { x: 'y' } } } },
    );
  await t.pass(20_000);
  expect(progressing(t)).toMatchObject({ status: 'True', reason: 'NewReplicaSetAvailable' });
});

test('a name taken by a stranger is counted as a collision and avoided', async () => {
  const t = await start();
  await t.client.create(Deployments, deployment(1));
  await t.pass(5_000);
  const taken = setOf(t, 'v1').metadata.name!;
  await t.client.delete(Deployments, key);
  await t.client.delete(ReplicaSets, { namespace: 'ns', name: taken });
  await t.client.create(ReplicaSets, {
    metadata: { name: taken, namespace: 'ns' },
    spec: { replicas: 0, selector: { matchLabels: { other: 'x' } } },
  });
  await t.client.create(Deployments, deployment(1));
  await t.pass(5_000);
  const made = t.client.all(ReplicaSets).find((rs) => rs.metadata.ownerReferences?.length)!;
  expect(made.metadata.name).not.toBe(taken);
  expect(get(t).status).toMatchObject({ collisionCount: 1, availableReplicas: 1 });
});

test('failing to make the ReplicaSet is told, and mends itself', async () => {
  const t = await start();
  t.client.before = (call) => {
    if (call.verb === 'create' && call.resource === 'replicasets') throw new Error('admission says no');
  };
  await t.client.create(Deployments, deployment(1));
  await t.pass(1_000);
  expect(progressing(t)).toMatchObject({
    status: 'False',
    reason: 'ReplicaSetCreateError',
    message: 'admission says no',
  });
  t.client.before = () => {};
  await t.pass(30_000);
  expect(get(t).status?.availableReplicas).toBe(1);
  expect(progressing(t)?.reason).toBe('NewReplicaSetAvailable');
});

test('proportional sizes always add up to the allowed total', () => {
  const set = (name: string, replicas: number, max: number): ReplicaSet => ({
    metadata: { name, uid: name, annotations: { 'deployment.kubernetes.io/max-replicas': String(max) } },
    spec: { replicas, selector: {} },
    status: { replicas },
  });
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 5 }),
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 0, max: 10 }),
      (sizes, wanted, maxSurge) => {
        const total = sizes.reduce((a, b) => a + b, 0);
        const all = sizes.map((size, i) => set(`s${i}`, size, total));
        const result = proportionally(all[0], all.slice(1), true, { wanted, maxSurge, maxUnavailable: 0 }, total);
        const sum = result.reduce((a, { to }) => a + to, 0);
        expect(result.every(({ to }) => to >= 0)).toBe(true);
        expect(sum).toBe(wanted + maxSurge);
      },
    ),
  );
});

test('whatever single request fails or whichever answer is lost, and wherever it restarts, the rollout completes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 60 }),
      fc.constantFrom('refused', 'lost', 'restart'),
      async (at, fault) => {
        let t = await start({ readyAfterMs: 50, stopsAfterMs: 50 });
        let count = 0;
        let restarting: Promise<TestRun> | undefined;
        const trigger = () => {
          if (count++ !== at) return;
          if (fault === 'restart') restarting = t.restart();
          throw serviceUnavailable('fault');
        };
        await t.client.create(Deployments, deployment(3));
        await t.pass(2_000);
        await patch(t, image('v2'));
        if (fault === 'lost') t.client.after = trigger;
        else t.client.before = trigger;
        await t.pass(5_000);
        if (restarting) t = await restarting;
        await t.pass(60_000);
        expect(sets(t)).toEqual({ v1: 0, v2: 3 });
        expect(t.client.all(Pods)).toHaveLength(3);
        expect(progressing(t)?.reason).toBe('NewReplicaSetAvailable');
        const writes = t.client.writes.length;
        await t.pass(3_600_000);
        expect(t.client.writes.length).toBe(writes);
        await t.stop();
      },
    ),
    { numRuns: 60 },
  );
});
