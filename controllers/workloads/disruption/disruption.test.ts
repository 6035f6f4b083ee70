import { Deployments, Events, type Pod, PodDisruptionBudgets, Pods } from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { deploymentController } from '../deployment/controller.js';
import { replicaSetController } from '../replicaset/controller.js';
import { disruptionController } from './controller.js';

let w: World;
beforeEach(async () => {
  w = await world({ controllers: [deploymentController, replicaSetController, disruptionController], kubelet: true });
});
afterEach(() => w.close());

const key = { namespace: 'default', name: 'web' };
const labels = { app: 'web' };
const pod = (name: string): Pod => ({
  metadata: { name, namespace: 'default', labels },
  spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
});
const template = { metadata: { labels }, spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] } };
const deploy = (replicas: number) =>
  w.create(Deployments, { metadata: key, spec: { replicas, selector: { matchLabels: labels }, template } });
const budget = (spec: object) =>
  w.create(PodDisruptionBudgets, { metadata: key, spec: { selector: { matchLabels: labels }, ...spec } });
const status = async () => (await w.get(PodDisruptionBudgets, key)).status;
const evict = (name: string) =>
  w.client.subresource(Pods, { namespace: 'default', name }, 'eviction', 'create', {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name, namespace: 'default' },
  } as never);

test('counts what is healthy against what must be', async () => {
  await deploy(3);
  await budget({ maxUnavailable: '34%' });
  await w.settle();
  expect(await status()).toMatchObject({
    expectedPods: 3,
    desiredHealthy: 1,
    currentHealthy: 3,
    disruptionsAllowed: 2,
    observedGeneration: 1,
    conditions: [{ type: 'DisruptionAllowed', status: 'True', reason: 'SufficientPods' }],
  });
  await w.patch(Deployments, key, { spec: { replicas: 1 } });
  await w.settle();
  expect(await status()).toMatchObject({ expectedPods: 1, desiredHealthy: 0, disruptionsAllowed: 1 });
});

test('an eviction uses the allowance up until the pod is replaced', async () => {
  await deploy(2);
  await budget({ minAvailable: 1 });
  await w.settle();
  const [first, second] = await w.list(Pods, 'default');
  await evict(first!.metadata.name!);
  await expect(evict(second!.metadata.name!)).rejects.toMatchObject({ status: { code: 429 } });
  await w.settle();
  expect(await status()).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 1 });
});

test('pods without a controller are counted as they are, and cannot be counted in percent', async () => {
  await w.create(Pods, pod('a'), pod('b'));
  await budget({ minAvailable: 1 });
  await w.settle();
  expect(await status()).toMatchObject({ expectedPods: 2, desiredHealthy: 1, disruptionsAllowed: 1 });
  await w.patch(PodDisruptionBudgets, key, { spec: { minAvailable: '50%' } });
  await w.settle();
  expect(await status()).toMatchObject({
    disruptionsAllowed: 0,
    conditions: [{ type: 'DisruptionAllowed', status: 'False', reason: 'SyncFailed' }],
  });
  expect((await w.list(Events)).map(({ reason }) => reason)).toContain('CalculateExpectedPodCountFailed');
});

test('an eviction that never happened counts for two minutes, and a stale mark goes', async () => {
  await w.close();
  w = await world({ controllers: [disruptionController] });
  const since = new Date(w.clock.now()).toISOString().replace(/\.\d+/, '');
  const ready = { type: 'Ready', status: 'True', lastTransitionTime: since };
  const mark = { type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI', lastTransitionTime: since };
  for (const name of ['a', 'b']) {
    await w.create(Pods, pod(name));
    const status = { phase: 'Running', conditions: name === 'a' ? [ready, mark] : [ready] };
    await w.patch(Pods, { namespace: 'default', name }, { status }, { subresource: 'status' });
  }
  await budget({ minAvailable: 0 });
  await w.patch(PodDisruptionBudgets, key, { status: { disruptedPods: { a: since } } }, { subresource: 'status' });
  await w.pass('5s');
  expect(await status()).toMatchObject({ currentHealthy: 1, disruptionsAllowed: 1, disruptedPods: { a: since } });
  await w.pass('125s');
  expect(await status()).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 2 });
  expect((await status())?.disruptedPods).toBeUndefined();
  const { conditions } = (await w.get(Pods, { namespace: 'default', name: 'a' })).status!;
  expect(conditions?.find(({ type }) => type === 'DisruptionTarget')?.status).toBe('False');
});
