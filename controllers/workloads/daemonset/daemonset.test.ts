import { controllerOf, runInMemory, type TestRun } from '@trimtab/framework';
import {
  ControllerRevisions,
  type DaemonSet,
  DaemonSets,
  Events,
  type KubeObject,
  type Node,
  Nodes,
  type Pod,
  Pods,
  serviceUnavailable,
} from '@trimtab/machinery';
import { simulatedNode } from '../simulated-node.js';
import { daemonSetController } from './controller.js';
import { daemonPod, nodeOf } from './daemon-pod.js';

const key = { namespace: 'ns', name: 'agent' };
const daemonSet = (image = 'v1', more: object = {}, template: object = {}): DaemonSet => ({
  metadata: { ...key, annotations: { team: 'blue' } },
  spec: {
    selector: { matchLabels: { app: 'agent' } },
    template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'c', image }], ...template } },
    ...more,
  },
});
const node = (name: string, more: { labels?: Record<string, string>; spec?: Node['spec'] } = {}): Node => ({
  metadata: { name, labels: more.labels ?? {} },
  spec: more.spec ?? {},
});

type Simulated = Parameters<typeof simulatedNode>[0];
async function start(options: Simulated = {}, nodes = 3): Promise<TestRun> {
  const simulated = simulatedNode({ readyAfterMs: 1_000, stopsAfterMs: 1_000, nodeFor: (p) => nodeOf(p)!, ...options });
  const t = await runInMemory([daemonSetController, simulated]);
  for (let i = 1; i <= nodes; i++) await t.client.create(Nodes, node(`node-${i}`));
  await t.pass();
  return t;
}
const status = (t: TestRun) => t.client.find(DaemonSets, key)!.status!;
const patch = (t: TestRun, spec: object) => t.client.patch(DaemonSets, key, { type: 'merge', body: { spec } });
const image = (name: string) => ({ template: { spec: { containers: [{ name: 'c', image: name }] } } });
const images = (t: TestRun): Record<string, string> =>
  Object.fromEntries(t.client.all(Pods).map((pod) => [pod.spec!.nodeName!, pod.spec!.containers[0]!.image!]));
const isReady = (pod: Pod) => !pod.metadata.deletionTimestamp && pod.status?.conditions?.[0]?.status === 'True';

test('one pod a node, bound by affinity, with what Kubernetes tolerates for it, and no write at rest', async () => {
  const t = await start();
  await t.client.create(DaemonSets, daemonSet());
  await t.pass(5_000);
  expect(status(t)).toEqual({
    currentNumberScheduled: 3,
    desiredNumberScheduled: 3,
    numberMisscheduled: 0,
    numberReady: 3,
    numberAvailable: 3,
    updatedNumberScheduled: 3,
    observedGeneration: 1,
  });
  const [pod] = t.client.all(Pods);
  const [revision] = t.client.all(ControllerRevisions);
  const hash = revision!.metadata.labels!['controller-revision-hash'];
  expect(pod).toMatchObject({
    metadata: {
      labels: { app: 'agent', 'controller-revision-hash': hash },
      ownerReferences: [{ kind: 'DaemonSet', name: 'agent', controller: true }],
    },
    spec: { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {} } } },
  });
  expect(pod!.spec!.tolerations!.map((one) => `${one.key}:${one.effect}`)).toEqual([
    'node.kubernetes.io/not-ready:NoExecute',
    'node.kubernetes.io/unreachable:NoExecute',
    'node.kubernetes.io/disk-pressure:NoSchedule',
    'node.kubernetes.io/memory-pressure:NoSchedule',
    'node.kubernetes.io/pid-pressure:NoSchedule',
    'node.kubernetes.io/unschedulable:NoSchedule',
  ]);
  expect(revision).toMatchObject({
    metadata: { name: `agent-${hash}`, annotations: { team: 'blue' } },
    revision: 1,
    data: { spec: { template: { $patch: 'replace', spec: { containers: [{ image: 'v1' }] } } } },
  });
  const writes = t.client.writes.length;
  await t.pass(24 * 3_600_000);
  expect(t.client.writes.length).toBe(writes);
});

test('nodes come, go, are tainted, cordoned and relabelled', async () => {
  const t = await start();
  await t.client.create(DaemonSets, daemonSet('v1', {}, { nodeSelector: { disk: 'ssd' } }));
  await t.pass(2_000);
  expect(status(t)).toMatchObject({ desiredNumberScheduled: 0, currentNumberScheduled: 0 });
  const label = (name: string, labels: object) =>
    t.client.patch(Nodes, { name }, { type: 'merge', body: { metadata: { labels } } });
  const spec = (name: string, body: object) => t.client.patch(Nodes, { name }, { type: 'merge', body: { spec: body } });
  await label('node-1', { disk: 'ssd' });
  await label('node-2', { disk: 'ssd' });
  await t.pass(5_000);
  expect(images(t)).toEqual({ 'node-1': 'v1', 'node-2': 'v1' });
  await spec('node-1', {
    unschedulable: true,
    taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }],
  });
  await spec('node-2', { taints: [{ key: 'mine', effect: 'NoSchedule' }] });
  await t.pass(5_000);
  // Neither a cordon nor NoSchedule drives a pod away; only the second makes the node one that should have none.
  expect(images(t)).toEqual({ 'node-1': 'v1', 'node-2': 'v1' });
  expect(status(t)).toMatchObject({ desiredNumberScheduled: 1, numberMisscheduled: 1 });
  await spec('node-2', { taints: [{ key: 'mine', effect: 'NoExecute' }] });
  await t.pass(60_000);
  expect(images(t)).toEqual({ 'node-1': 'v1' });
  await label('node-1', { disk: null });
  await t.pass(60_000);
  expect(images(t)).toEqual({});
});

test('a rolling update keeps to maxUnavailable, one with a surge never has a node without; both end complete', async () => {
  for (const [rollingUpdate, least, most] of [
    [{ maxUnavailable: 1 }, 4, 5],
    [{ maxUnavailable: '40%' }, 3, 5],
    [{ maxUnavailable: 0, maxSurge: 2 }, 5, 7],
  ] as const) {
    const t = await start({}, 5);
    const updateStrategy = { type: 'RollingUpdate', rollingUpdate };
    await t.client.create(DaemonSets, daemonSet('v1', { updateStrategy, minReadySeconds: 3 }));
    await t.pass(10_000);
    await patch(t, image('v2'));
    let fewest = 9;
    let largest = 0;
    for (let i = 0; i < 200; i++) {
      await t.pass(250);
      const pods = t.client.all(Pods).filter((pod) => !pod.metadata.deletionTimestamp);
      fewest = Math.min(fewest, pods.filter(isReady).length);
      largest = Math.max(largest, pods.length);
    }
    expect([fewest, largest]).toEqual([least, most]);
    await t.pass(60_000);
    expect(new Set(Object.values(images(t)))).toEqual(new Set(['v2']));
    expect(status(t)).toMatchObject({ numberAvailable: 5, updatedNumberScheduled: 5 });
    await t.stop();
  }
});

test('a template that does not work stops the update; going back replaces only what was changed and renumbers', async () => {
  const t = await start({ broken: (pod) => pod.spec!.containers[0]!.image === 'bad' });
  await t.client.create(DaemonSets, daemonSet());
  await t.pass(5_000);
  await patch(t, image('bad'));
  await t.pass(600_000);
  expect(Object.values(images(t)).sort()).toEqual(['bad', 'v1', 'v1']);
  await patch(t, image('v1'));
  await t.pass(120_000);
  expect(Object.values(images(t))).toEqual(['v1', 'v1', 'v1']);
  const revisions = t.client.all(ControllerRevisions).map((each) => each.revision);
  expect(revisions.sort()).toEqual([2, 3]);
});

test('OnDelete replaces what somebody deletes; history beyond the limit goes', async () => {
  const t = await start();
  await t.client.create(DaemonSets, daemonSet('v1', { updateStrategy: { type: 'OnDelete' }, revisionHistoryLimit: 1 }));
  await t.pass(5_000);
  for (const name of ['v2', 'v3', 'v4', 'v5']) {
    await patch(t, image(name));
    await t.pass(60_000);
  }
  expect(Object.values(images(t))).toEqual(['v1', 'v1', 'v1']);
  // Those of pods that are there still do not count.
  expect(t.client.all(ControllerRevisions)).toHaveLength(3);
  const pod = t.client.all(Pods).find((each) => each.spec!.nodeName === 'node-2')!;
  await t.client.delete(Pods, { namespace: 'ns', name: pod.metadata.name! });
  await t.pass(60_000);
  expect(images(t)).toEqual({ 'node-1': 'v1', 'node-2': 'v5', 'node-3': 'v1' });
});

test('failed pods are replaced with growing patience, which a new controller has too', async () => {
  const failed = { phase: 'Failed' };
  let t = await start({ ends: () => ({ afterMs: 100, status: failed }) }, 1);
  await t.client.create(DaemonSets, daemonSet());
  const made = () => t.client.writes.filter((line) => line.startsWith('create pods')).length;
  await t.pass(60_000);
  const before = made();
  expect(before).toBeGreaterThan(3);
  expect(before).toBeLessThan(8);
  t = await t.restart();
  await t.pass(30_000);
  expect(made()).toBeLessThanOrEqual(before + 1);
  expect(t.client.all(Events).map((each) => each.reason)).toContain('FailedDaemonPod');
});

test('a crash after any write, a lost answer or a refused one leaves exactly one pod a node', async () => {
  for (let crash = 1; crash <= 10; crash++) {
    let t = await start({}, 3);
    let writes = 0;
    let lost = false;
    t.client.after = (call) => {
      if (call.verb === 'get' || call.verb === 'list' || call.resource === 'events') return;
      if (++writes === crash) {
        lost = true;
        throw serviceUnavailable('lost');
      }
    };
    await t.client.create(DaemonSets, daemonSet()).catch(() => {});
    await t.pass();
    if (lost) t = await t.restart();
    await t.pass(5_000);
    await patch(t, image('v2')).catch(() => {});
    t = await t.restart();
    await t.pass(60_000);
    expect(images(t)).toEqual({ 'node-1': 'v2', 'node-2': 'v2', 'node-3': 'v2' });
    expect(t.client.all(Pods)).toHaveLength(3);
    expect(t.client.all(ControllerRevisions).map((each) => each.revision)).toEqual([1, 2]);
    await t.stop();
  }
});

test('made anew after its pods and templates were orphaned it takes both in and restarts nothing', async () => {
  const t = await start();
  await t.client.create(DaemonSets, daemonSet());
  await t.pass(5_000);
  await patch(t, image('v2'));
  await t.pass(60_000);
  const uids = () => t.client.all(Pods).map(({ metadata }) => metadata.uid);
  const before = uids();
  await t.stop();
  for (const type of [Pods, ControllerRevisions] as const)
    for (const { metadata } of t.client.all<KubeObject>(type))
      await t.client.patch<KubeObject>(
        type,
        { namespace: 'ns', name: metadata.name! },
        { type: 'merge', body: { metadata: { ownerReferences: null } } },
      );
  await t.client.delete(DaemonSets, key);
  await t.client.create(DaemonSets, daemonSet('v2'));
  const v = await t.restart();
  await v.pass(60_000);
  expect(uids()).toEqual(before);
  expect(v.client.all(ControllerRevisions).map((each) => [each.revision, controllerOf(each)?.name])).toEqual([
    [1, 'agent'],
    [2, 'agent'],
  ]);
});

test('takes in a pod nobody controls, and tells of pods it may not make', async () => {
  const t = await start({}, 2);
  const orphan = daemonPod(daemonSet(), 'node-1', 'x');
  const { generateName: _, ownerReferences: __, ...metadata } = orphan.metadata;
  await t.client.create(Pods, { ...orphan, metadata: { ...metadata, name: 'orphan' } });
  t.client.before = (call) => {
    if (call.verb === 'create' && call.resource === 'pods') throw serviceUnavailable('quota');
  };
  await t.client.create(DaemonSets, daemonSet());
  await t.pass(3_000);
  expect(controllerOf(t.client.find(Pods, { namespace: 'ns', name: 'orphan' })!)?.name).toBe('agent');
  expect(status(t)).toMatchObject({ desiredNumberScheduled: 2, currentNumberScheduled: 1, numberUnavailable: 1 });
  expect(t.client.all(Events).map((each) => each.message)).toContain('Error creating: quota');
});
