import {
  ConfigMaps,
  Deployments,
  Leases,
  Nodes,
  PersistentVolumeClaims,
  PersistentVolumes,
  type Pod,
  Pods,
  ReplicaSets,
  ReplicationControllers,
  ResourceQuotas,
  Secrets,
  Services,
} from '@trimtab/machinery';
import { addNode, labelled, pod, podsOf, refusal, template, useConformance, writeStatus } from './controllers-world.js';

/** Conformance tests of the cluster's own controllers, under their own names. */
const e2e = useConformance();
const key = (name = 'test') => ({ namespace: e2e.ns, name });
const settle = () => e2e.w.settle({ quiet: '5s' });
const pods = () => podsOf(e2e.w, e2e.ns);

describe('garbage collector', () => {
  const controller = async (name: string, replicas: number) => {
    await e2e.w.create(ReplicationControllers, {
      metadata: key(name),
      spec: { replicas, selector: { ...labelled(name) }, template: template(name) },
    });
    await settle();
  };
  const deploy = async () => {
    const selector = { matchLabels: { ...labelled('test') } };
    await e2e.w.create(Deployments, { metadata: key(), spec: { replicas: 2, selector, template: template('test') } });
    await settle();
  };

  test('[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning [Conformance]', async () => {
    await deploy();
    await e2e.w.remove(Deployments, key(), { propagationPolicy: 'Background' });
    await settle();
    expect([await e2e.w.list(ReplicaSets, e2e.ns), await pods()]).toEqual([[], []]);
  });

  test('[sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan [Conformance]', async () => {
    await deploy();
    await e2e.w.remove(Deployments, key(), { propagationPolicy: 'Orphan' });
    await settle();
    const sets = await e2e.w.list(ReplicaSets, e2e.ns);
    expect(sets.map(({ metadata }) => metadata.ownerReferences)).toEqual([undefined]);
    expect(await pods()).toHaveLength(2);
  });

  test('[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning [Conformance]', async () => {
    await controller('test', 2);
    await e2e.w.remove(ReplicationControllers, key(), { propagationPolicy: 'Background' });
    await settle();
    expect(await pods()).toEqual([]);
  });

  test('[sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so [Serial] [Conformance]', async () => {
    await controller('test', 100);
    await e2e.w.remove(ReplicationControllers, key(), { propagationPolicy: 'Orphan' });
    await settle();
    expect(await e2e.w.find(ReplicationControllers, key())).toBeUndefined();
    expect(await pods()).toHaveLength(100);
  });

  test('[sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so [Serial] [Conformance]', async () => {
    await controller('test', 10);
    for (const { metadata } of await pods())
      await e2e.w.patch(Pods, key(metadata.name!), { metadata: { finalizers: ['example.com/held'] } });
    await e2e.w.remove(ReplicationControllers, key(), { propagationPolicy: 'Foreground' });
    await e2e.w.pass('30s');
    const waiting = await e2e.w.get(ReplicationControllers, key());
    expect(waiting.metadata.finalizers).toContain('foregroundDeletion');
    for (const { metadata } of await e2e.w.list(Pods, e2e.ns))
      await e2e.w.patch(Pods, key(metadata.name!), { metadata: { finalizers: null } });
    await settle();
    expect(await e2e.w.find(ReplicationControllers, key())).toBeUndefined();
    expect(await e2e.w.list(Pods, e2e.ns)).toEqual([]);
  });

  const ownerOf = ({ metadata }: Pod, block = true) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    name: metadata.name!,
    uid: metadata.uid!,
    controller: true,
    blockOwnerDeletion: block,
  });

  test('[sig-api-machinery] Garbage collector should not be blocked by dependency circle [Conformance]', async () => {
    const [a, b, c] = await e2e.w.create(Pods, pod(e2e.ns, 'pod1'), pod(e2e.ns, 'pod2'), pod(e2e.ns, 'pod3'));
    for (const [of, by] of [
      [a!, c!],
      [b!, a!],
      [c!, b!],
    ] as const)
      await e2e.w.patch(Pods, key(of.metadata.name!), { metadata: { ownerReferences: [ownerOf(by)] } });
    await e2e.w.remove(Pods, key('pod1'), { propagationPolicy: 'Foreground' });
    await settle();
    expect(await e2e.w.list(Pods, e2e.ns)).toEqual([]);
  });

  test("[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted [Serial] [Conformance]", async () => {
    await controller('going', 4);
    await e2e.w.create(ReplicationControllers, {
      metadata: key('staying'),
      spec: { replicas: 0, selector: { ...labelled('staying') }, template: template('staying') },
    });
    const { metadata } = await e2e.w.get(ReplicationControllers, key('staying'));
    const also = { apiVersion: 'v1', kind: 'ReplicationController', name: 'staying', uid: metadata.uid! };
    const [first, second] = await pods();
    for (const each of [first!, second!])
      await e2e.w.patch(Pods, key(each.metadata.name!), {
        metadata: { ownerReferences: [...each.metadata.ownerReferences!, also] },
      });
    await e2e.w.remove(ReplicationControllers, key('going'), { propagationPolicy: 'Foreground' });
    await settle();
    expect(await e2e.w.find(ReplicationControllers, key('going'))).toBeUndefined();
    const left = await pods();
    expect(left.map((each) => each.metadata.name).sort()).toEqual([first!.metadata.name, second!.metadata.name].sort());
    expect(left.flatMap((each) => each.metadata.ownerReferences!.map(({ name }) => name))).toEqual([
      'staying',
      'staying',
    ]);
  });
});

describe('ResourceQuota', () => {
  const quota = async (hard: object, more: object = {}, name = 'test') => {
    await e2e.w.create(ResourceQuotas, { metadata: key(name), spec: { hard: { ...hard }, ...more } } as never);
    await e2e.w.pass('2s');
  };
  const used = async (name = 'test') => (await e2e.w.get(ResourceQuotas, key(name))).status?.used;
  const passed = async () => {
    await e2e.w.pass('10s');
    return used();
  };
  const prefix = '[sig-api-machinery] ResourceQuota should';

  test(`${prefix} be able to update and delete ResourceQuota. [Conformance]`, async () => {
    await quota({ cpu: '1', memory: '500Mi' });
    await e2e.w.patch(ResourceQuotas, key(), { spec: { hard: { cpu: '2', memory: '1Gi' } } });
    await e2e.w.pass('2s');
    const { spec, status } = await e2e.w.get(ResourceQuotas, key());
    expect([spec?.hard, status?.hard]).toEqual([
      { cpu: '2', memory: '1Gi' },
      { cpu: '2', memory: '1Gi' },
    ]);
    await e2e.w.remove(ResourceQuotas, key());
    expect(await e2e.w.find(ResourceQuotas, key())).toBeUndefined();
  });

  test(`${prefix} create a ResourceQuota and ensure its status is promptly calculated. [Conformance]`, async () => {
    await quota({ resourcequotas: '1', pods: '5' });
    expect(await used()).toEqual({ resourcequotas: '1', pods: '0' });
  });

  const counted: readonly (readonly [string, string, () => Promise<unknown>, () => Promise<void>])[] = [
    [
      'configMap',
      'configmaps',
      () => e2e.w.create(ConfigMaps, { metadata: key('one') }),
      () => e2e.w.remove(ConfigMaps, key('one')),
    ],
    [
      'secret',
      'secrets',
      () => e2e.w.create(Secrets, { metadata: key('one') }),
      () => e2e.w.remove(Secrets, key('one')),
    ],
    [
      'replica set',
      'count/replicasets.apps',
      () =>
        e2e.w.create(ReplicaSets, {
          metadata: key('one'),
          spec: { replicas: 0, selector: { matchLabels: { ...labelled('one') } }, template: template('one') },
        }),
      () => e2e.w.remove(ReplicaSets, key('one')),
    ],
    [
      'replication controller',
      'replicationcontrollers',
      () =>
        e2e.w.create(ReplicationControllers, {
          metadata: key('one'),
          spec: { replicas: 0, selector: { ...labelled('one') }, template: template('one') },
        }),
      () => e2e.w.remove(ReplicationControllers, key('one')),
    ],
  ];
  test.each(
    counted.map(
      ([what, ...rest]) =>
        [`${prefix} create a ResourceQuota and capture the life of a ${what}. [Conformance]`, ...rest] as const,
    ),
  )('%s', async (_, resource, make, unmake) => {
    const there = resource === 'configmaps' ? 1 : 0;
    await quota({ [resource]: String(there + 1) });
    expect(await used()).toEqual({ [resource]: String(there) });
    await make();
    expect(await passed()).toEqual({ [resource]: String(there + 1) });
    await unmake();
    expect(await passed()).toEqual({ [resource]: String(there) });
  });

  test(`${prefix} create a ResourceQuota and capture the life of a service. [Conformance]`, async () => {
    await quota({ services: '10', 'services.nodeports': '1', 'services.loadbalancers': '1' });
    const ports = [{ port: 80 }];
    const service = (name: string, type: string) =>
      e2e.w.create(Services, { metadata: key(name), spec: { type, ports, selector: { ...labelled('test') } } });
    await service('cluster', 'ClusterIP');
    await service('node', 'NodePort');
    expect(await passed()).toEqual({ services: '2', 'services.nodeports': '1', 'services.loadbalancers': '0' });
    expect((await refusal(service('balanced', 'LoadBalancer'))).message).toMatch('exceeded quota: test');
    expect((await refusal(service('other', 'NodePort'))).code).toBe(403);
    await e2e.w.remove(Services, key('cluster'));
    await e2e.w.remove(Services, key('node'));
    expect(await passed()).toEqual({ services: '0', 'services.nodeports': '0', 'services.loadbalancers': '0' });
  });

  const asking = (name: string, cpu: string, spec: object = {}) =>
    pod(e2e.ns, name, {
      containers: [{ name: 'c', image: 'i', resources: { requests: { cpu, memory: '252Mi' } } }],
      ...spec,
    });

  test(`${prefix} create a ResourceQuota and capture the life of a pod. [Conformance]`, async () => {
    await quota({ pods: '5', cpu: '1', memory: '500Mi' });
    await e2e.w.create(Pods, asking('one', '500m'));
    expect(await passed()).toEqual({ pods: '1', cpu: '500m', memory: '252Mi' });
    expect((await refusal(e2e.w.create(Pods, asking('two', '600m')))).message).toMatch(
      'exceeded quota: test, requested: cpu=600m,memory=252Mi, used: cpu=500m,memory=252Mi, limited: cpu=1,memory=500Mi',
    );
    expect((await refusal(e2e.w.create(Pods, pod(e2e.ns, 'bare')))).message).toMatch('must specify cpu');
    expect(await passed()).toEqual({ pods: '1', cpu: '500m', memory: '252Mi' });
    await e2e.w.remove(Pods, key('one'));
    expect(await passed()).toEqual({ pods: '0', cpu: '0', memory: '0' });
  });

  const scoped = async (yes: string, no: string, make: () => Promise<unknown>, unmake: () => Promise<unknown>) => {
    const both = async () => {
      await e2e.w.pass('10s');
      return [(await used(yes))?.pods, (await used(no))?.pods];
    };
    expect(await both()).toEqual(['0', '0']);
    await make();
    expect(await both()).toEqual(['1', '0']);
    await unmake();
    expect(await both()).toEqual(['0', '0']);
  };

  test(`${prefix} verify ResourceQuota with best effort scope. [Conformance]`, async () => {
    await quota({ pods: '5' }, { scopes: ['BestEffort'] }, 'best');
    await quota({ pods: '5' }, { scopes: ['NotBestEffort'] }, 'other');
    const gone = (name: string) => () => e2e.w.remove(Pods, key(name));
    await scoped('best', 'other', () => e2e.w.create(Pods, pod(e2e.ns, 'free')), gone('free'));
    await scoped('other', 'best', () => e2e.w.create(Pods, asking('asks', '100m')), gone('asks'));
  });

  test(`${prefix} verify ResourceQuota with terminating scopes. [Conformance]`, async () => {
    await quota({ pods: '5' }, { scopes: ['Terminating'] }, 'ends');
    await quota({ pods: '5' }, { scopes: ['NotTerminating'] }, 'stays');
    const gone = (name: string) => () => e2e.w.remove(Pods, key(name));
    await scoped('stays', 'ends', () => e2e.w.create(Pods, asking('long', '100m')), gone('long'));
    const short = { activeDeadlineSeconds: 3600 };
    await scoped('ends', 'stays', () => e2e.w.create(Pods, asking('short', '100m', short)), gone('short'));
  });

  test(`${prefix} manage the lifecycle of a ResourceQuota [Conformance]`, async () => {
    const { w } = e2e;
    await w.create(ResourceQuotas, {
      metadata: { ...key(), labels: { of: e2e.ns } },
      spec: { hard: { cpu: '1', memory: '500Mi' } },
    });
    await w.patch(ResourceQuotas, key(), {
      metadata: { labels: { patched: 'true' } },
      spec: { hard: { memory: '750Mi' } },
    });
    const { items } = await w.client.list(ResourceQuotas, { labelSelector: `of=${e2e.ns},patched=true` });
    expect(items.map(({ spec }) => spec?.hard)).toEqual([{ cpu: '1', memory: '750Mi' }]);
    await w.client.deleteCollection(ResourceQuotas, { namespace: e2e.ns, labelSelector: 'patched=true' });
    expect(await w.list(ResourceQuotas, e2e.ns)).toEqual([]);
  });

  test(`${prefix} apply changes to a resourcequota status [Conformance]`, async () => {
    await quota({ cpu: '500m', memory: '500Mi' });
    const written = await writeStatus(e2e.w, ResourceQuotas, key(), { hard: { cpu: '30', memory: '15Gi' } });
    expect(written.status?.hard).toEqual({ cpu: '30', memory: '15Gi' });
    await e2e.w.pass('10s');
    // What is in spec comes back by itself.
    expect((await e2e.w.get(ResourceQuotas, key())).status?.hard).toEqual({ cpu: '500m', memory: '500Mi' });
  });
});

describe('nodes, namespaces’ furniture, volumes', () => {
  test('[sig-architecture] Conformance Tests should have at least two untainted nodes [Conformance]', async () => {
    const nodes = await e2e.w.list(Nodes);
    const fit = nodes.filter(({ spec, status }) => !spec?.taints?.length && status?.conditions?.[0]?.status === 'True');
    expect(fit.length).toBeGreaterThanOrEqual(2);
  });

  test('[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace [Conformance]', async () => {
    const root = key('kube-root-ca.crt');
    const original = (await e2e.w.get(ConfigMaps, root)).data;
    await e2e.w.remove(ConfigMaps, root);
    await settle();
    expect((await e2e.w.get(ConfigMaps, root)).data).toEqual(original);
    await e2e.w.patch(ConfigMaps, root, { data: { 'ca.crt': 'forged' } });
    await settle();
    expect((await e2e.w.get(ConfigMaps, root)).data).toEqual(original);
  });

  const taint = { key: 'kubernetes.io/e2e-evict-taint-key', value: 'evictTaintVal', effect: 'NoExecute' };
  const tolerating = (seconds?: number) => ({
    nodeName: 'tainted',
    tolerations: [
      { key: taint.key, value: taint.value, effect: 'NoExecute', ...(seconds ? { tolerationSeconds: seconds } : {}) },
    ],
  });
  const setTaints = (taints: readonly object[]) => e2e.w.patch(Nodes, { name: 'tainted' }, { spec: { taints } });

  describe('of one node', () => {
    beforeEach(async () => {
      await addNode(e2e.w, 'tainted');
      await e2e.w.pass('2s');
    });
    afterEach(async () => {
      await e2e.w.remove(Nodes, { name: 'tainted' });
      await e2e.w.remove(Leases, { namespace: 'kube-node-lease', name: 'tainted' });
      await e2e.w.pass('10s');
    });

    test('[sig-node] NoExecuteTaintManager Multiple Pods [Serial] evicts pods with minTolerationSeconds [Disruptive] [Conformance]', async () => {
      await e2e.w.create(Pods, pod(e2e.ns, 'first', tolerating(5)), pod(e2e.ns, 'second', tolerating(25)));
      await e2e.w.pass('5s');
      await setTaints([taint]);
      await e2e.w.pass('4s');
      expect(await pods()).toHaveLength(2);
      await e2e.w.pass('4s');
      expect((await pods()).map(({ metadata }) => metadata.name)).toEqual(['second']);
      await e2e.w.pass('30s');
      expect(await pods()).toEqual([]);
    });

    test('[sig-node] NoExecuteTaintManager Single Pod [Serial] removing taint cancels eviction [Disruptive] [Conformance]', async () => {
      await e2e.w.create(Pods, pod(e2e.ns, 'patient', tolerating(60)));
      await e2e.w.pass('5s');
      await setTaints([taint]);
      await e2e.w.pass('30s');
      await setTaints([]);
      await e2e.w.pass('3m');
      expect(await pods()).toHaveLength(1);
    });
  });

  const volume = {
    metadata: { name: 'pv-conformance', labels: { 'e2e-pv': 'yes' } },
    spec: {
      capacity: { storage: '2Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: 'conformance',
      hostPath: { path: '/tmp/conformance' },
    },
  };
  const claim = () => ({
    metadata: { ...key('pvc'), labels: { 'e2e-pvc': 'yes' } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'conformance',
      resources: { requests: { storage: '2Gi' } },
    },
  });
  const tidy = async () => {
    await e2e.w.remove(PersistentVolumeClaims, key('pvc'));
    await e2e.w.remove(PersistentVolumes, { name: volume.metadata.name });
    await settle();
  };

  test('[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC [Conformance]', async () => {
    const { w } = e2e;
    await w.create(PersistentVolumes, volume);
    await w.create(PersistentVolumeClaims, claim());
    await settle();
    expect((await w.get(PersistentVolumeClaims, key('pvc'))).status?.phase).toBe('Bound');
    expect((await w.get(PersistentVolumes, { name: 'pv-conformance' })).spec?.claimRef?.name).toBe('pvc');
    await w.patch(PersistentVolumes, { name: 'pv-conformance' }, { metadata: { labels: { patched: 'yes' } } });
    await w.patch(PersistentVolumeClaims, key('pvc'), { metadata: { labels: { patched: 'yes' } } });
    await w.client.deleteCollection(PersistentVolumeClaims, { namespace: e2e.ns, labelSelector: 'patched=yes' });
    await w.client.deleteCollection(PersistentVolumes, { labelSelector: 'patched=yes' });
    await settle();
    expect([await w.list(PersistentVolumeClaims, e2e.ns), await w.list(PersistentVolumes)]).toEqual([[], []]);
  });

  test('[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status [Conformance]', async () => {
    const { w } = e2e;
    await w.create(PersistentVolumes, volume);
    await w.create(PersistentVolumeClaims, claim());
    await settle();
    const condition = { type: 'StatusPatched', status: 'True', reason: 'E2E', message: 'Set by test' };
    const patched = await writeStatus(w, PersistentVolumeClaims, key('pvc'), { conditions: [condition] });
    expect(patched.status?.conditions?.map(({ type }) => type)).toEqual(['StatusPatched']);
    const told = await writeStatus(w, PersistentVolumes, { name: 'pv-conformance' }, { message: 'StatusPatched' });
    expect(told.status?.message).toBe('StatusPatched');
    await settle();
    expect((await w.get(PersistentVolumeClaims, key('pvc'))).status?.phase).toBe('Bound');
    await tidy();
  });
});
