import { type Running, runControllers } from '@trimtab/framework';
import {
  ControllerRevisions,
  CronJobs,
  DaemonSets,
  Jobs,
  Namespaces,
  Nodes,
  type Pod,
  Pods,
  StatefulSets,
} from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { nodeOf } from './daemonset/daemon-pod.js';
import { workloadControllers } from './index.js';
import { simulatedNode } from './simulated-node.js';

/** DaemonSets, StatefulSets, Jobs and CronJobs on the server's own code: its defaults, validation and deletion rules. */
let w: World;
let running: Running;
const failures: string[] = [];
const wrote: string[] = [];
const isOfJob = (pod: Pod) => pod.metadata.labels?.['job-name'] !== undefined;

beforeEach(async () => {
  w = await world();
  failures.length = 0;
  wrote.length = 0;
  const warn = (fields: object, message: string) => void failures.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { ...w.logger, warn, error: warn, child: () => logger };
  const node = simulatedNode({
    readyAfterMs: 500,
    nodeFor: (pod) => nodeOf(pod) ?? 'node-1',
    ends: (pod) => (isOfJob(pod) ? { afterMs: 2_000, status: { phase: 'Succeeded' } } : undefined),
  });
  running = runControllers([...workloadControllers, node], {
    ...w,
    logger,
    metrics: { wrote: (controller, verb, resource) => void wrote.push(`${controller} ${verb} ${resource}`) },
  });
  await w.create(Namespaces, { metadata: { name: 'ns' } });
  await w.create(Nodes, { metadata: { name: 'node-1' } }, { metadata: { name: 'node-2' } });
  await w.pass();
});
afterEach(async () => {
  const stopped = running.stop();
  await w.pass();
  await stopped;
  await w.close();
});

const key = { namespace: 'ns', name: 'app' };
const labels = { app: 'app' };
const containers = [{ name: 'c', image: 'v1', env: [{ name: 'A', value: '' }] }];
const set = { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } };
const v2 = {
  type: 'strategic',
  body: { spec: { template: { spec: { containers: [{ name: 'c', image: 'v2' }] } } } },
} as const;
const images = async () => (await w.list(Pods, 'ns')).map((pod) => pod.spec!.containers[0]!.image);
async function restsWithoutFailures(): Promise<void> {
  wrote.length = 0;
  await w.pass(3_600_000);
  expect(wrote).toEqual([]);
  expect(failures).toEqual([]);
}

test.each([DaemonSets, StatefulSets])(
  '$kind: rolls out, rolls on, and back by the patch its history keeps',
  async (type) => {
    const replicas = type === StatefulSets ? { replicas: 2, serviceName: 'app' } : {};
    await w.client.create(type, { metadata: key, spec: { ...set, ...replicas } } as never);
    await w.pass(5_000);
    expect(await images()).toEqual(['v1', 'v1']);
    await w.client.patch(type as typeof DaemonSets, key, v2);
    await w.pass(60_000);
    expect(await images()).toEqual(['v2', 'v2']);
    const first = (await w.list(ControllerRevisions, 'ns')).find((each) => each.revision === 1)!;
    // What `kubectl rollout undo` sends.
    await w.client.patch(type as typeof DaemonSets, key, { type: 'strategic', body: first.data as object });
    await w.pass(60_000);
    expect(await images()).toEqual(['v1', 'v1']);
    expect((await w.list(ControllerRevisions, 'ns')).map((each) => each.revision).sort()).toEqual([2, 3]);
    await restsWithoutFailures();
  },
);

test('a Job completes, its pods stay until it goes, and nothing keeps them then', async () => {
  const template = { spec: { containers, restartPolicy: 'Never' } };
  await w.create(Jobs, { metadata: key, spec: { completions: 3, parallelism: 2, template } });
  await w.pass(30_000);
  expect((await w.client.get(Jobs, key)).status).toMatchObject({
    succeeded: 3,
    conditions: [{ type: 'SuccessCriteriaMet' }, { type: 'Complete', status: 'True', reason: 'CompletionsReached' }],
  });
  const pods = await w.list(Pods, 'ns');
  expect(pods.map((pod) => pod.metadata.finalizers ?? [])).toEqual([[], [], []]);
  await restsWithoutFailures();
});

test('pods of a Job that is deleted under them can go', async () => {
  const template = { spec: { containers: [{ ...containers[0]!, image: 'slow' }], restartPolicy: 'Never' } };
  await w.create(Jobs, { metadata: key, spec: { template } });
  await w.pass(1_000);
  const [pod] = await w.list(Pods, 'ns');
  await w.client.delete(Jobs, key, { propagationPolicy: 'Background' });
  await w.client.delete(Pods, { namespace: 'ns', name: pod!.metadata.name! });
  await w.pass(60_000);
  expect(await w.list(Pods, 'ns')).toEqual([]);
  expect(failures).toEqual([]);
});

test('a CronJob starts its Jobs and tidies up after them', async () => {
  const template = { spec: { containers, restartPolicy: 'Never' } };
  const spec = { schedule: '*/5 * * * *', timeZone: 'Asia/Tokyo', jobTemplate: { spec: { template } } };
  await w.create(CronJobs, { metadata: key, spec });
  await w.pass(31 * 60_000);
  const jobs = await w.list(Jobs, 'ns');
  expect(jobs).toHaveLength(3);
  expect(jobs[0]!.metadata.annotations!['batch.kubernetes.io/cronjob-scheduled-timestamp']).toMatch(/\+09:00$/);
  expect((await w.client.get(CronJobs, key)).status).toMatchObject({ lastScheduleTime: '2026-01-01T00:30:00Z' });
  expect(failures).toEqual([]);
});
