import { runControllers } from '@trimtab/framework';
import {
  ConfigMaps,
  type Event,
  Events,
  type KubeObject,
  Leases,
  Namespaces,
  type Node,
  Nodes,
  type OwnerReference,
  type Pod,
  Pods,
  ServiceAccounts,
} from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { Scheduler } from '../scheduler/scheduler.js';
import { GarbageCollector } from './garbage-collector/garbage-collector.js';
import { namespaceController } from './namespace/controller.js';
import { nodeLifecycleController } from './node-lifecycle/controller.js';
import { rootCaPublisher } from './root-ca/controller.js';
import { serviceAccountController } from './serviceaccount/controller.js';

let w: World;
beforeEach(async () => {
  w = await world();
});
afterEach(() => w.close());

const container = { name: 'c', image: 'i', terminationMessagePolicy: 'File' };
const pod = (name: string, extra: { metadata?: object; spec?: object } = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'default', name, ...extra.metadata },
  spec: { containers: [container], ...extra.spec },
});
const configMap = (name: string, owner?: OwnerReference, namespace = 'default'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace, name, ...(owner ? { ownerReferences: [owner] } : {}) },
});
const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
const refTo = ({ kind, metadata }: KubeObject, block = false): OwnerReference => ({
  apiVersion: 'v1',
  kind: kind ?? 'ConfigMap',
  name: metadata.name!,
  uid: metadata.uid!,
  blockOwnerDeletion: block,
});
const node = (name: string): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  status: {
    allocatable: { cpu: '2', memory: '4Gi', pods: '10' },
    conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
  },
});
const names = async (ns = 'default') => (await w.list(ConfigMaps, ns)).map(({ metadata }) => metadata.name);

describe('the garbage collector', () => {
  const start = async () => {
    const collector = new GarbageCollector(w);
    await collector.start();
    await w.pass();
    return collector;
  };

  test('deletes what an absent owner leaves behind, at once and down the line', async () => {
    const [root] = await w.create(ConfigMaps, configMap('root'));
    const [child] = await w.create(ConfigMaps, configMap('child', refTo(root!)));
    await w.create(ConfigMaps, configMap('grandchild', refTo(child!)), configMap('other'));
    const collector = await start();
    expect(await names()).toEqual(['child', 'grandchild', 'other', 'root']);
    await w.client.delete(ConfigMaps, { namespace: 'default', name: 'root' });
    await w.pass();
    expect(await names()).toEqual(['other']);
    await collector.stop();
  });

  test('finds what was orphaned while nobody looked, and believes an owner only by its uid', async () => {
    const [owner] = await w.create(ConfigMaps, configMap('owner'));
    await w.create(ConfigMaps, configMap('dependent', refTo(owner!)));
    await w.client.delete(ConfigMaps, { namespace: 'default', name: 'owner' });
    await w.create(ConfigMaps, configMap('owner'));
    const collector = await start();
    expect(await names()).toEqual(['owner']);
    await collector.stop();
  });

  test('keeps what another owner still holds, and drops the reference to the one that is gone', async () => {
    const [a, b] = await w.create(ConfigMaps, configMap('a'), configMap('b'));
    const shared = configMap('shared');
    await w.create(ConfigMaps, {
      ...shared,
      metadata: { ...shared.metadata, ownerReferences: [refTo(a!), refTo(b!)] },
    });
    const collector = await start();
    await w.client.delete(ConfigMaps, { namespace: 'default', name: 'a' });
    await w.pass();
    const kept = await w.find(ConfigMaps, { namespace: 'default', name: 'shared' });
    expect(kept?.metadata.ownerReferences?.map(({ name }) => name)).toEqual(['b']);
    await collector.stop();
  });

  test('in the foreground the owner goes last, orphaned dependents stay without it', async () => {
    const [owner, parent] = await w.create(ConfigMaps, configMap('owner'), configMap('parent'));
    const slow = configMap('slow', refTo(owner!, true));
    await w.create(ConfigMaps, { ...slow, metadata: { ...slow.metadata, finalizers: ['example.com/wait'] } });
    await w.create(ConfigMaps, configMap('free', refTo(parent!)));
    const collector = await start();
    await w.client.delete(ConfigMaps, { namespace: 'default', name: 'owner' }, { propagationPolicy: 'Foreground' });
    await w.client.delete(ConfigMaps, { namespace: 'default', name: 'parent' }, { propagationPolicy: 'Orphan' });
    await w.pass();
    expect(await names()).toEqual(['free', 'owner', 'slow']);
    expect(
      (await w.find(ConfigMaps, { namespace: 'default', name: 'free' }))?.metadata.ownerReferences,
    ).toBeUndefined();
    const body = { metadata: { finalizers: null } };
    await w.client.patch(ConfigMaps, { namespace: 'default', name: 'slow' }, { type: 'merge', body });
    await w.pass(1000);
    expect(await names()).toEqual(['free']);
    await collector.stop();
  });

  test('an owner of another namespace is no owner', async () => {
    const [owner] = await w.create(ConfigMaps, configMap('owner', undefined, 'other'));
    await w.create(ConfigMaps, configMap('stray', refTo(owner!)));
    const collector = await start();
    expect(await names()).toEqual([]);
    await collector.stop();
  });
});

describe('namespaces', () => {
  test('get a service account and the certificate authority, also again', async () => {
    const controllers = runControllers([serviceAccountController, rootCaPublisher('PEM')], w);
    await w.create(Namespaces, namespace('team'));
    await w.pass();
    const account = { namespace: 'team', name: 'default' };
    const authority = { namespace: 'team', name: 'kube-root-ca.crt' };
    expect(await w.find(ServiceAccounts, account)).toBeDefined();
    expect(await w.find(ConfigMaps, authority)).toMatchObject({ data: { 'ca.crt': 'PEM' } });
    await w.client.delete(ServiceAccounts, account);
    await w.client.patch(ConfigMaps, authority, { type: 'merge', body: { data: { 'ca.crt': 'forged' } } });
    await w.pass();
    expect(await w.find(ServiceAccounts, account)).toBeDefined();
    expect(await w.find(ConfigMaps, authority)).toMatchObject({ data: { 'ca.crt': 'PEM' } });
    await controllers.stop();
  });

  test('go with all they hold, pods before the rest, and say what they wait for', async () => {
    const controllers = runControllers([namespaceController(w)], w);
    await w.create(Namespaces, namespace('team'));
    await w.create(ConfigMaps, configMap('needed', undefined, 'team'));
    await w.create(Pods, pod('p', { metadata: { namespace: 'team', finalizers: ['example.com/wait'] } }));
    await w.client.delete(Namespaces, { name: 'team' });
    await w.pass(1000);
    expect(await names('team')).toEqual(['needed']);
    const waiting = await w.find(Namespaces, { name: 'team' });
    expect(waiting?.status?.phase).toBe('Terminating');
    const remaining = waiting?.status?.conditions?.find(({ type }) => type === 'NamespaceContentRemaining');
    expect(remaining).toMatchObject({
      status: 'True',
      message: expect.stringContaining('pods. has 1 resource instances'),
    });
    await w.client.patch(
      Pods,
      { namespace: 'team', name: 'p' },
      { type: 'merge', body: { metadata: { finalizers: null } } },
    );
    await w.pass(5000);
    expect(await w.find(Namespaces, { name: 'team' })).toBeUndefined();
    expect(await names('team')).toEqual([]);
    await controllers.stop();
  });
});

describe('a node', () => {
  const lease = (renewed: number) => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: 'kube-node-lease', name: 'n' },
    spec: { holderIdentity: 'n', renewTime: new Date(renewed).toISOString().replace('Z', '000Z') },
  });
  const tolerations = [
    { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  ];

  test('that goes silent is unknown after its grace, tainted, and its pods leave when they no longer tolerate it', async () => {
    const controllers = runControllers([nodeLifecycleController({ startedAt: w.clock.now() })], w);
    await w.create(Nodes, node('n'));
    await w.create(Leases, lease(w.clock.now()));
    await w.create(
      Pods,
      pod('patient', { spec: { nodeName: 'n', tolerations } }),
      pod('hasty', { spec: { nodeName: 'n' } }),
    );
    const ready = async () =>
      (await w.find(Nodes, { name: 'n' }))?.status?.conditions?.find(({ type }) => type === 'Ready');
    await w.pass(39_000);
    expect((await ready())?.status).toBe('True');
    await w.pass(2_000);
    expect(await ready()).toMatchObject({ status: 'Unknown', reason: 'NodeStatusUnknown' });
    expect((await w.find(Nodes, { name: 'n' }))?.spec?.taints?.map(({ key, effect }) => `${key}:${effect}`)).toEqual([
      'node.kubernetes.io/unreachable:NoSchedule',
      'node.kubernetes.io/unreachable:NoExecute',
    ]);
    const leaving = async () =>
      (await w.list(Pods)).filter((p) => p.metadata.deletionTimestamp).map((p) => p.metadata.name);
    expect(await leaving()).toEqual(['hasty']);
    await w.pass(298_000);
    expect(await leaving()).toEqual(['hasty']);
    await w.pass(2_000);
    expect(await leaving()).toEqual(['hasty', 'patient']);
    await controllers.stop();
  });

  test('that is heard of again loses its taints; silence from before this controller began says nothing', async () => {
    await w.create(Nodes, node('n'));
    await w.create(Leases, lease(w.clock.now() - 3_600_000));
    const controllers = runControllers([nodeLifecycleController({ startedAt: w.clock.now() })], w);
    await w.pass(30_000);
    expect((await w.find(Nodes, { name: 'n' }))?.spec?.taints).toBeUndefined();
    await w.pass(15_000);
    expect((await w.find(Nodes, { name: 'n' }))?.spec?.taints).toHaveLength(2);
    await w.client.patch(
      Leases,
      { namespace: 'kube-node-lease', name: 'n' },
      { type: 'merge', body: { spec: lease(w.clock.now()).spec } },
    );
    const body = { status: { conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }] } };
    await w.client.patch(Nodes, { name: 'n' }, { type: 'strategic', body }, { subresource: 'status' });
    await w.pass(100);
    expect((await w.find(Nodes, { name: 'n' }))?.spec?.taints).toBeUndefined();
    await controllers.stop();
  });
});

describe('the scheduler', () => {
  test('binds pods, tells why it cannot, and does so as soon as there is room', async () => {
    const scheduler = new Scheduler(w);
    const starting = scheduler.start();
    await w.pass();
    await starting;
    const small = { containers: [{ ...container, resources: { requests: { cpu: '1500m' } } }] };
    await w.create(Pods, pod('first', { spec: small }));
    await w.pass();
    const condition = async (name: string) =>
      (await w.find(Pods, { namespace: 'default', name }))?.status?.conditions?.[0];
    expect(await condition('first')).toMatchObject({
      type: 'PodScheduled',
      status: 'False',
      message: 'no nodes available to schedule pods',
    });
    await w.create(Nodes, node('n'));
    await w.create(Pods, pod('second', { spec: small }));
    await w.pass();
    const placed = async (name: string) => (await w.find(Pods, { namespace: 'default', name }))?.spec?.nodeName;
    expect([await placed('first'), await placed('second')]).toEqual(['n', undefined]);
    expect(await condition('second')).toMatchObject({
      message:
        '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
    });
    await w.client.delete(Pods, { namespace: 'default', name: 'first' }, { gracePeriodSeconds: 0 });
    await w.pass();
    expect(await placed('second')).toBe('n');
    const events = (await w.list(Events)) as readonly Event[];
    expect(events.map(({ reason, involvedObject }) => `${reason} ${involvedObject.name}`).sort()).toEqual([
      'FailedScheduling first',
      'FailedScheduling second',
      'Scheduled first',
      'Scheduled second',
    ]);
    await scheduler.stop();
  });
});
