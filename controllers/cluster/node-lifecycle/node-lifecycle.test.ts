import { type ControllerRunner, type Running, runControllers } from '@trimtab/framework';
import { Events, Leases, Nodes, type Pod, Pods, type Taint } from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { type Death, everyDeath, live, type Parts } from '../mortal.js';
import { nodeLifecycleController } from './controller.js';

let w: World;
let runner: ControllerRunner;
const start = (parts: Parts): Running => {
  const running = runControllers([nodeLifecycleController({ startedAt: parts.clock.now() })], parts);
  [runner] = running.runners as [ControllerRunner];
  return running;
};
const begin = (death?: Death) => live(w, start, death);

const UNREACHABLE = 'node.kubernetes.io/unreachable';
const key = { name: 'n' };
const lease = { namespace: 'kube-node-lease', name: 'n' };
const time = (ms: number) => new Date(ms).toISOString().replace('Z', '000Z');
const beat = async () => {
  const spec = { holderIdentity: 'n', renewTime: time(w.clock.now()) };
  if (await w.find(Leases, lease)) await w.client.patch(Leases, lease, { type: 'merge', body: { spec } });
  else await w.create(Leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: lease, spec });
};
const tell = (status: string, ...more: readonly { type: string; status: string }[]) =>
  w.client.patch(
    Nodes,
    key,
    { type: 'merge', body: { status: { conditions: [{ type: 'Ready', status }, ...more] } } },
    { subresource: 'status' },
  );
const join = async () => {
  await w.create(Nodes, { metadata: key });
  await tell('True');
  await beat();
};
const pod = (name: string, seconds?: number): Pod => ({
  metadata: { namespace: 'default', name },
  spec: {
    nodeName: 'n',
    containers: [{ name: 'c', image: 'i', terminationMessagePolicy: 'File' }],
    ...(seconds === undefined
      ? {}
      : { tolerations: [{ operator: 'Exists', effect: 'NoExecute', tolerationSeconds: seconds }] }),
  },
});
const run = async (...pods: readonly Pod[]) => {
  await w.create(Pods, ...pods);
  for (const { metadata } of pods) {
    const status = { conditions: [{ type: 'Ready', status: 'True' }] };
    const podKey = { namespace: 'default', name: metadata.name! };
    await w.client.patch(Pods, podKey, { type: 'merge', body: { status } }, { subresource: 'status' });
  }
};
const state = () => runner.states.get('n');
const conditions = async () =>
  Object.fromEntries((await w.find(Nodes, key))!.status!.conditions!.map((c) => [c.type, c.status]));
const taints = async () => (await w.find(Nodes, key))?.spec?.taints ?? [];
const keys = async () => (await taints()).map((taint: Taint) => `${taint.key}:${taint.effect}`);
const staying = async () =>
  (await w.list(Pods)).filter(({ metadata }) => !metadata.deletionTimestamp).map(({ metadata }) => metadata.name);
const ready = async (name: string) =>
  (await w.find(Pods, { namespace: 'default', name }))?.status?.conditions?.find(({ type }) => type === 'Ready')
    ?.status;

beforeEach(async () => {
  w = await world();
});
afterEach(() => w.close());

test('its states are shown; a new life finds it in each of them, and an idle hour writes nothing', async () => {
  await join();
  await run(pod('patient', 300));
  let life = await begin();
  const again = async () => {
    await life.end();
    life = await begin();
    return [state(), life.writes];
  };
  expect(state()).toBe('ready');
  expect(await again()).toEqual(['ready', []]);
  await w.pass(41_000);
  expect(state()).toBe('tainted');
  expect(await ready('patient')).toBe('False');
  expect(await again()).toEqual(['tainted', []]);
  await w.pass(250_000);
  expect(await staying()).toEqual(['patient']);
  expect(await again()).toEqual(['tainted', []]);
  await w.pass(50_000);
  expect(await staying()).toEqual([]);
  expect(life.writes).toEqual(['patch pods/status patient', 'delete pods patient']);
  await w.pass(3_600_000);
  expect(life.writes).toHaveLength(2);
  await beat();
  await tell('True');
  await w.pass();
  expect([state(), await keys()]).toEqual(['ready', []]);
  await life.end();
});

test('whatever write it dies at, the next life marks, taints and evicts, and the patient leave in time', async () => {
  await w.close();
  const deaths = await everyDeath(async (death) => {
    w = await world();
    await join();
    await run(pod('hasty'), pod('patient', 100));
    const first = await begin(death);
    await w.pass(45_000);
    const died = first.isDead;
    await first.end();
    const second = await begin();
    await w.pass(45_000);
    expect(await conditions()).toMatchObject({ Ready: 'Unknown', MemoryPressure: 'Unknown' });
    expect(await keys()).toEqual([`${UNREACHABLE}:NoSchedule`, `${UNREACHABLE}:NoExecute`]);
    expect(await staying()).toEqual(['patient']);
    expect(await ready('patient')).toBe('False');
    const since = Date.parse((await taints())[1]!.timeAdded!);
    await w.pass(since + 99_000 - w.clock.now());
    expect(await staying()).toEqual(['patient']);
    await w.pass(1_000);
    expect(await staying()).toEqual([]);
    await second.end();
    await w.close();
    return { died };
  });
  expect(deaths).toBeGreaterThanOrEqual(5);
  w = await world();
});

test('a taint somebody set by hand counts from when it was seen, also for controllers that come later', async () => {
  await join();
  await run(pod('patient', 60), pod('forever'));
  const tolerations = [{ operator: 'Exists' }];
  await w.create(Pods, { ...pod('loyal'), spec: { ...pod('loyal').spec!, tolerations } });
  let life = await begin();
  const spec = { taints: [{ key: 'example.com/gpu', value: 'broken', effect: 'NoExecute' }] };
  await w.client.patch(Nodes, key, { type: 'merge', body: { spec } });
  await w.pass(1_000);
  expect((await staying()).sort()).toEqual(['loyal', 'patient']);
  expect(await taints()).toEqual([{ ...spec.taints[0], timeAdded: expect.any(String) }]);
  for (let i = 0; i < 2; i++) {
    await w.pass(20_000);
    await beat();
    await life.end();
    life = await begin();
  }
  await w.pass(18_000);
  expect((await staying()).sort()).toEqual(['loyal', 'patient']);
  await w.pass(2_000);
  expect(await staying()).toEqual(['loyal']);
  await life.end();
});

test('pressure keeps pods out and evicts none; what others tell of a node outlives its silence', async () => {
  await join();
  await run(pod('p'));
  const life = await begin();
  await tell('True', { type: 'DiskPressure', status: 'True' }, { type: 'example.com/Fan', status: 'True' });
  await w.pass();
  expect(await keys()).toEqual(['node.kubernetes.io/disk-pressure:NoSchedule']);
  expect(await staying()).toEqual(['p']);
  await w.pass(60_000);
  expect(await conditions()).toEqual({
    Ready: 'Unknown',
    MemoryPressure: 'Unknown',
    DiskPressure: 'Unknown',
    PIDPressure: 'Unknown',
    'example.com/Fan': 'True',
  });
  const told = (await w.list(Events)).filter(({ involvedObject }) => involvedObject.kind === 'Node');
  expect(told.map(({ reason }) => reason)).toEqual(['NodeNotReady']);
  await life.end();
});

test('pods of a node that is not there go, but not on the word of a cache', async () => {
  await run(pod('stranded'));
  await join();
  const blind = await live(w, ({ client, ...parts }) => {
    const late: typeof client = {
      ...client,
      get: async (type, k, options) => {
        if (type.resource === 'nodes') throw new Error('who knows');
        return client.get(type, k, options);
      },
    };
    return start({ ...parts, client: late });
  });
  await w.client.delete(Nodes, key);
  await w.pass(1_000);
  expect(await staying()).toEqual(['stranded']);
  await blind.end();
  const life = await begin();
  await w.pass();
  expect(await w.list(Pods)).toEqual([]);
  await life.end();
});

test('a kubelet that tells of its pods but renews no lease is not argued with', async () => {
  const life = await begin();
  await join();
  const told = { operator: 'Exists' };
  await run({ ...pod('p'), spec: { ...pod('p').spec!, tolerations: [told] } });
  let answers = 0;
  const registration = w.informers.get(Pods).addHandler(({ object }) => {
    const [condition] = object.status?.conditions ?? [];
    if (condition?.status !== 'False' || ++answers > 100) return;
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: `${time(w.clock.now()).slice(0, 19)}Z` }];
    void w.client.patch(
      Pods,
      { namespace: 'default', name: 'p' },
      { type: 'merge', body: { status: { conditions } } },
      { subresource: 'status' },
    );
  });
  await w.pass('5m');
  expect(answers).toBe(1);
  expect(await ready('p')).toBe('True');
  registration.remove();
  await life.end();
});
