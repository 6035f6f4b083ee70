import { type Node, Nodes, type Pod, Pods } from '@trimtab/machinery';
import { expectStable, perturb, type World, world } from '@trimtab/testing';
import { PLANS } from '../../test-plans.js';
import { podGarbageCollector } from './controller.js';

const pod = (name: string, nodeName?: string, metadata: object = {}): Pod => ({
  metadata: { namespace: 'ns', name, ...metadata },
  spec: { ...(nodeName ? { nodeName } : {}), containers: [{ name: 'c', image: 'i' }] },
});
const ended = async (w: World, name: string, status: object = {}) => {
  await w.create(Pods, pod(name, 'n'));
  await w.patch(Pods, { namespace: 'ns', name }, { status: { phase: 'Failed', ...status } }, { subresource: 'status' });
  await w.pass('10s');
};
const names = async (w: World) => (await w.list(Pods, 'ns')).map(({ metadata }) => metadata.name);
const node = (status: string, taints: Node['spec'] = {}): Node => ({
  metadata: { name: 'n' },
  spec: taints,
  status: { conditions: [{ type: 'Ready', status }] },
});
const off = { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute', value: 'nodeshutdown' }] };

test('of pods that have ended the oldest go beyond the threshold, evicted ones first', async () => {
  const w = await world({ controllers: [podGarbageCollector({ terminatedPodThreshold: 2 })] });
  await ended(w, 'old');
  await w.create(Pods, pod('runs', 'n'));
  await ended(w, 'mid');
  expect(await names(w)).toEqual(['mid', 'old', 'runs']);
  await ended(w, 'evicted', { reason: 'Evicted' });
  expect(await names(w)).toEqual(['mid', 'old', 'runs']);
  await ended(w, 'young');
  expect(await names(w)).toEqual(['mid', 'runs', 'young']);
  await expectStable(w);
  await w.close();
});

test('a crowd that is there already is reduced to the threshold', async () => {
  const w = await world({ controllers: [podGarbageCollector({ terminatedPodThreshold: 5 })] });
  w.process.crash();
  for (let i = 0; i < 12; i++) await ended(w, `p${String(i).padStart(2, '0')}`);
  w.process.start();
  await w.settle();
  expect(await names(w)).toEqual(['p07', 'p08', 'p09', 'p10', 'p11']);
  await w.close();
});

test('a pod on a node that is out of service fails and goes once it is deleted; one on a node that is only ill stays', async () => {
  const w = await world({ controllers: [podGarbageCollector()] });
  await w.create(Nodes, node('Unknown'));
  const held = { finalizers: ['batch.kubernetes.io/job-tracking'] };
  await w.create(Pods, pod('free', 'n'), pod('held', 'n', held), pod('stays', 'n'));
  for (const name of ['free', 'held']) await w.remove(Pods, { namespace: 'ns', name });
  await w.pass('5m');
  expect(await names(w)).toEqual(['free', 'held', 'stays']);
  await w.patch(Nodes, { name: 'n' }, { spec: off });
  await w.pass('1s');
  expect(await names(w)).toEqual(['held', 'stays']);
  const { status } = await w.get(Pods, { namespace: 'ns', name: 'held' });
  expect(status).toMatchObject({
    phase: 'Failed',
    conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'DeletionByPodGC' }],
  });
  await expectStable(w);
  await w.close();
});

test('survives every single fault', async () => {
  const report = await perturb(
    {
      world: { controllers: [podGarbageCollector({ terminatedPodThreshold: 1 })] },
      async workload(w) {
        await w.create(Nodes, node('Unknown', off));
        await ended(w, 'a');
        await ended(w, 'b');
        await w.create(Pods, pod('gone', 'n'), pod('stays', 'n'));
        await w.remove(Pods, { namespace: 'ns', name: 'gone' });
        await w.settle();
      },
    },
    PLANS,
  );
  report.expectNoDivergence();
});
