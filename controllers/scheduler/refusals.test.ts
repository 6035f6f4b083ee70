import type { ApiCall } from '@trimtab/client';
import { conflict, Nodes, type Pod, Pods, serviceUnavailable, timeout } from '@trimtab/machinery';
import { type Loop, type World, world } from '@trimtab/testing';
import { Scheduler } from './scheduler.js';
import { node, pod as testPod } from './testing.js';

/** What the scheduler asked for and did not get, or does not know whether it got. */
const scheduler: Loop = { name: 'scheduler', start: (parts) => new Scheduler(parts).start() };
const key = (name: string) => ({ namespace: 'ns', name });
const pod = (name: string, cpu: string, priority = 0): Pod => ({
  ...testPod({ terminationGracePeriodSeconds: 0 }, { cpu, priority }),
  metadata: key(name),
});
const isBinding = (call: ApiCall) => call.verb === 'subresource' && call.subresource === 'binding';
const isReport = (call: ApiCall) => call.verb === 'patch' && call.options.subresource === 'status';
const isEviction = (call: ApiCall) => call.verb === 'delete';
const down = serviceUnavailable('the server is not there');

/** The first write of that kind goes wrong; `done`: it is carried out, and its answer lost. */
function failFirst(w: World, which: (call: ApiCall) => boolean, error: Error, { done = false } = {}): () => number {
  let asked = 0;
  w.process.link.faults.write = async (call, send) => {
    if (!which(call) || ++asked > 1) return send();
    if (done) await send();
    throw error;
  };
  return () => asked;
}
const nodeOf = async (w: World, name: string) => (await w.find(Pods, key(name)))?.spec?.nodeName;

let w: World;
beforeEach(async () => {
  w = await world({ controllers: [scheduler] });
  await w.create(Nodes, node('n'));
});
afterEach(() => w.close());

test.each([
  ['in conflict', conflict({ group: '', resource: 'pods' }, 'p')],
  ['because the server is not there', down],
])('a pod whose binding is refused %s, and which is on no node, is tried again', async (_, error) => {
  const asked = failFirst(w, isBinding, error);
  await w.create(Pods, pod('p', '1'));
  await w.pass('5s');
  expect([await nodeOf(w, 'p'), asked()]).toEqual(['n', 2]);
});

test('a binding whose answer is lost has taken its room, and is not asked for again', async () => {
  const asked = failFirst(w, isBinding, timeout('the answer is lost'), { done: true });
  await w.create(Pods, pod('first', '2'), pod('second', '2'));
  await w.pass('1m');
  expect([await nodeOf(w, 'first'), await nodeOf(w, 'second'), asked()]).toEqual(['n', undefined, 1]);
});

test('why a pod waits is said again where it could not be said', async () => {
  const asked = failFirst(w, isReport, down);
  await w.create(Pods, pod('large', '3'));
  await w.pass('5s');
  const { status } = await w.get(Pods, key('large'));
  expect(status?.conditions).toMatchObject([{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }]);
  expect(asked()).toBe(2);
});

test('who could not be evicted is evicted again', async () => {
  await w.create(Pods, pod('low', '2'));
  await w.pass('1s');
  const asked = failFirst(w, isEviction, down);
  await w.create(Pods, pod('vip', '2', 1000));
  await w.pass('30s');
  expect([await nodeOf(w, 'low'), await nodeOf(w, 'vip'), asked()]).toEqual([undefined, 'n', 2]);
});

test('a pod that is bound is expected nowhere', async () => {
  await w.create(Pods, pod('low', '2'));
  await w.pass('1s');
  await w.create(Pods, pod('vip', '2', 1000));
  await w.pass('30s');
  const states = w.trace.writes.filter(({ key: of }) => of === 'ns/vip').map(({ object }) => object as Pod);
  expect(states.map(({ spec, status }) => [spec?.nodeName, status?.nominatedNodeName])).toEqual([
    [undefined, undefined],
    [undefined, 'n'],
    ['n', undefined],
  ]);
});
