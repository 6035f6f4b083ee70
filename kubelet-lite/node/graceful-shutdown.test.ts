import type { Pod } from '../pod/api.js';
import { SimulatedRuntime } from '../simulated/simulated-runtime.js';
import { condition, NodeUnderTest } from '../testing/node-under-test.js';
import { endPods, SHUTTING_DOWN, shutdownGroups, simpleTable } from './graceful-shutdown.js';

const pod = (name: string, priority?: number): { pod: Pod } => ({
  pod: { metadata: { name }, spec: { containers: [], ...(priority === undefined ? {} : { priority }) } },
});
const groups = (table: Parameters<typeof shutdownGroups>[0], ...pods: { pod: Pod }[]) =>
  shutdownGroups(table, pods).map(({ graceMs, pods: members }) => [graceMs, members.map((m) => m.pod.metadata.name)]);

test('groups: the least important first, critical pods in the tail, groups without pods take no time', () => {
  const table = simpleTable(30_000, 10_000);
  expect(groups(table, pod('critical', 2_000_000_100), pod('web'), pod('low', -10))).toEqual([
    [20_000, ['web', 'low']],
    [10_000, ['critical']],
  ]);
  expect(groups(table, pod('web'))).toEqual([[20_000, ['web']]]);
  const byPriority = [
    { priority: 100_000, graceMs: 10 },
    { priority: 0, graceMs: 60 },
    { priority: 10_000, graceMs: 180 },
  ];
  expect(groups(byPriority, pod('a', 100_000), pod('b', 99_999), pod('c', 5), pod('d', -1))).toEqual([
    [60, ['c', 'd']],
    [180, ['b']],
    [10, ['a']],
  ]);
});

test('a node that goes: not ready, closed, its pods ended in order with their grace and marked as disrupted', async () => {
  const node = new NodeUnderTest();
  const signals: string[] = [];
  const begun = () => node.clock.now() - start;
  let start = 0;
  let leaving = false;
  class Stubborn extends SimulatedRuntime {
    override async signal(id: string, signal: string): Promise<void> {
      signals.push(`${signal} ${id.split('-').at(-2)} at ${Math.round(begun() / 1_000)}`);
      if (signal === 'SIGKILL' || id.includes('polite')) this.exit(id, 0);
    }
  }
  Object.assign(node.options, {
    runtime: new Stubborn(node.clock),
    notReady: () => (leaving ? SHUTTING_DOWN : undefined),
  });
  await node.boot();
  const run = (name: string, terminationGracePeriodSeconds: number, priority = 0) =>
    node.run({ name, terminationGracePeriodSeconds, priority, containers: [{ name, image: 'x' }] });
  await run('polite', 30);
  await run('stubborn', 60);
  await run('critical', 60, 2_000_000_000);
  start = node.clock.now();
  leaving = true;
  const told = node.node!.readinessChanged();
  await node.clock.advance(0);
  await told;
  const ready = (
    await node.client.list({ group: '', version: 'v1', kind: 'Node', resource: 'nodes', namespaced: false })
  ).items[0] as {
    status?: { conditions?: { type: string; status: string; message?: string }[] };
  };
  expect(ready.status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({
    status: 'False',
    message: SHUTTING_DOWN,
  });
  const late = await node.run({ name: 'late', containers: [{ name: 'main', image: 'x' }] });
  expect(late.status).toMatchObject({ phase: 'Failed', reason: 'NodeShutdown' });
  start = node.clock.now();
  let done = false;
  void endPods(node.node!.pods, simpleTable(30_000, 10_000), node.clock).then(() => {
    done = true;
  });
  await node.clock.advance(29_000);
  expect(done).toBe(false);
  await node.clock.advance(2_000);
  expect(done).toBe(true);
  expect(signals).toEqual([
    'SIGTERM polite at 0',
    'SIGTERM stubborn at 0',
    'SIGKILL stubborn at 20',
    'SIGTERM critical at 20',
    'SIGKILL critical at 30',
  ]);
  for (const name of ['polite', 'stubborn', 'critical']) {
    const status = await node.status(name);
    expect(status).toMatchObject({
      phase: 'Failed',
      reason: 'Terminated',
      message: 'Pod was terminated in response to imminent node shutdown.',
    });
    expect(condition(status, 'DisruptionTarget')).toBe('True');
  }
});
