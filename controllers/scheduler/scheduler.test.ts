import { Events, Nodes, type Pod, Pods, PriorityClasses } from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { interPodAffinity } from './plugins/inter-pod-affinity.js';
import { nodeResourcesFit } from './plugins/node-resources.js';
import { PROFILES } from './profile.js';
import { SchedulingQueue } from './queue.js';
import { Scheduler } from './scheduler.js';
import { node, pod as testPod } from './testing.js';

let w: World;
let scheduler: Scheduler;
const logged: string[] = [];

beforeEach(async () => {
  logged.length = 0;
  w = await world();
  const warn = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { ...w.logger, warn, error: warn, child: () => logger };
  scheduler = new Scheduler({ ...w, logger });
  const started = scheduler.start();
  await w.pass();
  await started;
});

afterEach(async () => {
  const stopped = scheduler.stop();
  await w.pass();
  await stopped;
  await w.close();
  expect(logged).toEqual([]);
});

const key = (name: string) => ({ namespace: 'default', name });
const find = (name: string) => w.find(Pods, key(name));
const nodeOf = async (name: string) => (await find(name))?.spec?.nodeName;
const condition = async (name: string) =>
  (await find(name))?.status?.conditions?.find(({ type }) => type === 'PodScheduled');
const pod = (name: string, cpu: string, spec: Partial<NonNullable<Pod['spec']>> = {}, labels = {}): Pod => {
  const made = testPod({ terminationGracePeriodSeconds: 0, ...spec }, { cpu, name, namespace: 'default', labels });
  return { ...made, metadata: { name, namespace: 'default', labels } };
};

test('a pod of higher priority makes room, says on which node, and takes it', async () => {
  await w.create(PriorityClasses, { metadata: { name: 'vip' }, value: 1000 });
  await w.create(Nodes, node('n'));
  await w.create(Pods, pod('a', '1'), pod('b', '1', { terminationGracePeriodSeconds: 30 }));
  await w.pass();
  await w.create(Pods, pod('vip', '1500m', { priority: 1000 }));
  await w.pass(100);
  const victim = (await find('b'))!;
  expect(victim.metadata.deletionTimestamp).toBeDefined();
  expect(victim.status?.conditions).toContainEqual(
    expect.objectContaining({
      type: 'DisruptionTarget',
      reason: 'PreemptionByScheduler',
      message: 'default-scheduler: preempting to accommodate a higher priority pod',
    }),
  );
  expect((await find('vip'))?.status?.nominatedNodeName).toBe('n');
  // Somebody of less weight comes by while the room is being made: the first victim's room is spoken for.
  await w.create(Pods, pod('sneak', '1'));
  await w.pass(100);
  expect(await nodeOf('sneak')).toBeUndefined();
  await w.client.delete(Pods, key('b'), { gracePeriodSeconds: 0 });
  await w.pass(12_000);
  expect([await nodeOf('vip'), await nodeOf('sneak')]).toEqual(['n', undefined]);
  const events = (await w.list(Events)).map(({ reason, involvedObject }) => `${reason} ${involvedObject.name}`);
  expect(events).toEqual(expect.arrayContaining(['Preempted b', 'FailedScheduling vip', 'Scheduled vip']));
});

test('a gated pod waits until its gates are gone', async () => {
  await w.create(Nodes, node('n'));
  await w.create(Pods, pod('gated', '1', { schedulingGates: [{ name: 'acme.com/quota' }] }));
  await w.pass(1_000);
  expect(await nodeOf('gated')).toBeUndefined();
  await w.client.patch(Pods, key('gated'), { type: 'merge', body: { spec: { schedulingGates: null } } });
  await w.pass(100);
  expect(await nodeOf('gated')).toBe('n');
});

test('a pod that waits for company is placed when company comes', async () => {
  await w.create(Nodes, node('n'));
  const terms = [{ topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'db' } } }];
  const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } };
  await w.create(Pods, pod('web', '1', { affinity }));
  await w.pass();
  expect(await condition('web')).toMatchObject({
    reason: 'Unschedulable',
    message: expect.stringContaining("1 node(s) didn't match pod affinity rules"),
  });
  await w.create(Pods, pod('db', '1', {}, { app: 'db' }));
  await w.pass(100);
  expect(await nodeOf('web')).toBe('n');
});

test('a pod names its profile; one that names nobody known is left alone', async () => {
  await w.create(Nodes, node('a'), node('b'));
  await w.create(Pods, pod('first', '1', { nodeName: 'a' }));
  await w.pass();
  for (const { schedulerName } of PROFILES.filter((profile) => profile.schedulerName !== 'random'))
    await w.create(Pods, pod(schedulerName, '100m', { schedulerName }));
  await w.create(Pods, pod('foreign', '100m', { schedulerName: 'somebody-else' }));
  await w.pass(100);
  expect(await nodeOf('binpack')).toBe('a');
  expect(await nodeOf('default-scheduler')).toBe('b');
  expect(await nodeOf('spread')).toBe('b');
  expect(await nodeOf('foreign')).toBeUndefined();
});

test('many pods that fit nowhere are told once, and placed as soon as there is a node', async () => {
  const names = Array.from({ length: 100 }, (_, i) => `p${i}`);
  await w.create(Pods, ...names.map((name) => pod(name, '1m')));
  await w.pass(1_000);
  const asked = (await find('p7'))?.metadata.resourceVersion;
  await w.pass(60_000);
  expect((await find('p7'))?.metadata.resourceVersion).toBe(asked);
  await w.create(Nodes, { ...node('n'), status: { allocatable: { cpu: '4', memory: '4Gi', pods: '200' } } });
  await w.pass(1_000);
  for (const name of names) expect(await nodeOf(name)).toBe('n');
});

describe('the queue', () => {
  const of = (name: string, priority = 0): Pod => testPod({}, { name, priority });

  test('gives by priority and then by age, and forgets what has gone', () => {
    const queue = new SchedulingQueue();
    for (const each of [of('a'), of('b', 5), of('c'), of('d', 5)]) queue.push(each.metadata.name!, each);
    queue.forget('d');
    expect(queue.take(9).map(([uid]) => uid)).toEqual(['b', 'a', 'c']);
    expect(queue.take(9)).toEqual([]);
  });

  test('wakes what a change may help, at once the first time, with growing patience after that', () => {
    const queue = new SchedulingQueue({ freeRetries: 1, baseMs: 2_000, capMs: 3_000, leftoverMs: 60_000 });
    const park = (now: number) => queue.park('a', of('a'), new Set([nodeResourcesFit]), now);
    const taken = () => queue.take(9).length;
    park(0);
    queue.wake('NamespaceChanged', 0);
    expect(taken()).toBe(0);
    queue.wake('PodGone', 0);
    expect(taken()).toBe(1);
    park(0);
    queue.wake('PodGone', 0);
    expect([taken(), queue.nextDue()]).toEqual([0, 2_000]);
    queue.due(2_000);
    expect(taken()).toBe(1);
    park(2_000);
    queue.park('b', of('b'), new Set([interPodAffinity]), 3_000);
    expect(queue.nextDue()).toBe(62_000);
    queue.due(62_000);
    expect(queue.take(9).map(([uid]) => uid)).toEqual(['a']);
  });

  test('a pod whose binding failed comes back by itself', () => {
    const queue = new SchedulingQueue();
    queue.park('a', of('a'), new Set(), 0);
    expect(queue.nextDue()).toBe(1_000);
    queue.due(1_000);
    expect(queue.take(1)).toHaveLength(1);
  });
});
