import { type KubeObject, type Logger, notFound, silentLogger, VirtualClock } from '@trimtab/machinery';
import {
  type Condition,
  controller,
  customKind,
  type KeyShare,
  MemoryClient,
  type ObjectOf,
  RETRYING,
  retriesOf,
  runInMemory,
  s,
  setCondition,
  TerminalError,
} from './index.js';
import { key, type Site, Sites } from './testing/sites.js';

const Jobs = customKind({
  group: 'example.com',
  version: 'v1',
  kind: 'Task',
  spec: s.object({ host: s.string() }),
  status: s.object({ ready: s.optional(s.boolean()), conditions: s.conditions() }),
});
type Task = ObjectOf<typeof Jobs>;
const task = (name = 's') => Jobs.of({ namespace: 'ns', name }, { host: 'h' });
const conditionsOf = (object: KubeObject | undefined): readonly Condition[] | undefined =>
  (object as Task | undefined)?.status?.conditions;

/** Fails until it is told not to, and notes when it was asked. */
const flaky = (more: Partial<Parameters<typeof controller<Task>>[0]> = {}) => {
  const asked: { readonly at: number; readonly attempt: number; readonly why: string | undefined }[] = [];
  const state = { fails: true, why: 'the registrar is down', asked };
  const definition = controller<Task>({
    name: 'task',
    for: Jobs,
    reconcile: (view) => {
      asked.push({ at: view.now, attempt: view.attempt, why: view.failure?.error.message });
      if (state.fails) throw new Error(state.why);
      return [];
    },
    ...more,
  });
  return { ...state, state, definition };
};
const gaps = (asked: readonly { readonly at: number }[]) => asked.slice(1).map(({ at }, i) => at - asked[i]!.at);

describe('row 9: what is tried again, when and why', () => {
  test('row 9: stands on the object once it takes long, costs a write a try, and makes nobody try sooner', async () => {
    const { state, definition } = flaky();
    const t = await runInMemory([definition]);
    await t.client.create(Jobs, task());
    await t.pass(10_000);
    expect(conditionsOf(t.client.find(Jobs, key))).toBeUndefined();
    await t.pass(20_000);
    const [condition] = conditionsOf(t.client.find(Jobs, key))!;
    expect(condition).toMatchObject({
      type: RETRYING,
      status: 'True',
      reason: 'ReconciliationFailed',
      observedGeneration: 1,
    });
    expect(condition!.message).toMatch(
      /^task has failed 13 times and is tried again at \d{4}-.*Z: the registrar is down$/,
    );
    const [told] = retriesOf(t.client.find(Jobs, key)!);
    expect(told).toMatchObject({ controller: 'task', failures: 13, why: 'the registrar is down' });
    const { until } = t.running.runners[0]!.retries.get('ns/s')!;
    // Conditions count in seconds.
    expect(Math.abs(told!.until! - until!)).toBeLessThan(1_000);
    await t.pass(3_600_000);
    // 5 ms, doubling to 1000 s: each wait as long as if nothing were written down.
    expect(gaps(state.asked)).toEqual(gaps(state.asked).map((_, i) => Math.min(5 * 2 ** i, 1_000_000)));
    const longer = state.asked.filter((_, i) => 5 * 2 ** i >= 10_000).length;
    expect(t.client.writes).toHaveLength(1 + longer);
  });

  test('row 9: survives a restart: the next process waits as long, and fails on from there', async () => {
    const { state, definition } = flaky();
    let t = await runInMemory([definition]);
    await t.client.create(Jobs, task());
    await t.pass(100_000);
    const { until } = retriesOf(t.client.find(Jobs, key)!)[0]!;
    const { length: failures } = state.asked;
    t = await t.restart();
    expect(t.running.runners[0]!.retries.get('ns/s')).toMatchObject({ failures, why: 'the registrar is down' });
    await t.pass(until! - t.clock.now() - 1);
    expect(state.asked).toHaveLength(failures);
    await t.pass(1_001);
    expect(state.asked.slice(failures)).toEqual([
      { at: expect.any(Number), attempt: failures, why: 'the registrar is down' },
    ]);
    expect(retriesOf(t.client.find(Jobs, key)!)[0]).toMatchObject({ failures: failures + 1 });
    // What is found then is gone from the object with the first success, and nothing else is left behind.
    state.fails = false;
    await t.pass(1_000_000);
    expect(t.client.find(Jobs, key)).not.toHaveProperty('status');
    expect(t.running.runners[0]!.retries.size).toBe(0);
    const { length: writes } = t.client.writes;
    await t.pass(86_400_000);
    expect(t.client.writes).toHaveLength(writes);
  });

  test('row 9: whoever gets a share of another’s keys goes on where that one was, and nobody waits for what is not his', async () => {
    const shareOf = (...names: readonly string[]) => {
      const state = { owned: new Set(names.map((name) => `ns/${name}`)), gained: () => {} };
      const shard: KeyShare = {
        owns: (_, name) => state.owned.has(name),
        onGain: (gained) => {
          state.gained = gained;
          return () => {};
        },
      };
      return { state, shard };
    };
    const clock = new VirtualClock();
    const client = new MemoryClient(clock);
    const [one, two] = [flaky(), flaky()];
    const [mine, theirs] = [shareOf('a', 'b'), shareOf()];
    const t = await runInMemory([one.definition], { clock, client, shard: mine.shard });
    const other = await runInMemory([two.definition], { clock, client, shard: theirs.shard });
    for (const name of ['a', 'b']) await client.create(Jobs, task(name));
    await t.pass(100_000);
    const { failures, until } = retriesOf(client.find(Jobs, { ...key, name: 'a' })!)[0]!;
    mine.state.owned.delete('ns/a');
    theirs.state.owned.add('ns/a');
    theirs.state.gained();
    await t.pass(until! - clock.now() - 1_000);
    expect([...other.running.runners[0]!.retries.keys()]).toEqual(['ns/a']);
    expect(two.asked).toEqual([]);
    await t.pass(2_000);
    expect(two.asked.map(({ attempt }) => attempt)).toEqual([failures]);
    expect([...t.running.runners[0]!.retries.keys()]).toEqual(['ns/b']);
  });

  test('row 9: what the object asks for now does not wait for a failure of before', async () => {
    const { state, definition } = flaky();
    let t = await runInMemory([definition]);
    for (const name of ['s', 'other']) await t.client.create(Jobs, task(name));
    await t.pass(100_000);
    await t.stop();
    await t.client.patch(Jobs, key, { type: 'merge', body: { spec: { host: 'better' } } });
    const { length: before } = state.asked;
    t = await t.restart();
    expect(state.asked.length - before).toBe(1);
    // A change while it runs is not held up either.
    await t.client.patch(Jobs, { ...key, name: 'other' }, { type: 'merge', body: { spec: { host: 'better' } } });
    await t.pass();
    expect(state.asked.length - before).toBe(2);
  });

  test('row 9: other conditions stay as they are, and a decision that sets its own does not lose the record', async () => {
    const { definition } = flaky({
      reconcile: (view) => {
        const told = setCondition(Jobs, view, 'Ready', false, 'Broken');
        if (told.length > 0) return told;
        throw new Error('no');
      },
    });
    const t = await runInMemory([definition]);
    await t.client.create(Jobs, task());
    await t.pass(100_000);
    expect(conditionsOf(t.client.find(Jobs, key))?.map(({ type, status }) => [type, status])).toEqual([
      ['Ready', 'False'],
      [RETRYING, 'True'],
    ]);
  });

  test('row 9: what is given up says so', async () => {
    const { definition } = flaky({
      reconcile: () => {
        throw new TerminalError('there is no such plan');
      },
    });
    const t = await runInMemory([definition]);
    await t.client.create(Jobs, task());
    await t.pass(1_000);
    const found = t.client.find(Jobs, key)!;
    expect(conditionsOf(found)?.[0]?.message).toBe(
      'task has failed 1 time and rests until something changes: there is no such plan',
    );
    expect(retriesOf(found)).toEqual([
      { condition: RETRYING, controller: 'task', failures: 1, until: undefined, why: 'there is no such plan' },
    ]);
  });

  test('row 9: kinds that keep no conditions are left alone, unless one is named; who does not want it says so', async () => {
    for (const [asked, expected] of [
      [undefined, false],
      ['SiteRetrying', true],
    ] as const) {
      const clock = new VirtualClock();
      const client = new MemoryClient(clock);
      const failing = controller<Site>({
        name: 'c',
        for: Sites,
        ...(asked ? { retryCondition: asked } : {}),
        reconcile: () => {
          throw new Error('no');
        },
      });
      const t = await runInMemory([failing], { clock, client });
      await client.create(Sites, { metadata: key, spec: { pods: 1 } });
      await t.pass(100_000);
      expect(conditionsOf(client.find(Sites, key))?.map(({ type }) => type)).toEqual(expected ? [asked] : undefined);
      expect(t.running.runners[0]!.retries.get('ns/s')).toMatchObject({ why: 'no' });
    }
    const { definition } = flaky({ retryCondition: false });
    const t = await runInMemory([definition]);
    await t.client.create(Jobs, task());
    await t.pass(100_000);
    expect(conditionsOf(t.client.find(Jobs, key))).toBeUndefined();
  });
});

test('who has just been deleted is no news; what else is not there is', async () => {
  const warned: unknown[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields) => void warned.push(fields) };
  Object.assign(logger, { child: () => logger });
  let missing = 's';
  const reconcile = (): never => {
    throw notFound(Jobs, missing);
  };
  const t = await runInMemory([controller<Task>({ name: 'task', for: Jobs, reconcile })], { logger });
  await t.client.create(Jobs, task());
  await t.pass(100);
  expect(warned).toEqual([]);
  missing = 'another';
  await t.pass(1000);
  expect(warned).toContainEqual(expect.objectContaining({ error: expect.stringContaining('"another" not found') }));
});
