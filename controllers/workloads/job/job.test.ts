import { runInMemory, type TestRun } from '@trimtab/framework';
import { Events, type Job, Jobs, type Pod, Pods, serviceUnavailable, timestamp } from '@trimtab/machinery';
import fc from 'fast-check';
import { simulatedNode } from '../simulated-node.js';
import { jobController } from './controller.js';
import { indexesText, parseIndexes } from './index-set.js';

const key = { namespace: 'ns', name: 'work' };
const job = (spec: object = {}, restartPolicy = 'Never'): Job => ({
  metadata: key,
  spec: {
    parallelism: 1,
    completions: 1,
    backoffLimit: 6,
    selector: { matchLabels: { job: 'work' } },
    template: {
      metadata: { labels: { job: 'work' } },
      spec: { restartPolicy, containers: [{ name: 'c', image: 'v1' }] },
    },
    ...spec,
  },
});

/** Exit codes a pod's containers end with, by its completion index or the order of its making; default 0. */
type Exits = (pod: Pod, order: number) => number;
function start(exits: Exits = () => 0, options: Parameters<typeof simulatedNode>[0] = {}): Promise<TestRun> {
  const order = new Map<string, number>();
  const ends = (pod: Pod) => {
    const { uid } = pod.metadata;
    if (!order.has(uid!)) order.set(uid!, order.size);
    const exitCode = exits(pod, order.get(uid!)!);
    if (exitCode < 0) return undefined;
    const finishedAt = timestamp(Date.parse(pod.metadata.creationTimestamp!) + 2_000);
    const state = { terminated: { exitCode, finishedAt } };
    return {
      afterMs: 2_000,
      status: {
        phase: exitCode === 0 ? 'Succeeded' : 'Failed',
        conditions: [{ type: 'Ready', status: 'False' }],
        containerStatuses: [{ name: 'c', image: 'v1', imageID: '', ready: false, restartCount: 0, state }],
      },
    };
  };
  return runInMemory([jobController, simulatedNode({ readyAfterMs: 500, stopsAfterMs: 500, ends, ...options })]);
}
const get = (t: TestRun): Job => t.client.find(Jobs, key)!;
const status = (t: TestRun) => get(t).status!;
const patch = (t: TestRun, spec: object) => t.client.patch(Jobs, key, { type: 'merge', body: { spec } });
const conditions = (t: TestRun) =>
  Object.fromEntries((status(t).conditions ?? []).map(({ type, status: is, reason }) => [type, `${is} ${reason}`]));
const tracked = (t: TestRun) => t.client.all(Pods).filter((pod) => pod.metadata.finalizers?.length);
const indexFrom = (pod: Pod) => Number(pod.metadata.annotations?.['batch.kubernetes.io/job-completion-index']);

test('runs as many as are to succeed, no more at a time than are allowed, and is complete', async () => {
  const t = await start();
  await t.client.create(Jobs, job({ completions: 5, parallelism: 2 }));
  let most = 0;
  for (let i = 0; i < 100; i++) {
    await t.pass(100);
    most = Math.max(most, t.client.all(Pods).filter((pod) => pod.status?.phase === 'Running').length);
  }
  expect(most).toBe(2);
  expect(status(t)).toMatchObject({ succeeded: 5, ready: 0, terminating: 0, uncountedTerminatedPods: {} });
  expect(status(t).active).toBeUndefined();
  expect(status(t).completionTime).toBeDefined();
  expect(conditions(t)).toEqual({
    SuccessCriteriaMet: 'True CompletionsReached',
    Complete: 'True CompletionsReached',
  });
  expect(tracked(t)).toEqual([]);
  expect(t.client.all(Events).map((each) => each.reason)).toContain('Completed');
  const writes = t.client.writes.length;
  await t.pass(24 * 3_600_000);
  expect(t.client.writes.length).toBe(writes);
});

test('without a number to reach, the first success lets the others finish and nobody joins', async () => {
  const t = await start((_, order) => (order === 0 ? 0 : -1));
  await t.client.create(Jobs, job({ completions: undefined, parallelism: 3 }));
  await t.pass(10_000);
  expect(status(t)).toMatchObject({ active: 2, succeeded: 1 });
  expect(conditions(t)).toEqual({});
});

test('failures are retried with growing patience until the limit, which fails the Job', async () => {
  const t = await start(() => 1);
  await t.client.create(Jobs, job({ backoffLimit: 2 }));
  await t.pass(3_000);
  expect(t.client.all(Pods)).toHaveLength(1);
  await t.pass(10_000);
  expect(t.client.all(Pods)).toHaveLength(2);
  await t.pass(10_000);
  expect(t.client.all(Pods)).toHaveLength(2);
  await t.pass(60_000);
  expect(t.client.all(Pods)).toHaveLength(3);
  expect(status(t)).toMatchObject({ failed: 3 });
  expect(conditions(t)).toEqual({ FailureTarget: 'True BackoffLimitExceeded', Failed: 'True BackoffLimitExceeded' });
});

test('a Job that takes too long is stopped, its pods count as failed', async () => {
  const t = await start(() => -1);
  await t.client.create(Jobs, job({ activeDeadlineSeconds: 30, parallelism: 2, completions: 2 }));
  await t.pass(29_000);
  expect(status(t)).toMatchObject({ active: 2, ready: 2 });
  await t.pass(2_000);
  expect(conditions(t)).toMatchObject({ FailureTarget: 'True DeadlineExceeded' });
  await t.pass(60_000);
  expect(conditions(t)).toMatchObject({ Failed: 'True DeadlineExceeded' });
  expect(status(t)).toMatchObject({ failed: 2, ready: 0 });
  expect(t.client.all(Pods)).toEqual([]);
});

test('Indexed: each index once, with its name, its number in label, annotation and environment', async () => {
  const t = await start((pod, order) => (indexFrom(pod) === 1 && order < 3 ? 1 : 0));
  await t.client.create(Jobs, job({ completionMode: 'Indexed', completions: 4, parallelism: 3 }));
  await t.pass();
  const pod = t.client.all(Pods).find((each) => indexFrom(each) === 2)!;
  expect(pod.metadata.name).toMatch(/^work-2-/);
  expect(pod.spec).toMatchObject({
    hostname: 'work-2',
    containers: [{ env: [{ name: 'JOB_COMPLETION_INDEX', valueFrom: { fieldRef: {} } }] }],
  });
  expect(pod.metadata.labels!['batch.kubernetes.io/job-completion-index']).toBe('2');
  await t.pass(60_000);
  expect(status(t)).toMatchObject({ completedIndexes: '0-3', succeeded: 4, failed: 1 });
  expect(conditions(t)).toMatchObject({ Complete: 'True CompletionsReached' });
});

test('backoffLimitPerIndex: an index that fails for good leaves the others to finish, then fails the Job', async () => {
  const t = await start((pod) => (indexFrom(pod) === 1 ? 1 : 0));
  await t.client.create(
    Jobs,
    job({ completionMode: 'Indexed', completions: 3, parallelism: 2, backoffLimitPerIndex: 1, backoffLimit: 1e6 }),
  );
  await t.pass(120_000);
  expect(status(t)).toMatchObject({ completedIndexes: '0,2', failedIndexes: '1', succeeded: 2, failed: 2 });
  expect(conditions(t)).toMatchObject({ Failed: 'True FailedIndexes' });
  expect(t.client.all(Pods).filter((pod) => indexFrom(pod) === 1)).toHaveLength(2);
  expect(tracked(t)).toEqual([]);
});

test('podFailurePolicy: ignores, counts and fails the Job; successPolicy ends it early', async () => {
  const rules = [
    { action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } },
    { action: 'Ignore', onExitCodes: { containerName: 'c', operator: 'In', values: [3] } },
  ];
  const t = await start((_, order) => [3, 3, 1, 42][order]!);
  await t.client.create(Jobs, job({ podFailurePolicy: { rules }, backoffLimit: 1 }));
  await t.pass(600_000);
  expect(status(t)).toMatchObject({ failed: 2 });
  expect(conditions(t)).toMatchObject({ Failed: 'True PodFailurePolicy' });
  expect(status(t).conditions!.at(-1)!.message).toMatch(
    /^Container c for pod ns\/work-\w+ failed with exit code 42 matching FailJob rule at index 0$/,
  );
  const s = await start((pod) => (indexFrom(pod) === 0 ? 0 : -1));
  const successPolicy = { rules: [{ succeededIndexes: '9' }, { succeededIndexes: '0-1', succeededCount: 1 }] };
  await s.client.create(Jobs, job({ completionMode: 'Indexed', completions: 3, parallelism: 3, successPolicy }));
  await s.pass(60_000);
  expect(conditions(s)).toMatchObject({ SuccessCriteriaMet: 'True SuccessPolicy', Complete: 'True SuccessPolicy' });
  expect(s.client.all(Pods)).toHaveLength(1);
});

test('suspended it has no pods and no failures; resumed it starts anew', async () => {
  const t = await start((_, order) => (order < 2 ? -1 : 0));
  await t.client.create(Jobs, job({ completions: 2, parallelism: 2, activeDeadlineSeconds: 100 }));
  await t.pass(5_000);
  await patch(t, { suspend: true });
  await t.pass(200_000);
  expect(t.client.all(Pods)).toEqual([]);
  expect(conditions(t)).toEqual({ Suspended: 'True JobSuspended' });
  expect(status(t).failed).toBeUndefined();
  await patch(t, { suspend: false });
  await t.pass(10_000);
  expect(conditions(t)).toMatchObject({ Suspended: 'False JobResumed', Complete: 'True CompletionsReached' });
  expect(status(t).startTime).not.toBe(get(t).metadata.creationTimestamp);
  expect(status(t).failed).toBeUndefined();
});

test('fewer at a time dismisses without counting; a pod somebody deletes counts; podReplacementPolicy waits for its end', async () => {
  for (const policy of ['TerminatingOrFailed', 'Failed']) {
    const t = await start(() => -1, { stopsAfterMs: 20_000 });
    await t.client.create(Jobs, job({ completions: 5, parallelism: 3, podReplacementPolicy: policy }));
    await t.pass(5_000);
    await patch(t, { parallelism: 1 });
    await t.pass(60_000);
    expect(status(t)).toMatchObject({ active: 1 });
    expect(status(t).failed).toBeUndefined();
    const [pod] = t.client.all(Pods);
    await t.client.delete(Pods, { namespace: 'ns', name: pod!.metadata.name! });
    await t.pass(15_000);
    const replaced = t.client.all(Pods).filter((each) => !each.metadata.deletionTimestamp).length;
    expect(replaced).toBe(policy === 'Failed' ? 0 : 1);
    await t.pass(60_000);
    expect(status(t)).toMatchObject({ active: 1, failed: 1 });
    await t.stop();
  }
});

test('takes a pod back that was taken from it, and lets go of one that is its no more', async () => {
  const t = await start(() => -1);
  await t.client.create(Jobs, job({ parallelism: 2, completions: 2 }));
  await t.pass(5_000);
  const [first, second] = t.client.all(Pods).map(({ metadata }) => ({ namespace: 'ns', name: metadata.name! }));
  const change = (metadata: object) => ({ type: 'merge', body: { metadata } }) as const;
  await t.client.patch(Pods, first!, change({ ownerReferences: null, finalizers: null }));
  await t.client.patch(Pods, second!, change({ labels: { job: 'other' } }));
  await t.pass(5_000);
  expect(t.client.find(Pods, first!)!.metadata).toMatchObject({
    ownerReferences: [{ kind: 'Job', name: 'work', controller: true }],
    finalizers: ['batch.kubernetes.io/job-tracking'],
  });
  expect(t.client.find(Pods, second!)!.metadata.ownerReferences).toBeUndefined();
  expect(t.client.find(Pods, second!)!.metadata.finalizers).toBeUndefined();
  expect(t.client.all(Pods)).toHaveLength(3);
  expect(status(t)).toMatchObject({ active: 2 });
  expect(status(t).failed).toBeUndefined();
});

test('deletes itself after its time; pods of a Job that is gone are let go of', async () => {
  const t = await start();
  await t.client.create(Jobs, job({ ttlSecondsAfterFinished: 60 }));
  await t.pass(30_000);
  expect(get(t)).toBeDefined();
  await t.pass(40_000);
  expect(get(t)).toBeUndefined();
  const s = await start(() => -1);
  await s.client.create(Jobs, job());
  await s.pass(1_000);
  await s.client.delete(Jobs, key);
  await s.pass(5_000);
  expect(tracked(s)).toEqual([]);
});

test.each(['NonIndexed', 'Indexed'])(
  'a crash after any write counts nothing twice and makes no pod too many: %s',
  async (completionMode) => {
    for (let crash = 1; crash <= 20; crash++) {
      // The second pod fails.
      let t = await start((_, order) => (order === 1 ? 1 : 0));
      let writes = 0;
      let crashed = false;
      t.client.after = (call) => {
        if (crashed || call.verb === 'get' || call.verb === 'list' || call.resource === 'events') return;
        if (++writes < crash) return;
        crashed = true;
        throw serviceUnavailable('lost');
      };
      await t.client.create(Jobs, job({ completions: 3, parallelism: 2, completionMode })).catch(() => {});
      for (let i = 0; i < 20 && !crashed; i++) await t.pass(500);
      t = await t.restart();
      await t.pass(60_000);
      expect([crash, status(t).succeeded, status(t).failed]).toEqual([crash, 3, 1]);
      expect(t.client.all(Pods)).toHaveLength(4);
      expect(tracked(t)).toEqual([]);
      expect(conditions(t)).toMatchObject({ Complete: 'True CompletionsReached' });
      await t.stop();
    }
  },
);

test('indexes read back as they are written', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(40)), (indexes) => {
      const set = new Set(indexes);
      expect(new Set(parseIndexes(indexesText(set), 41))).toEqual(set);
    }),
  );
  expect(indexesText(new Set([5, 0, 1, 2, 7, 8]))).toBe('0-2,5,7,8');
  expect([...parseIndexes('0-9,x,12', 4)]).toEqual([0, 1, 2, 3]);
});
