import {
  ControllerRevisions,
  DaemonSets,
  Deployments,
  Nodes,
  Pods,
  ReplicaSets,
  ReplicationControllers,
  ResourceQuotas,
  type Scale,
  StatefulSets,
} from '@trimtab/machinery';
import { hang } from '@trimtab/testing';
import { IMAGE, labelled, pod, podsOf, ready, template, useConformance, writeStatus } from './controllers-world.js';

/** Conformance tests of workloads, under their own names, with controllers, scheduler and scripted kubelets. */
const e2e = useConformance();
const key = (name = 'test') => ({ namespace: e2e.ns, name });
const selector = (name = 'test') => ({ matchLabels: { ...labelled(name) } });
const settle = () => e2e.w.settle({ quiet: '5s' });
const pods = () => podsOf(e2e.w, e2e.ns);
const images = async () => new Set((await pods()).map(({ spec }) => spec?.containers[0]?.image));
const deploy = (replicas: number, more: object = {}) =>
  e2e.w.create(Deployments, {
    metadata: key(),
    spec: { replicas, selector: selector(), template: template('test'), ...more },
  });
const newImage = (image: string) => ({ spec: { template: { spec: { containers: [{ name: 'httpd', image }] } } } });
const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from e2e test' };
type Conditioned = { readonly status?: { readonly conditions?: readonly { readonly type: string }[] } };
const types = ({ status }: Conditioned) => status?.conditions?.map(({ type }) => type);

describe('Deployment', () => {
  test('[sig-apps] Deployment Deployment should have a working scale subresource [Conformance]', async () => {
    await deploy(1);
    await settle();
    const scale = await e2e.w.client.subresource<never, Scale>(Deployments, key(), 'scale', 'get');
    expect(scale.spec?.replicas).toBe(1);
    await e2e.w.client.subresource(Deployments, key(), 'scale', 'update', { ...scale, spec: { replicas: 2 } });
    await settle();
    expect(await pods()).toHaveLength(2);
    await e2e.w.patch(Deployments, key(), { spec: { replicas: 4 } }, { subresource: 'scale' });
    await settle();
    expect(await pods()).toHaveLength(4);
  });

  test('[sig-apps] Deployment RecreateDeployment should delete old pods and create new ones [Conformance]', async () => {
    await deploy(1, { strategy: { type: 'Recreate' } });
    await settle();
    const seen: number[] = [];
    e2e.w.informers.get(Pods).addHandler(() => {
      const all = e2e.w.informers.get(Pods).list(e2e.ns);
      seen.push(new Set(all.map(({ spec }) => spec?.containers[0]?.image)).size);
    });
    await e2e.w.patch(Deployments, key(), newImage('new'));
    await settle();
    expect(await images()).toEqual(new Set(['new']));
    expect(Math.max(...seen)).toBe(1);
  });

  test('[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones [Conformance]', async () => {
    await e2e.w.create(ReplicaSets, {
      metadata: {
        ...key('adopted'),
        labels: labelled('test'),
        annotations: { 'deployment.kubernetes.io/revision': '3546343826724305832' },
      },
      spec: { replicas: 1, selector: selector(), template: template('test') },
    });
    await settle();
    await deploy(1, { template: template('test', { containers: [{ name: 'agnhost', image: 'new' }] }) });
    await settle();
    expect(await images()).toEqual(new Set(['new']));
    const { metadata } = await e2e.w.get(Deployments, key());
    expect(metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3546343826724305833');
    const sets = await e2e.w.list(ReplicaSets, e2e.ns);
    expect(sets.every((set) => set.metadata.ownerReferences?.[0]?.uid === metadata.uid)).toBe(true);
  });

  test('[sig-apps] Deployment deployment should delete old replica sets [Conformance]', async () => {
    await deploy(1, { revisionHistoryLimit: 0 });
    await settle();
    await e2e.w.patch(Deployments, key(), newImage('new'));
    await settle();
    expect(await e2e.w.list(ReplicaSets, e2e.ns)).toHaveLength(1);
  });

  test('[sig-apps] Deployment deployment should support proportional scaling [Conformance]', async () => {
    await deploy(10, { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } });
    await settle();
    e2e.w.kubelet.script('test', (each) => (each.spec?.containers[0]?.image === 'webserver:404' ? hang() : undefined));
    await e2e.w.patch(Deployments, key(), newImage('webserver:404'));
    await e2e.w.pass('20s');
    const sizes = async () =>
      Object.fromEntries(
        (await e2e.w.list(ReplicaSets, e2e.ns)).map(({ spec }) => [
          spec?.template?.spec?.containers[0]?.image,
          spec?.replicas,
        ]),
      );
    expect(await sizes()).toEqual({ [IMAGE]: 8, 'webserver:404': 5 });
    await e2e.w.patch(Deployments, key(), { spec: { replicas: 30 } });
    await e2e.w.pass('20s');
    expect(await sizes()).toEqual({ [IMAGE]: 20, 'webserver:404': 13 });
    await e2e.w.remove(Deployments, key());
    await settle();
  });

  test('[sig-apps] Deployment deployment should support rollover [Conformance]', async () => {
    await e2e.w.create(ReplicaSets, {
      metadata: { ...key('rollover'), labels: labelled('test') },
      spec: { replicas: 1, selector: selector(), template: template('test') },
    });
    await settle();
    e2e.w.kubelet.script('test', (each) => (each.spec?.containers[0]?.image === 'nonexistent' ? hang() : undefined));
    await deploy(1, {
      minReadySeconds: 10,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: template('test', { containers: [{ name: 'httpd', image: 'nonexistent' }] }),
    });
    await e2e.w.pass('5s');
    await e2e.w.patch(Deployments, key(), newImage('final'));
    await e2e.w.pass('1m');
    expect(await images()).toEqual(new Set(['final']));
    const sets = await e2e.w.list(ReplicaSets, e2e.ns);
    expect(sets.filter(({ spec }) => spec?.replicas !== 0)).toHaveLength(1);
  });

  test('[sig-apps] Deployment should run the lifecycle of a Deployment [Conformance]', async () => {
    const { w } = e2e;
    await w.create(Deployments, {
      metadata: { ...key(), labels: { 'test-deployment-static': 'true' } },
      spec: { replicas: 2, selector: selector(), template: template('test') },
    });
    await settle();
    await w.patch(Deployments, key(), {
      metadata: { labels: { 'test-deployment': 'patched' } },
      spec: { replicas: 1, ...newImage('patched').spec },
    });
    await settle();
    const all = await w.client.list(Deployments, { labelSelector: 'test-deployment-static=true' });
    expect(all.items.map(({ metadata }) => metadata.labels?.['test-deployment'])).toEqual(['patched']);
    await writeStatus(w, Deployments, key(), { readyReplicas: 1, conditions: [condition] });
    const read = await w.get(Deployments, key());
    await w.client.update(Deployments, { ...read, spec: { ...read.spec!, replicas: 2 } });
    await settle();
    expect((await w.get(Deployments, key())).status).toMatchObject({ readyReplicas: 2, updatedReplicas: 2 });
    await w.client.deleteCollection(Deployments, { namespace: e2e.ns, labelSelector: 'test-deployment-static=true' });
    await settle();
    expect(await w.list(Deployments, e2e.ns)).toEqual([]);
    expect(await pods()).toEqual([]);
  });

  test('[sig-apps] Deployment should validate Deployment Status endpoints [Conformance]', async () => {
    await deploy(1);
    await settle();
    const read = await e2e.w.get(Deployments, key());
    const status = { ...read.status, conditions: [...(read.status?.conditions ?? []), condition] };
    const updated = await e2e.w.client.update(Deployments, { ...read, status } as never, { subresource: 'status' });
    expect(types(updated as Conditioned)).toContain('StatusUpdate');
    const patched = await writeStatus(e2e.w, Deployments, key(), {
      conditions: [{ type: 'StatusPatched', status: 'True' }],
    });
    expect(types(patched)).toEqual(['StatusPatched']);
  });
});

describe('ReplicaSet and ReplicationController', () => {
  const set = (replicas: number, metadata: object = {}) =>
    e2e.w.create(ReplicaSets, {
      metadata: { ...key(), ...metadata },
      spec: { replicas, selector: selector(), template: template('test') },
    });
  const controller = (replicas: number) =>
    e2e.w.create(ReplicationControllers, {
      metadata: key(),
      spec: { replicas, selector: { ...labelled('test') }, template: template('test') },
    });
  const ownersOf = async (name: string) =>
    (await e2e.w.get(Pods, key(name))).metadata.ownerReferences?.map(({ kind }) => kind) ?? [];

  test('[sig-apps] ReplicaSet Replace and Patch tests [Conformance]', async () => {
    await set(1);
    await settle();
    await e2e.w.patch(ReplicaSets, key(), {
      metadata: { labels: { test: 'patched' } },
      spec: { replicas: 3, ...newImage('p').spec },
    });
    await settle();
    expect((await e2e.w.get(ReplicaSets, key())).status?.readyReplicas).toBe(3);
    expect(await pods()).toHaveLength(3);
  });

  test('[sig-apps] ReplicaSet Replicaset should have a working scale subresource [Conformance]', async () => {
    await set(1);
    const scale = await e2e.w.client.subresource<never, Scale>(ReplicaSets, key(), 'scale', 'get');
    await e2e.w.client.subresource(ReplicaSets, key(), 'scale', 'update', { ...scale, spec: { replicas: 2 } });
    await settle();
    await e2e.w.patch(ReplicaSets, key(), { spec: { replicas: 4 } }, { subresource: 'scale' });
    await settle();
    expect(await pods()).toHaveLength(4);
  });

  test('[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods [Conformance]', async () => {
    await e2e.w.create(Pods, pod(e2e.ns, 'orphan', {}, { labels: { ...labelled('test') } }));
    await settle();
    await set(1);
    await settle();
    expect(await ownersOf('orphan')).toEqual(['ReplicaSet']);
    await e2e.w.patch(Pods, key('orphan'), { metadata: { labels: { name: 'other' } } });
    await settle();
    expect(await ownersOf('orphan')).toEqual([]);
    expect(await pods()).toHaveLength(2);
  });

  test('[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets [Conformance]', async () => {
    await set(3, { labels: { e2e: 'test' } });
    await settle();
    const { items } = await e2e.w.client.list(ReplicaSets, { labelSelector: 'e2e=test' });
    expect(items).toHaveLength(1);
    await e2e.w.client.deleteCollection(ReplicaSets, { namespace: e2e.ns, labelSelector: 'e2e=test' });
    await settle();
    expect([await e2e.w.list(ReplicaSets, e2e.ns), await pods()]).toEqual([[], []]);
  });

  test('[sig-apps] ReplicaSet should validate Replicaset Status endpoints [Conformance]', async () => {
    await set(1);
    await settle();
    const updated = await writeStatus(e2e.w, ReplicaSets, key(), { conditions: [condition] });
    expect(types(updated)).toContain('StatusUpdate');
    const patched = await writeStatus(e2e.w, ReplicaSets, key(), {
      conditions: [{ type: 'StatusPatched', status: 'True' }],
    });
    expect(types(patched)).toContain('StatusPatched');
  });

  test('[sig-apps] ReplicationController should adopt matching pods on creation [Conformance]', async () => {
    await e2e.w.create(Pods, pod(e2e.ns, 'test'));
    await controller(1);
    await settle();
    expect(await ownersOf('test')).toEqual(['ReplicationController']);
    expect(await pods()).toHaveLength(1);
  });

  test('[sig-apps] ReplicationController should get and update a ReplicationController scale [Conformance]', async () => {
    await controller(1);
    await settle();
    const scale = await e2e.w.client.subresource<never, Scale>(ReplicationControllers, key(), 'scale', 'get');
    expect(scale.status?.replicas).toBe(1);
    await e2e.w.client.subresource(ReplicationControllers, key(), 'scale', 'update', {
      ...scale,
      spec: { replicas: 2 },
    });
    await settle();
    expect((await e2e.w.get(ReplicationControllers, key())).status?.replicas).toBe(2);
  });

  test('[sig-apps] ReplicationController should release no longer matching pods [Conformance]', async () => {
    await controller(1);
    await settle();
    const [{ metadata }] = (await pods()) as [{ metadata: { name: string } }];
    await e2e.w.patch(Pods, key(metadata.name), { metadata: { labels: { name: 'other' } } });
    await settle();
    expect(await ownersOf(metadata.name)).toEqual([]);
    expect(await pods()).toHaveLength(2);
  });

  test('[sig-apps] ReplicationController should surface a failure condition on a common issue like exceeded quota [Conformance]', async () => {
    await e2e.w.create(ResourceQuotas, { metadata: key(), spec: { hard: { pods: '2' } } });
    await e2e.w.pass('1s');
    await controller(3);
    await e2e.w.pass('20s');
    const failing = await e2e.w.get(ReplicationControllers, key());
    expect(failing.status?.conditions).toMatchObject([
      { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate' },
    ]);
    await e2e.w.patch(ReplicationControllers, key(), { spec: { replicas: 2 } }, { subresource: 'scale' });
    await e2e.w.pass('20s');
    expect((await e2e.w.get(ReplicationControllers, key())).status?.conditions ?? []).toEqual([]);
  });

  test('[sig-apps] ReplicationController should test the lifecycle of a ReplicationController [Conformance]', async () => {
    const { w } = e2e;
    await controller(1);
    await settle();
    await w.patch(ReplicationControllers, key(), { metadata: { labels: { 'test-rc-static': 'true' } } });
    await writeStatus(w, ReplicationControllers, key(), { readyReplicas: 0, availableReplicas: 0 });
    await settle();
    await w.patch(ReplicationControllers, key(), { spec: { replicas: 2 } }, { subresource: 'scale' });
    await settle();
    expect((await w.get(ReplicationControllers, key())).status).toMatchObject({
      readyReplicas: 2,
      availableReplicas: 2,
    });
    expect((await w.client.list(ReplicationControllers, { labelSelector: 'test-rc-static=true' })).items).toHaveLength(
      1,
    );
    await w.client.deleteCollection(ReplicationControllers, {
      namespace: e2e.ns,
      labelSelector: 'test-rc-static=true',
    });
    await settle();
    expect(await w.list(ReplicationControllers, e2e.ns)).toEqual([]);
    // In core/v1 dependents are orphaned unless asked otherwise (kubernetes: rcStrategy.DefaultGarbageCollectionPolicy).
    expect((await pods()).map(({ metadata }) => metadata.ownerReferences)).toEqual([undefined, undefined]);
  });
});

describe('DaemonSet', () => {
  const everywhere = async () => new Set((await pods()).map(({ spec }) => spec?.nodeName));
  const daemon = (more: object = {}, metadata: object = {}) =>
    e2e.w.create(DaemonSets, {
      metadata: { ...key(), ...metadata },
      spec: { selector: selector(), template: template('test'), ...more },
    });
  const nodes = new Set(['node-1', 'node-2', 'node-3']);
  afterEach(async () => {
    await e2e.w.remove(DaemonSets, key());
    await settle();
  });

  test('[sig-apps] Daemon set [Serial] should list and delete a collection of DaemonSets [Conformance]', async () => {
    await daemon({}, { labels: { ds: 'test' } });
    await settle();
    expect((await e2e.w.client.list(DaemonSets, { labelSelector: 'ds=test' })).items).toHaveLength(1);
    await e2e.w.client.deleteCollection(DaemonSets, { namespace: e2e.ns, labelSelector: 'ds=test' });
    await settle();
    expect(await pods()).toEqual([]);
  });

  test('[sig-apps] Daemon set [Serial] should retry creating failed daemon pods [Conformance]', async () => {
    await daemon();
    await settle();
    const [first] = await pods();
    const name = first!.metadata.name!;
    await writeStatus(e2e.w, Pods, key(name), { phase: 'Failed' });
    await e2e.w.pass('1m');
    expect(await everywhere()).toEqual(nodes);
    expect(await e2e.w.find(Pods, key(name))).toBeUndefined();
  });

  test('[sig-apps] Daemon set [Serial] should rollback without unnecessary restarts [Conformance]', async () => {
    await daemon();
    await settle();
    const before = new Set((await pods()).map(({ metadata }) => metadata.uid));
    e2e.w.kubelet.script('test', (each) =>
      each.spec?.containers[0]?.image === 'foo:non-existent' ? hang() : undefined,
    );
    await e2e.w.patch(DaemonSets, key(), newImage('foo:non-existent'));
    await e2e.w.pass('20s');
    await e2e.w.patch(DaemonSets, key(), newImage(IMAGE));
    await settle();
    const after = (await pods()).map(({ metadata }) => metadata.uid);
    expect(after.filter((uid) => before.has(uid)).length).toBeGreaterThanOrEqual(2);
    expect(await images()).toEqual(new Set([IMAGE]));
  });

  test('[sig-apps] Daemon set [Serial] should run and stop complex daemon [Conformance]', async () => {
    await daemon({ template: template('test', { nodeSelector: { color: 'blue' } }) });
    await settle();
    expect(await everywhere()).toEqual(new Set());
    await e2e.w.patch(Nodes, { name: 'node-1' }, { metadata: { labels: { color: 'blue' } } });
    await settle();
    expect(await everywhere()).toEqual(new Set(['node-1']));
    await e2e.w.patch(Nodes, { name: 'node-1' }, { metadata: { labels: { color: 'green' } } });
    await settle();
    expect(await everywhere()).toEqual(new Set());
    await e2e.w.patch(DaemonSets, key(), {
      spec: { updateStrategy: { type: 'RollingUpdate' }, template: { spec: { nodeSelector: { color: 'green' } } } },
    });
    await settle();
    expect(await everywhere()).toEqual(new Set(['node-1']));
  });

  test('[sig-apps] Daemon set [Serial] should run and stop simple daemon [Conformance]', async () => {
    await daemon();
    await settle();
    expect(await everywhere()).toEqual(nodes);
    const [first] = await pods();
    await e2e.w.remove(Pods, key(first!.metadata.name!));
    await settle();
    expect(await everywhere()).toEqual(nodes);
  });

  test('[sig-apps] Daemon set [Serial] should update pod when spec was updated and update strategy is RollingUpdate [Conformance]', async () => {
    await daemon({ updateStrategy: { type: 'RollingUpdate' } });
    await settle();
    await e2e.w.patch(DaemonSets, key(), newImage('new'));
    await settle();
    expect(await images()).toEqual(new Set(['new']));
    expect(await everywhere()).toEqual(nodes);
    const revisions = await e2e.w.list(ControllerRevisions, e2e.ns);
    expect(revisions.map(({ revision }) => revision).sort()).toEqual([1, 2]);
  });

  test('[sig-apps] Daemon set [Serial] should verify changes to a daemon set status [Conformance]', async () => {
    await daemon();
    await settle();
    const updated = await writeStatus(e2e.w, DaemonSets, key(), { conditions: [condition] });
    expect(types(updated)).toContain('StatusUpdate');
    await settle();
    expect(types(await e2e.w.get(DaemonSets, key()))).toContain('StatusUpdate');
  });

  test('[sig-apps] ControllerRevision [Serial] should manage the lifecycle of a ControllerRevision [Conformance]', async () => {
    const { w } = e2e;
    await daemon();
    await settle();
    const [initial] = await w.list(ControllerRevisions, e2e.ns);
    const name = initial!.metadata.name!;
    await w.patch(ControllerRevisions, key(name), { metadata: { labels: { patched: 'yes' } } });
    expect((await w.get(ControllerRevisions, key(name))).metadata.labels?.patched).toBe('yes');
    await w.create(ControllerRevisions, {
      metadata: { ...key('made'), labels: { ...labelled('test') }, ownerReferences: initial!.metadata.ownerReferences },
      data: initial!.data,
      revision: initial!.revision! + 1,
    } as never);
    await w.remove(ControllerRevisions, key(name));
    await w.pass('2s');
    expect(await w.find(ControllerRevisions, key(name))).toBeUndefined();
    await w.patch(DaemonSets, key(), newImage('new'));
    await settle();
    await w.client.deleteCollection(ControllerRevisions, { namespace: e2e.ns, labelSelector: 'name=test' });
    await settle();
    expect(await images()).toEqual(new Set(['new']));
    expect(await w.list(ControllerRevisions, e2e.ns)).toHaveLength(1);
  });
});

describe('StatefulSet', () => {
  const stateful = (replicas: number, more: object = {}, metadata: object = {}) =>
    e2e.w.create(StatefulSets, {
      metadata: { ...key('ss'), ...metadata },
      spec: { replicas, serviceName: 'test', selector: selector(), template: template('test'), ...more },
    });
  const suite = '[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic]';

  test(`${suite} should have a working scale subresource [Conformance]`, async () => {
    await stateful(1);
    await settle();
    const scale = await e2e.w.client.subresource<never, Scale>(StatefulSets, key('ss'), 'scale', 'get');
    await e2e.w.client.subresource(StatefulSets, key('ss'), 'scale', 'update', { ...scale, spec: { replicas: 2 } });
    await settle();
    expect(await pods()).toHaveLength(2);
  });

  test(`${suite} should list, patch and delete a collection of StatefulSets [Conformance]`, async () => {
    await stateful(1, {}, { labels: { e2e: 'ss' } });
    await settle();
    await e2e.w.patch(StatefulSets, key('ss'), {
      metadata: { labels: { test: 'patched' } },
      spec: { replicas: 2, ...newImage('p').spec },
    });
    await settle();
    expect(
      (await e2e.w.client.list(StatefulSets, { labelSelector: 'test=patched' })).items[0]?.status?.readyReplicas,
    ).toBe(2);
    await e2e.w.client.deleteCollection(StatefulSets, { namespace: e2e.ns, labelSelector: 'e2e=ss' });
    await settle();
    expect(await e2e.w.list(StatefulSets, e2e.ns)).toEqual([]);
  });

  test(`${suite} should validate Statefulset Status endpoints [Conformance]`, async () => {
    await stateful(1);
    await settle();
    const updated = await writeStatus(e2e.w, StatefulSets, key('ss'), { conditions: [condition] });
    expect(types(updated)).toContain('StatusUpdate');
  });

  test(`${suite} Scaling should happen in predictable order and halt if any stateful pod is unhealthy [Slow] [Conformance]`, async () => {
    await stateful(1);
    await settle();
    await writeStatus(e2e.w, Pods, key('ss-0'), { conditions: [{ type: 'Ready', status: 'False' }] });
    e2e.w.kubelet.script('ss', hang());
    await e2e.w.pass('1s');
    await e2e.w.patch(StatefulSets, key('ss'), { spec: { replicas: 3 } });
    await e2e.w.pass('1m');
    expect(await pods()).toHaveLength(1);
    e2e.w.kubelet.script('ss', {});
    await e2e.w.pass('1m');
    const grown = await pods();
    expect(grown.map(({ metadata }) => metadata.name)).toEqual(['ss-0', 'ss-1', 'ss-2']);
    expect(grown.every(ready)).toBe(true);
    await e2e.w.patch(StatefulSets, key('ss'), { spec: { replicas: 0 } });
    await e2e.w.pass('1m');
    expect(await pods()).toEqual([]);
  });

  test(`${suite} Burst scaling should run to completion even with unhealthy pods [Slow] [Conformance]`, async () => {
    e2e.w.kubelet.script('ss', hang());
    await stateful(3, { podManagementPolicy: 'Parallel' });
    await e2e.w.pass('20s');
    expect(await pods()).toHaveLength(3);
    await e2e.w.patch(StatefulSets, key('ss'), { spec: { replicas: 0 } });
    await e2e.w.pass('20s');
    expect(await pods()).toEqual([]);
    e2e.w.kubelet.script('ss', {});
  });

  test(`${suite} should perform canary updates and phased rolling updates of template modifications [Conformance]`, async () => {
    await stateful(3, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 3 } } });
    await settle();
    await e2e.w.patch(StatefulSets, key('ss'), newImage('new'));
    await settle();
    expect(await images()).toEqual(new Set([IMAGE]));
    const by = async () => (await pods()).map(({ spec }) => (spec?.containers[0]?.image === 'new' ? 'new' : 'old'));
    for (const partition of [2, 1, 0]) {
      await e2e.w.patch(StatefulSets, key('ss'), { spec: { updateStrategy: { rollingUpdate: { partition } } } });
      await settle();
      expect(await by()).toEqual([0, 1, 2].map((i) => (i >= partition ? 'new' : 'old')));
    }
  });

  test(`${suite} should perform rolling updates and roll backs of template modifications [Conformance]`, async () => {
    await stateful(3);
    await settle();
    const first = (await e2e.w.get(StatefulSets, key('ss'))).status?.currentRevision;
    await e2e.w.patch(StatefulSets, key('ss'), newImage('new'));
    await settle();
    expect(await images()).toEqual(new Set(['new']));
    expect((await e2e.w.get(StatefulSets, key('ss'))).status?.currentRevision).not.toBe(first);
    await e2e.w.patch(StatefulSets, key('ss'), newImage(IMAGE));
    await settle();
    expect(await images()).toEqual(new Set([IMAGE]));
    expect((await e2e.w.get(StatefulSets, key('ss'))).status?.currentRevision).toBe(first);
  });
});
