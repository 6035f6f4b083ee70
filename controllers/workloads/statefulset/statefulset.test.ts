import { runInMemory, type TestRun } from '@trimtab/framework';
import {
  ControllerRevisions,
  Events,
  PersistentVolumeClaims,
  type Pod,
  Pods,
  type StatefulSet,
  StatefulSets,
  serviceUnavailable,
} from '@trimtab/machinery';
import { simulatedNode } from '../simulated-node.js';
import { statefulSetController } from './controller.js';

const key = { namespace: 'ns', name: 'web' };
const set = (replicas: number, more: object = {}): StatefulSet => ({
  metadata: key,
  spec: {
    replicas,
    serviceName: 'peers',
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'v1' }] } },
    ...more,
  },
});
const volumeClaimTemplates = [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }];

const start = (options: Parameters<typeof simulatedNode>[0] = {}): Promise<TestRun> =>
  runInMemory([statefulSetController, simulatedNode({ readyAfterMs: 1_000, stopsAfterMs: 1_000, ...options })]);
const status = (t: TestRun) => t.client.find(StatefulSets, key)!.status!;
const patch = (t: TestRun, spec: object) => t.client.patch(StatefulSets, key, { type: 'merge', body: { spec } });
const image = (name: string) => ({ template: { spec: { containers: [{ name: 'c', image: name }] } } });
const imageOf = (pod: Pod) => pod.spec!.containers[0]!.image!;
const images = (t: TestRun): Record<string, string> =>
  Object.fromEntries(
    t.client
      .all(Pods)
      .map((pod) => [pod.metadata.name!, imageOf(pod)] as const)
      .sort(),
  );
const created = (t: TestRun) =>
  t.client.writes.filter((line) => line.startsWith('create pods')).map((line) => line.split('/').at(-1));

test('takes its places in order, each when the one before is available, with a stable name', async () => {
  const t = await start();
  await t.client.create(StatefulSets, set(3, { minReadySeconds: 5 }));
  await t.pass(4_000);
  expect(Object.keys(images(t))).toEqual(['web-0']);
  expect(status(t)).toMatchObject({ replicas: 1, readyReplicas: 1, availableReplicas: 0 });
  await t.pass(20_000);
  expect(created(t)).toEqual(['web-0', 'web-1', 'web-2']);
  const [revision] = t.client.all(ControllerRevisions);
  expect(status(t)).toEqual({
    replicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    currentReplicas: 3,
    updatedReplicas: 3,
    currentRevision: revision!.metadata.name,
    updateRevision: revision!.metadata.name,
    collisionCount: 0,
    observedGeneration: 1,
  });
  expect(t.client.find(Pods, { namespace: 'ns', name: 'web-1' })).toMatchObject({
    metadata: {
      labels: {
        app: 'web',
        'statefulset.kubernetes.io/pod-name': 'web-1',
        'apps.kubernetes.io/pod-index': '1',
        'controller-revision-hash': revision!.metadata.name,
      },
      ownerReferences: [{ kind: 'StatefulSet', name: 'web', controller: true }],
    },
    spec: { hostname: 'web-1', subdomain: 'peers' },
  });
  expect(t.client.all(Events).map((each) => each.message)).toContain('create Pod web-0 in StatefulSet web successful');
  const writes = t.client.writes.length;
  await t.pass(24 * 3_600_000);
  expect(t.client.writes.length).toBe(writes);
});

test('scales down from the top, one at a time; Parallel takes and leaves places all at once', async () => {
  const t = await start();
  await t.client.create(StatefulSets, set(4));
  await t.pass(10_000);
  await patch(t, { replicas: 1 });
  await t.pass();
  expect(t.client.all(Pods).filter((pod) => pod.metadata.deletionTimestamp)).toHaveLength(1);
  await t.pass(30_000);
  expect(Object.keys(images(t))).toEqual(['web-0']);
  const removed = t.client.all(Events).flatMap(({ message = '' }) => /^delete Pod (\S+)/.exec(message)?.[1] ?? []);
  expect(removed).toEqual(['web-3', 'web-2', 'web-1']);
  const p = await start();
  await p.client.create(StatefulSets, set(4, { podManagementPolicy: 'Parallel', ordinals: { start: 2 } }));
  await p.pass();
  expect(Object.keys(images(p))).toEqual(['web-2', 'web-3', 'web-4', 'web-5']);
  await p.pass(2_000);
  await patch(p, { replicas: 1 });
  await p.pass();
  expect(p.client.all(Pods).filter((pod) => pod.metadata.deletionTimestamp)).toHaveLength(3);
});

test('a rolling update goes from the top to the partition, waits for each, and then becomes current', async () => {
  const t = await start();
  const partition = (n: number) => ({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: n } } });
  await t.client.create(StatefulSets, set(3, partition(2)));
  await t.pass(10_000);
  const before = status(t).currentRevision;
  await patch(t, image('v2'));
  await t.pass(60_000);
  expect(images(t)).toEqual({ 'web-0': 'v1', 'web-1': 'v1', 'web-2': 'v2' });
  expect(status(t)).toMatchObject({ currentRevision: before, currentReplicas: 2, updatedReplicas: 1 });
  expect(status(t).updateRevision).not.toBe(before);
  // One that goes below the partition comes back as it was, also after a restart of the controller.
  await t.client.delete(Pods, { namespace: 'ns', name: 'web-0' });
  const u = await t.restart();
  await u.pass(60_000);
  expect(images(u)['web-0']).toBe('v1');
  await patch(u, partition(0));
  let fewest = 3;
  for (let i = 0; i < 100; i++) {
    await u.pass(200);
    const running = u.client.all(Pods).filter((pod) => !pod.metadata.deletionTimestamp);
    fewest = Math.min(fewest, running.filter((pod) => pod.status?.phase === 'Running').length);
  }
  expect(fewest).toBe(2);
  expect(images(u)).toEqual({ 'web-0': 'v2', 'web-1': 'v2', 'web-2': 'v2' });
  expect(status(u).currentRevision).toBe(status(u).updateRevision);
  expect(status(u)).toMatchObject({ currentReplicas: 3, updatedReplicas: 3 });
});

test('OnDelete replaces what somebody deletes; a rollback brings the old template and a new number', async () => {
  const t = await start();
  await t.client.create(StatefulSets, set(2, { updateStrategy: { type: 'OnDelete' }, revisionHistoryLimit: 1 }));
  await t.pass(10_000);
  await patch(t, image('v2'));
  await t.pass(30_000);
  expect(images(t)).toEqual({ 'web-0': 'v1', 'web-1': 'v1' });
  await t.client.delete(Pods, { namespace: 'ns', name: 'web-0' });
  await t.pass(60_000);
  expect(images(t)).toEqual({ 'web-0': 'v2', 'web-1': 'v1' });
  await patch(t, { ...image('v1'), updateStrategy: { type: 'RollingUpdate' } });
  await t.pass(60_000);
  expect(images(t)).toEqual({ 'web-0': 'v1', 'web-1': 'v1' });
  expect(t.client.all(ControllerRevisions).map((each) => each.revision)).toEqual([3, 2]);
  for (const name of ['v3', 'v4', 'v5']) {
    await patch(t, image(name));
    await t.pass(60_000);
  }
  expect(images(t)).toEqual({ 'web-0': 'v5', 'web-1': 'v5' });
  expect(t.client.all(ControllerRevisions)).toHaveLength(2);
});

test('ended pods come back; an unready one holds an ordered set up', async () => {
  const t = await start({
    broken: (pod) => imageOf(pod) === 'bad',
    ends: (pod) =>
      pod.metadata.name === 'web-1' && pod.metadata.uid! < 'uid-9' && imageOf(pod) === 'v1'
        ? { afterMs: 5_000, status: { phase: 'Failed' } }
        : undefined,
  });
  await t.client.create(StatefulSets, set(2));
  await t.pass(60_000);
  expect(status(t)).toMatchObject({ readyReplicas: 2 });
  expect(t.client.all(Events).map((each) => each.reason)).toContain('RecreatingFailedPod');
  await patch(t, { ...image('bad'), replicas: 4 });
  await t.pass(600_000);
  expect(images(t)).toEqual({ 'web-0': 'v1', 'web-1': 'v1', 'web-2': 'bad' });
});

const claims = (t: TestRun) =>
  Object.fromEntries(
    t.client
      .all(PersistentVolumeClaims)
      .map(({ metadata }) => [
        metadata.name,
        (metadata.ownerReferences ?? []).map(({ kind, name }) => `${kind} ${name}`),
      ]),
  );

test('each replica has its own claims, which outlive it, the set and a crash', async () => {
  for (let crash = 0; crash <= 8; crash++) {
    let t = await start();
    let writes = 0;
    t.client.after = (call) => {
      if (call.verb === 'get' || call.verb === 'list' || call.resource === 'events') return;
      if (++writes === crash) throw serviceUnavailable('lost');
    };
    await t.client.create(StatefulSets, set(2, { volumeClaimTemplates })).catch(() => {});
    await t.pass(500);
    t = await t.restart();
    await t.pass(60_000);
    expect(claims(t)).toEqual({ 'data-web-0': [], 'data-web-1': [] });
    expect(t.client.find(Pods, { namespace: 'ns', name: 'web-1' })!.spec!.volumes).toEqual([
      { name: 'data', persistentVolumeClaim: { claimName: 'data-web-1' } },
    ]);
    expect(t.client.find(PersistentVolumeClaims, { namespace: 'ns', name: 'data-web-1' })!.metadata.labels).toEqual({
      app: 'web',
    });
    expect(created(t)).toHaveLength(2);
    await patch(t, { replicas: 0 });
    await t.pass(60_000);
    expect(Object.keys(claims(t))).toEqual(['data-web-0', 'data-web-1']);
    await t.stop();
  }
});

test('claims go with the set or with pods beyond the wanted number, where that is asked for', async () => {
  const t = await start({ stopsAfterMs: 20_000 });
  const policy = (whenDeleted: string, whenScaled: string) => ({
    persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled },
  });
  await t.client.create(StatefulSets, set(2, { volumeClaimTemplates, ...policy('Delete', 'Delete') }));
  await t.pass(30_000);
  expect(claims(t)).toEqual({ 'data-web-0': ['StatefulSet web'], 'data-web-1': ['StatefulSet web'] });
  await patch(t, { replicas: 1 });
  await t.pass(5_000);
  expect(claims(t)).toEqual({ 'data-web-0': ['StatefulSet web'], 'data-web-1': ['Pod web-1'] });
  await t.pass(60_000);
  // Until the garbage collector has taken the claim, its place is not taken again.
  await patch(t, { replicas: 2 });
  await t.pass(60_000);
  expect(Object.keys(images(t))).toEqual(['web-0']);
  await t.client.delete(PersistentVolumeClaims, { namespace: 'ns', name: 'data-web-1' });
  await t.pass(60_000);
  expect(Object.keys(images(t))).toEqual(['web-0', 'web-1']);
  await patch(t, policy('Retain', 'Retain'));
  await t.pass(1_000);
  expect(claims(t)).toEqual({ 'data-web-0': [], 'data-web-1': [] });
});
