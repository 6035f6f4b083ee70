import { Nodes, PersistentVolumeClaims, PersistentVolumes, Pods, StorageClasses } from '@trimtab/machinery';
import {
  boot,
  claim,
  drop,
  getClaim,
  getVolume,
  halt,
  key,
  node,
  nodeOf,
  onHost,
  pending,
  phase,
  pod,
  storageClass,
  useStorageWorld,
  volume,
  w,
  warnings,
} from './testing.js';

useStorageWorld();

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
  expect(warnings).toEqual([]);
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

test('volumes that are there are promised once', async () => {
  const names = ['a', 'b', 'c'];
  const disks = { storageClassName: 'disks', hostPath: undefined, local: { path: '/d' }, ...onHost('n1') };
  await w.create(
    StorageClasses,
    storageClass('disks', 'WaitForFirstConsumer', { provisioner: 'kubernetes.io/no-provisioner' }),
  );
  await w.create(PersistentVolumes, ...names.map((name) => volume(`d-${name}`, '5Gi', disks)));
  await w.create(PersistentVolumeClaims, ...names.map((name) => claim(name, { storageClassName: 'disks' })));
  await w.pass();
  await halt();
  await w.create(Pods, ...names.map((name) => pod(name, name)));
  await boot();
  await w.pass();
  expect(await Promise.all(names.map(phase))).toEqual(['Bound', 'Bound', 'Bound']);
  expect(warnings).toEqual([]);
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
