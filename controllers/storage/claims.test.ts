import type { View } from '@trimtab/framework';
import {
  Nodes,
  type PersistentVolume,
  PersistentVolumeClaims,
  PersistentVolumes,
  Pods,
  StorageClasses,
} from '@trimtab/machinery';
import { LOCAL_VOLUME, SELECTED_NODE } from './names.js';
import {
  claim,
  drop,
  events,
  getClaim,
  getVolume,
  key,
  nodeOf,
  onHost,
  pending,
  phase,
  pod,
  releaseLocal,
  storageClass,
  useStorageWorld,
  volume,
  w,
  warnings,
} from './testing.js';
import { observeClaim, volumeFacts } from './volume/facts.js';

useStorageWorld();

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

test('a cache that has not seen a claim yet gives nobody up', async () => {
  const [there] = await w.create(PersistentVolumeClaims, claim('data', { storageClassName: '' }));
  const claimRef = { namespace: 'ns', name: 'data', uid: there!.metadata.uid };
  const [made] = await w.create(PersistentVolumes, volume('pv', '1Gi', { claimRef, storageClassName: '' }));
  const blind = { object: made, get: () => undefined } as unknown as View<PersistentVolume>;
  const seen = await observeClaim(blind, w.client);
  expect(volumeFacts(blind, seen)?.claim?.metadata.uid).toBe(claimRef.uid);
  await w.client.delete(PersistentVolumeClaims, key('data'));
  await w.pass();
  expect(volumeFacts(blind, await observeClaim(blind, w.client))?.claim).toBeUndefined();
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
