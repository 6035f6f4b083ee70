import { type Running, runControllers } from '@trimtab/framework';
import {
  Events,
  Namespaces,
  type Node,
  Nodes,
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  PersistentVolumes,
  type Pod,
  Pods,
  type StorageClass,
  StorageClasses,
} from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { Scheduler } from '../scheduler/scheduler.js';
import { storageControllers } from './index.js';
import { LOCAL_VOLUME, LOCAL_VOLUMES_DIR, SELECTED_NODE } from './names.js';

/** Claims, volumes and pods on the server's own code, with the scheduler and all storage controllers. */
let w: World;
let running: Running;
let scheduler: Scheduler;
const warnings: string[] = [];

beforeEach(async () => {
  w = await world();
  warnings.length = 0;
  await boot();
  await w.create(Namespaces, { metadata: { name: 'ns' } });
  await w.create(StorageClasses, storageClass('local', 'WaitForFirstConsumer'), storageClass('now', 'Immediate'));
  await w.create(Nodes, node('n1'));
  await w.pass();
});
afterEach(async () => {
  await halt();
  await w.close();
});

async function boot(): Promise<void> {
  const warn = (fields: object, message: string) => void warnings.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { ...w.logger, warn, error: warn, child: () => logger };
  running = runControllers(storageControllers, { ...w, logger });
  scheduler = new Scheduler({ ...w, logger });
  const started = scheduler.start();
  await w.pass();
  await started;
}

async function halt(): Promise<void> {
  const stopped = Promise.all([running.stop(), scheduler.stop()]);
  await w.pass();
  await stopped;
}

const key = (name: string) => ({ namespace: 'ns', name });
const storageClass = (name: string, volumeBindingMode: string, more: Partial<StorageClass> = {}): StorageClass => ({
  metadata: { name },
  provisioner: 'trimtab.dev/local',
  volumeBindingMode,
  ...more,
});
const node = (name: string, labels: Record<string, string> = {}): Node => ({
  metadata: {
    name,
    labels: { 'kubernetes.io/hostname': name, ...labels },
    annotations: { [LOCAL_VOLUMES_DIR]: '/data/volumes' },
  },
  status: {
    allocatable: { cpu: '4', memory: '4Gi', pods: '50' },
    conditions: [{ type: 'Ready', status: 'True' }],
  },
});
type ClaimSpec = NonNullable<PersistentVolumeClaim['spec']>;
const claim = (name: string, more: Partial<ClaimSpec> = {}, storage = '1Gi'): PersistentVolumeClaim => ({
  metadata: key(name),
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage } },
    storageClassName: 'local',
    ...more,
  },
});
type VolumeSpec = NonNullable<PersistentVolume['spec']>;
const volume = (name: string, storage: string, more: Partial<VolumeSpec> = {}, labels = {}): PersistentVolume => ({
  metadata: { name, labels },
  spec: {
    accessModes: ['ReadWriteOnce'],
    capacity: { storage },
    storageClassName: 'manual',
    hostPath: { path: `/mnt/${name}` },
    ...more,
  },
});
const onHost = (name: string): Partial<VolumeSpec> => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] }],
    },
  },
});
const pod = (name: string, ...claims: string[]): Pod => ({
  metadata: key(name),
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: 'i' }],
    volumes: claims.map((claimName, i) => ({ name: `v${i}`, persistentVolumeClaim: { claimName } })),
  },
});
const getClaim = (name: string) => w.find(PersistentVolumeClaims, key(name));
const getVolume = (name: string) => w.find(PersistentVolumes, { name });
const phase = async (name: string) => (await getClaim(name))?.status?.phase;
const nodeOf = async (name: string) => (await w.find(Pods, key(name)))?.spec?.nodeName;
const pending = async (name: string) =>
  (await w.find(Pods, key(name)))?.status?.conditions?.find((c) => c.type === 'PodScheduled')?.message;
const events = async (name: string) =>
  (await w.list(Events))
    .filter((e) => e.involvedObject.name === name)
    .map((e) => `${e.type} ${e.reason}: ${e.message}`);
const drop = async (type: typeof Pods | typeof PersistentVolumeClaims, name: string) => {
  await w.client.delete(type, key(name), { gracePeriodSeconds: 0 });
  await w.pass();
};
/** What the kubelet does once the directory is gone. */
const releaseLocal = async (name: string) => {
  const there = (await getVolume(name))!;
  const finalizers = there.metadata.finalizers?.filter((f) => f !== LOCAL_VOLUME) ?? [];
  await w.client.update(PersistentVolumes, { ...there, metadata: { ...there.metadata, finalizers } });
  await w.pass();
};

test('a claim waits for its first pod, gets a directory of that node, outlives pods, and takes its volume along', async () => {
  await w.create(PersistentVolumeClaims, claim('data'));
  await w.pass();
  expect(await phase('data')).toBe('Pending');
  expect(await events('data')).toContain(
    'Normal WaitForFirstConsumer: waiting for first consumer to be created before binding',
  );
  await w.create(Pods, pod('web', 'data'));
  await w.pass();
  expect(await nodeOf('web')).toBe('n1');
  const bound = (await getClaim('data'))!;
  const name = `pvc-${bound.metadata.uid}`;
  expect(bound).toMatchObject({
    metadata: {
      finalizers: ['kubernetes.io/pvc-protection'],
      annotations: {
        [SELECTED_NODE]: 'n1',
        'volume.kubernetes.io/storage-provisioner': 'trimtab.dev/local',
        'pv.kubernetes.io/bind-completed': 'yes',
        'pv.kubernetes.io/bound-by-controller': 'yes',
      },
    },
    spec: { volumeName: name },
    status: { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } },
  });
  expect(await getVolume(name)).toMatchObject({
    metadata: {
      annotations: { 'pv.kubernetes.io/provisioned-by': 'trimtab.dev/local' },
      finalizers: [LOCAL_VOLUME, 'kubernetes.io/pv-protection'],
    },
    spec: {
      local: { path: `/data/volumes/ns_data_${bound.metadata.uid}` },
      capacity: { storage: '1Gi' },
      claimRef: { namespace: 'ns', name: 'data', uid: bound.metadata.uid },
      persistentVolumeReclaimPolicy: 'Delete',
      storageClassName: 'local',
      ...onHost('n1'),
    },
    status: { phase: 'Bound' },
  });
  expect(await events('data')).toEqual(
    expect.arrayContaining([
      'Normal Provisioning: External provisioner is provisioning volume for claim "ns/data"',
      `Normal ProvisioningSucceeded: Successfully provisioned volume ${name}`,
    ]),
  );

  await w.client.delete(PersistentVolumeClaims, key('data'));
  await w.pass();
  expect((await getClaim('data'))?.metadata.deletionTimestamp).toBeDefined();
  expect((await getVolume(name))?.metadata.deletionTimestamp).toBeUndefined();
  await w.create(Pods, pod('late', 'data'));
  await w.pass();
  expect(await pending('late')).toBe('0/1 nodes are available: persistentvolumeclaim "data" is being deleted.');
  await drop(Pods, 'web');
  expect(await getClaim('data')).toBeUndefined();
  expect(await getVolume(name)).toMatchObject({
    metadata: { deletionTimestamp: expect.anything(), finalizers: [LOCAL_VOLUME] },
    status: { phase: 'Released' },
  });
  await releaseLocal(name);
  expect(await getVolume(name)).toBeUndefined();
  expect(warnings).toEqual([]);
});

test('pods of one claim stay where it is, and those of others may go elsewhere', async () => {
  await w.create(Nodes, node('n2'));
  await w.create(PersistentVolumeClaims, claim('shared', { accessModes: ['ReadWriteMany'] }));
  // All of them are found at once, before any write of the first can be seen.
  await halt();
  await w.create(Pods, ...['a', 'b', 'c', 'd'].map((name) => pod(name, 'shared')));
  await boot();
  await w.pass();
  const where = await Promise.all(['a', 'b', 'c', 'd'].map(nodeOf));
  expect(new Set(where).size).toBe(1);
  expect(where[0]).toBeDefined();
  const elsewhere = { ...pod('e', 'shared') };
  const other = where[0] === 'n1' ? 'n2' : 'n1';
  await w.create(Pods, {
    ...elsewhere,
    spec: { ...elsewhere.spec!, nodeSelector: { 'kubernetes.io/hostname': other } },
  });
  await w.pass();
  expect(await pending('e')).toBe(
    "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had volume node affinity conflict.",
  );
});

test('an Immediate class makes the volume at once; a retained one stays when its claim goes', async () => {
  await w.create(StorageClasses, storageClass('keep', 'Immediate', { reclaimPolicy: 'Retain' }));
  await w.create(PersistentVolumeClaims, claim('data', { storageClassName: 'keep' }));
  await w.pass();
  expect(await phase('data')).toBe('Bound');
  const name = (await getClaim('data'))!.spec!.volumeName!;
  await drop(PersistentVolumeClaims, 'data');
  expect(await getVolume(name)).toMatchObject({ status: { phase: 'Released' } });
  expect((await getVolume(name))?.metadata.deletionTimestamp).toBeUndefined();
  await w.create(PersistentVolumeClaims, claim('next', { storageClassName: 'keep', volumeName: name }));
  await w.pass();
  expect(await phase('next')).toBe('Pending');
  expect(await events('next')).toEqual([`Warning FailedBinding: volume "${name}" already bound to a different claim.`]);
});

test('static volumes: smallest fit of the class, by selector, by name, and given back', async () => {
  await w.create(
    PersistentVolumes,
    volume('big', '10Gi'),
    volume('small', '2Gi'),
    volume('tiny', '100Mi'),
    volume('promised', '1Gi', { claimRef: { namespace: 'ns', name: 'later' } }),
    volume('ssd', '20Gi', {}, { disk: 'ssd' }),
    volume('other', '2Gi', { storageClassName: 'else' }),
  );
  await w.pass();
  expect((await getVolume('big'))?.status?.phase).toBe('Available');
  const manual = { storageClassName: 'manual' };
  await w.create(PersistentVolumeClaims, claim('fit', manual));
  await w.pass();
  await w.create(PersistentVolumeClaims, claim('chosen', { ...manual, selector: { matchLabels: { disk: 'ssd' } } }));
  await w.create(PersistentVolumeClaims, claim('named', { ...manual, volumeName: 'big' }));
  await w.create(PersistentVolumeClaims, claim('none', manual, '50Gi'));
  await w.create(PersistentVolumeClaims, claim('wrong', { ...manual, volumeName: 'other' }));
  await w.create(PersistentVolumeClaims, claim('unclassed', { storageClassName: '' }));
  await w.pass();
  const volumes = await Promise.all(['fit', 'chosen', 'named'].map(async (c) => (await getClaim(c))?.spec?.volumeName));
  expect(volumes).toEqual(['small', 'ssd', 'big']);
  expect((await getClaim('fit'))?.status).toMatchObject({ phase: 'Bound', capacity: { storage: '2Gi' } });
  expect(await Promise.all(['none', 'wrong', 'unclassed'].map(phase))).toEqual(['Pending', 'Pending', 'Pending']);
  expect(await events('none')).toEqual(['Warning ProvisioningFailed: storageclass.storage.k8s.io "manual" not found']);
  expect(await events('wrong')).toEqual([
    'Warning VolumeMismatch: Cannot bind to requested volume "other": storageClassName does not match',
  ]);
  expect(await events('unclassed')).toEqual([
    'Normal FailedBinding: no persistent volumes available for this claim and no storage class is set',
  ]);
  await w.create(PersistentVolumeClaims, claim('later', manual));
  await w.pass();
  expect((await getClaim('later'))?.spec?.volumeName).toBe('promised');
  await w.create(PersistentVolumes, volume('huge', '100Gi'));
  await w.pass();
  expect(await phase('none')).toBe('Bound');

  await w.client.delete(PersistentVolumes, { name: 'big' });
  await w.pass();
  expect((await getVolume('big'))?.metadata.deletionTimestamp).toBeDefined();
  expect(await phase('named')).toBe('Bound');
  await drop(PersistentVolumeClaims, 'named');
  expect(await getVolume('big')).toBeUndefined();
});

test('a static volume of policy Delete that nobody can empty fails, and says why', async () => {
  await w.create(PersistentVolumes, volume('pv', '1Gi', { persistentVolumeReclaimPolicy: 'Delete' }));
  await w.create(PersistentVolumeClaims, claim('data', { storageClassName: 'manual' }));
  await w.pass();
  await drop(PersistentVolumeClaims, 'data');
  const message = 'error getting deleter volume plugin for volume "pv": no deletable volume plugin matched';
  expect((await getVolume('pv'))?.status).toMatchObject({ phase: 'Failed', message });
  expect(await events('pv')).toEqual([`Warning VolumeFailedDelete: ${message}`]);
});

test('a claim whose volume is gone is lost', async () => {
  await w.create(PersistentVolumes, volume('pv', '1Gi'));
  await w.create(PersistentVolumeClaims, claim('data', { storageClassName: 'manual' }));
  await w.pass();
  const there = (await getVolume('pv'))!;
  await w.client.delete(PersistentVolumes, { name: 'pv' });
  await w.client.update(PersistentVolumes, {
    ...(await getVolume('pv'))!,
    metadata: { ...there.metadata, finalizers: [], resourceVersion: (await getVolume('pv'))!.metadata.resourceVersion },
  });
  await w.pass();
  expect(await phase('data')).toBe('Lost');
  expect(await events('data')).toEqual([
    'Warning ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!',
  ]);
  await w.create(Pods, pod('web', 'data'));
  await w.pass();
  expect(await pending('web')).toBe(
    '0/1 nodes are available: persistentvolumeclaim "data" bound to non-existent persistentvolume "pv".',
  );
});

test('a class without provisioner binds local volumes to pods where they can run', async () => {
  const off = { provisioner: 'kubernetes.io/no-provisioner' };
  await w.create(StorageClasses, storageClass('disks', 'WaitForFirstConsumer', off));
  await w.create(Nodes, node('n2'));
  const local = (host: string) => ({
    storageClassName: 'disks',
    hostPath: undefined,
    local: { path: '/d' },
    ...onHost(host),
  });
  await w.create(PersistentVolumes, volume('d2', '5Gi', local('n2')));
  await w.create(
    PersistentVolumeClaims,
    claim('one', { storageClassName: 'disks' }),
    claim('two', { storageClassName: 'disks' }),
  );
  await w.pass();
  expect(await phase('one')).toBe('Pending');
  await w.create(Pods, pod('p1', 'one'));
  await w.pass();
  expect([await nodeOf('p1'), await phase('one'), (await getVolume('d2'))?.spec?.claimRef?.name]).toEqual([
    'n2',
    'Bound',
    'one',
  ]);
  await w.create(Pods, pod('p2', 'two'));
  await w.pass();
  expect(await pending('p2')).toBe(
    "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.",
  );
  await w.create(PersistentVolumes, volume('d1', '5Gi', local('n1')));
  await w.pass();
  expect(await nodeOf('p2')).toBe('n1');
});

test('pods say what of their claims they wait for, and go on when it is there', async () => {
  await w.create(Pods, pod('web', 'data'));
  await w.pass();
  expect(await pending('web')).toBe('0/1 nodes are available: persistentvolumeclaim "data" not found.');
  await w.create(PersistentVolumeClaims, claim('data', { storageClassName: 'missing' }));
  await w.pass();
  expect(await pending('web')).toBe('0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.');
  await w.create(StorageClasses, storageClass('missing', 'Immediate'));
  await w.pass();
  expect(await nodeOf('web')).toBe('n1');
});

test('ReadWriteOncePod lets one pod in at a time', async () => {
  await w.create(PersistentVolumeClaims, claim('data', { accessModes: ['ReadWriteOncePod'] }));
  await w.create(Pods, pod('a', 'data'));
  await w.pass();
  await w.create(Pods, pod('b', 'data'));
  await w.pass();
  expect([await nodeOf('a'), await nodeOf('b')]).toEqual(['n1', undefined]);
  expect(await pending('b')).toBe(
    '0/1 nodes are available: node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.',
  );
  await drop(Pods, 'a');
  expect(await nodeOf('b')).toBe('n1');
});

test.each([
  [
    'block devices',
    claim('data', { volumeMode: 'Block' }),
    {},
    'volumeMode Block is not supported: a local volume is a directory',
  ],
  [
    'selectors',
    claim('data', { selector: { matchLabels: { a: 'b' } } }),
    {},
    'claim.spec.selector is not supported: a new volume has no labels to select by',
  ],
  [
    'unknown parameters',
    claim('data'),
    { parameters: { type: 'ssd' } },
    'parameter "type" of the storage class is not known',
  ],
])('the provisioner refuses %s', async (_, wanted, more, why) => {
  await w.create(StorageClasses, storageClass('odd', 'Immediate', more));
  await w.create(PersistentVolumeClaims, { ...wanted, spec: { ...wanted.spec, storageClassName: 'odd' } });
  await w.pass();
  expect(await phase('data')).toBe('Pending');
  expect(await events('data')).toContain(
    `Warning ProvisioningFailed: failed to provision volume with StorageClass "odd": ${why}`,
  );
});

test('claims that run for the same volume: one gets it, the others wait', async () => {
  await w.create(PersistentVolumes, volume('pv', '5Gi'));
  const names = ['a', 'b', 'c', 'd'];
  await w.create(PersistentVolumeClaims, ...names.map((name) => claim(name, { storageClassName: 'manual' })));
  await w.pass(1_000);
  const phases = await Promise.all(names.map(phase));
  expect([...phases].sort()).toEqual(['Bound', 'Pending', 'Pending', 'Pending']);
  expect((await getVolume('pv'))?.spec?.claimRef?.name).toBe(names[phases.indexOf('Bound')]);
});

test('a claim may grow, and its volume with it', async () => {
  await w.create(PersistentVolumeClaims, claim('data', { storageClassName: 'now' }));
  await w.pass();
  const resources = { requests: { storage: '3Gi' } };
  await w.client.patch(PersistentVolumeClaims, key('data'), { type: 'merge', body: { spec: { resources } } });
  await w.pass();
  expect((await getClaim('data'))?.status?.capacity).toEqual({ storage: '3Gi' });
  expect(await events('data')).toContain('Normal VolumeResizeSuccessful: Resize volume succeeded');
});

test('an ephemeral volume has a claim of its own, that belongs to its pod', async () => {
  const spec = {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'local',
    resources: { requests: { storage: '1Gi' } },
  };
  const volumes = [{ name: 'scratch', ephemeral: { volumeClaimTemplate: { metadata: { labels: { a: 'b' } }, spec } } }];
  const web = pod('web');
  await w.create(Pods, { ...web, spec: { ...web.spec!, volumes } });
  await w.pass();
  const uid = (await w.find(Pods, key('web')))!.metadata.uid;
  expect(await getClaim('web-scratch')).toMatchObject({
    metadata: { labels: { a: 'b' }, ownerReferences: [{ kind: 'Pod', name: 'web', uid, controller: true }] },
    status: { phase: 'Bound' },
  });
  expect(await nodeOf('web')).toBe('n1');
  await w.create(PersistentVolumeClaims, claim('api-scratch'));
  await w.create(Pods, { ...web, metadata: key('api'), spec: { ...web.spec!, volumes } });
  await w.pass();
  expect(await pending('api')).toBe(
    '0/1 nodes are available: PVC ns/api-scratch was not created for pod ns/api (pod is not owner).',
  );
});

test('controllers and scheduler that start again go on where others stopped', async () => {
  await w.create(PersistentVolumeClaims, claim('data'), claim('more'));
  await w.client.delete(Nodes, { name: 'n1' });
  await w.create(Nodes, { ...node('n1'), metadata: { ...node('n1').metadata, annotations: {} } });
  await w.create(Pods, pod('web', 'data', 'more'));
  await w.pass();
  expect(await pending('web')).toBe(
    "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.",
  );
  await halt();
  const there = (await w.find(Nodes, { name: 'n1' }))!;
  await w.client.update(Nodes, {
    ...there,
    metadata: { ...there.metadata, annotations: node('n1').metadata.annotations },
  });
  await boot();
  await w.pass();
  expect([await nodeOf('web'), await phase('data'), await phase('more')]).toEqual(['n1', 'Bound', 'Bound']);
});

test('what was on a node that is gone for good does not hold its volumes up', async () => {
  await w.create(PersistentVolumeClaims, claim('data', { storageClassName: 'now' }));
  await w.pass();
  const name = (await getClaim('data'))!.spec!.volumeName!;
  await drop(PersistentVolumeClaims, 'data');
  expect((await getVolume(name))?.metadata.finalizers).toEqual([LOCAL_VOLUME]);
  await w.client.delete(Nodes, { name: 'n1' });
  await w.pass();
  expect(await getVolume(name)).toBeUndefined();
});
