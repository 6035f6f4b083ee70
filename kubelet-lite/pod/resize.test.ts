import type { Container, PodCondition, ResourceRequirements } from '@trimtab/machinery';
import { SimulatedFiles } from '../simulated/simulated-node.js';
import { SimulatedRuntime } from '../simulated/simulated-runtime.js';
import { NodeUnderTest, testMachine } from '../testing/node-under-test.js';
import { PODS } from './api.js';

/** A node of 4 CPUs whose runtime writes down every change of limits, and refuses them when told to. */
class Resizing extends NodeUnderTest {
  readonly updates: string[] = [];
  broken = '';
  used = 0;

  static override async start(): Promise<Resizing> {
    const node = new Resizing({ files: new SimulatedFiles() });
    const { clock } = node;
    class Runtime extends SimulatedRuntime {
      override async updateSandbox(_id: string, resources: object): Promise<void> {
        node.note('pod', resources);
      }
      override async updateContainer(id: string, resources: object): Promise<void> {
        if (node.broken) throw new Error(node.broken);
        node.note(id.split('-').at(-2)!, resources);
      }
      override async stats(id: string) {
        const stats = await super.stats(id);
        const each = Object.keys(stats.containers).map((name) => [name, { cpuNanos: 0, memoryBytes: node.used }]);
        return { ...stats, containers: Object.fromEntries(each) };
      }
    }
    Object.assign(node.options, { runtime: new Runtime(clock) });
    await node.boot();
    return node;
  }

  note(who: string, resources: object): void {
    const { cpu, memory } = resources as { cpu: { shares: number; quota: number }; memory: { limit: number } };
    this.updates.push(`${who} ${cpu.shares}/${cpu.quota}/${memory.limit}`);
  }

  async resize(pod: string, ...resources: (readonly [string, ResourceRequirements])[]): Promise<void> {
    const found = await this.pod(pod);
    const containers = found.spec.containers.map((c) => {
      const change = resources.find(([name]) => name === c.name);
      return change ? { ...c, resources: change[1] } : c;
    });
    const metadata = { ...found.metadata, generation: (found.metadata.generation ?? 0) + 1 };
    await this.client.update(PODS, { ...found, metadata, spec: { ...found.spec, containers } });
    await this.clock.advance(50);
  }

  async condition(pod: string, type: string): Promise<PodCondition | undefined> {
    return (await this.status(pod)).conditions?.find((c) => c.type === type);
  }

  async amounts(pod: string): Promise<unknown> {
    const [status] = (await this.status(pod)).containerStatuses!;
    return { allocated: status!.allocatedResources, actual: status!.resources, restarts: status!.restartCount };
  }
}

const of = (cpu: string, memory?: string): ResourceRequirements => {
  const list = { cpu, ...(memory ? { memory } : {}) };
  return { requests: list, limits: list };
};
const main = (resources: ResourceRequirements, more: Partial<Container> = {}) => ({
  containers: [{ name: 'main', image: 'web:1', resources, ...more }],
});
const Mi = 2 ** 20;

test('cpu and memory change under a running container: the pod grows before it, and shrinks after it', async () => {
  const node = await Resizing.start();
  await node.run({ name: 'web', ...main(of('100m', '64Mi')) });
  const id = await node.containerId('web', 'main');
  expect(await node.amounts('web')).toEqual({
    allocated: { cpu: '100m', memory: '64Mi' },
    actual: of('100m', '64Mi'),
    restarts: 0,
  });
  await node.resize('web', ['main', of('200m', '128Mi')]);
  expect(node.updates.splice(0)).toEqual([`pod 204/20000/${128 * Mi}`, `main 204/20000/${128 * Mi}`]);
  await node.resize('web', ['main', of('50m', '32Mi')]);
  expect(node.updates.splice(0)).toEqual([`main 51/5000/${32 * Mi}`, `pod 51/5000/${32 * Mi}`]);
  await node.resize('web', ['main', of('400m', '16Mi')]);
  expect(node.updates.splice(0)).toEqual([
    `pod 409/40000/${32 * Mi}`,
    `main 409/40000/${16 * Mi}`,
    `pod 409/40000/${16 * Mi}`,
  ]);
  expect(await node.amounts('web')).toEqual({
    allocated: { cpu: '400m', memory: '16Mi' },
    actual: of('400m', '16Mi'),
    restarts: 0,
  });
  expect(await node.containerId('web', 'main')).toBe(id);
  expect(await node.condition('web', 'PodResizeInProgress')).toBeUndefined();
  const events = (await node.events('web')).filter((event) => event.startsWith('Resize'));
  expect(events.slice(0, 2)).toEqual(
    ['Started: Pod resize started', 'Completed: Pod resize completed'].map(
      (text) =>
        `Resize${text}: {"containers":[{"name":"main","resources":${JSON.stringify(of('200m', '128Mi'))}}],"generation":2}`,
    ),
  );
});

test('of two containers the one that gives comes before the one that takes', async () => {
  const node = await Resizing.start();
  const [one] = main(of('1')).containers;
  await node.run({ name: 'web', containers: [one!, { ...one!, name: 'other' }] });
  await node.resize('web', ['main', of('1500m')], ['other', of('500m')]);
  expect(node.updates).toEqual(['other 512/50000/-1', 'main 1536/150000/-1']);
});

test('a policy of RestartContainer starts the container anew with the new amounts, and only for its resource', async () => {
  const node = await Resizing.start();
  const resizePolicy = [
    { resourceName: 'cpu', restartPolicy: 'NotRequired' },
    { resourceName: 'memory', restartPolicy: 'RestartContainer' },
  ];
  await node.run({ name: 'web', ...main(of('100m', '64Mi'), { resizePolicy }) });
  await node.resize('web', ['main', of('200m', '64Mi')]);
  expect(await node.amounts('web')).toMatchObject({ restarts: 0, actual: of('200m', '64Mi') });
  node.updates.length = 0;
  await node.resize('web', ['main', of('200m', '32Mi')]);
  expect(await node.amounts('web')).toMatchObject({ restarts: 1, actual: of('200m', '32Mi') });
  expect(node.updates).toEqual([`pod 204/20000/${32 * Mi}`]);
  expect(await node.events('web')).toContain('Killing: Container main resize requires restart');
  expect(await node.condition('web', 'PodResizeInProgress')).toBeUndefined();
});

test('more than the node has is infeasible; more than is free waits until it is, the more important first', async () => {
  const node = await Resizing.start();
  await node.run({ name: 'web', ...main(of('1')) });
  await node.resize('web', ['main', of('5')]);
  expect(await node.condition('web', 'PodResizePending')).toMatchObject({
    status: 'True',
    reason: 'Infeasible',
    message: "Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000",
  });
  expect(await node.amounts('web')).toMatchObject({ allocated: { cpu: '1' }, actual: of('1') });
  expect(await node.events('web')).toContainEqual(expect.stringMatching(/^ResizeInfeasible: Pod resize pending: /));

  await node.run({ name: 'big', ...main(of('2')) });
  await node.run({ name: 'dear', priority: 100, ...main(of('1')) });
  await node.resize('web', ['main', of('2')]);
  await node.resize('dear', ['main', of('2')]);
  for (const name of ['web', 'dear'])
    expect(await node.condition(name, 'PodResizePending')).toMatchObject({
      reason: 'Deferred',
      message: "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000",
    });
  await node.resize('big', ['main', of('1')]);
  await node.clock.advance(200);
  expect(await node.amounts('dear')).toMatchObject({ allocated: { cpu: '2' }, actual: of('2') });
  expect(await node.condition('dear', 'PodResizePending')).toBeUndefined();
  expect(await node.condition('web', 'PodResizePending')).toMatchObject({ reason: 'Deferred' });
  await node.delete('big', 0);
  await node.clock.advance(200);
  expect(await node.amounts('web')).toMatchObject({ allocated: { cpu: '2' }, actual: of('2') });
});

test('what the runtime refuses is told and tried again; a limit below what is in use is not tried at all', async () => {
  const node = await Resizing.start();
  await node.run({ name: 'web', ...main(of('100m', '64Mi')) });
  node.broken = 'cgroup: EBUSY';
  await node.resize('web', ['main', of('200m', '64Mi')]);
  expect(await node.condition('web', 'PodResizeInProgress')).toMatchObject({
    reason: 'Error',
    message: 'cgroup: EBUSY',
  });
  expect(await node.amounts('web')).toMatchObject({ allocated: { cpu: '200m' }, actual: of('100m', '64Mi') });
  node.broken = '';
  await node.clock.advance(10_100);
  expect(await node.amounts('web')).toMatchObject({ actual: of('200m', '64Mi') });
  node.used = 48 * Mi;
  await node.resize('web', ['main', of('200m', '32Mi')]);
  expect((await node.condition('web', 'PodResizeInProgress'))?.message).toBe(
    `attempting to set container "main" memory limit (${32 * Mi}) below current usage (${48 * Mi})`,
  );
  node.used = 0;
  await node.clock.advance(10_100);
  expect(await node.condition('web', 'PodResizeInProgress')).toBeUndefined();
});

test('a kubelet restart loses nothing: neither what is under way, nor what came meanwhile, nor what is done', async () => {
  const node = await Resizing.start();
  await node.run({ name: 'web', ...main(of('100m')) });
  node.broken = 'not now';
  await node.resize('web', ['main', of('200m')]);
  await node.stop();
  node.broken = '';
  node.updates.length = 0;
  await node.boot();
  await node.clock.advance(200);
  expect(node.updates.splice(0)).toContain('main 204/20000/-1');
  expect(await node.amounts('web')).toMatchObject({ restarts: 0, actual: of('200m') });

  await node.run({ name: 'other', ...main(of('100m')) });
  await node.stop();
  await node.resize('other', ['main', of('300m')]);
  await node.boot();
  await node.clock.advance(200);
  expect(node.updates.splice(0)).toEqual(['pod 307/30000/-1', 'main 307/30000/-1']);
  await node.stop();
  await node.boot();
  await node.clock.advance(200);
  expect(node.updates).toEqual([]);
  expect(await node.amounts('other')).toMatchObject({ restarts: 0, actual: of('300m') });
});

test('a container that starts again does so with what is allocated', async () => {
  const node = await Resizing.start();
  await node.run({ name: 'web', ...main(of('100m')) });
  await node.resize('web', ['main', of('200m')]);
  await node.exit('web', 'main', 1);
  await node.clock.advance(200);
  const [sandbox] = await node.runtime.list();
  const container = sandbox!.containers.find((c) => c.state === 'running')!;
  expect(JSON.parse(container.annotations['io.trimtab.container.resources']!)).toEqual(of('200m'));
  expect(testMachine.cpus).toBe(4);
});
