import { type KubeObject, PersistentVolumeClaims, PersistentVolumes, StorageClasses } from '@trimtab/machinery';
import { componentUsers } from '../bootstrap/cluster-security.js';
import { cluster, message } from '../bootstrap/testing.js';

/** What the whole server lets users and kubelets do to claims and volumes. */
const claimSpec = (storage: string, more: object = {}) => ({
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, ...more },
});
const volumeSpec = (host: string) => ({
  capacity: { storage: '1Gi' },
  accessModes: ['ReadWriteOnce'],
  local: { path: '/data/volumes/x' },
  nodeAffinity: {
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [host] }] }],
    },
  },
});
const ours = { 'pv.kubernetes.io/provisioned-by': 'trimtab.dev/local' };
const finalizers = ['example.com/mine', 'trimtab.dev/local-volume'];
const kept = ['example.com/mine', 'kubernetes.io/pv-protection'];
const release = { metadata: { finalizers: kept } };

test('a claim that names no class gets the one every cluster has', async () => {
  const { make, root } = await cluster();
  expect((await make(PersistentVolumeClaims, 'data', claimSpec('1Gi'))).spec.storageClassName).toBe('local');
  expect(await root.get(StorageClasses, { name: 'local' })).toMatchObject({
    provisioner: 'trimtab.dev/local',
    reclaimPolicy: 'Delete',
    volumeBindingMode: 'WaitForFirstConsumer',
  });
});

test('a bound claim grows only where its class says so', async () => {
  const { make, root } = await cluster();
  await make(StorageClasses, 'fixed', { provisioner: 'p' });
  const grow = async (name: string, storageClassName: string) => {
    const there = await make(PersistentVolumeClaims, name, claimSpec('1Gi', { storageClassName, volumeName: 'pv' }));
    await root.patch(
      PersistentVolumeClaims,
      { namespace: 'default', name },
      { type: 'merge', body: { status: { phase: 'Bound' } } },
      { subresource: 'status' },
    );
    expect(there.spec.volumeName).toBe('pv');
    const body = { spec: { resources: { requests: { storage: '2Gi' } } } };
    return message(root.patch(PersistentVolumeClaims, { namespace: 'default', name }, { type: 'merge', body }));
  };
  expect(await grow('a', 'local')).toBe('');
  expect(await grow('b', 'fixed')).toBe(
    'persistentvolumeclaims "b" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
  );
});

test('a kubelet lets go of its own local volumes, and changes nothing else of any volume', async () => {
  const { root, as } = await cluster();
  const make = (name: string, host: string, annotations: Record<string, string>) =>
    root.create(PersistentVolumes, { metadata: { name, annotations, finalizers }, spec: volumeSpec(host) });
  await make('own', 'n1', ours);
  await make('other', 'n2', ours);
  await make('static', 'n1', {});
  const kubelet = as(componentUsers.node('n1'));
  const patch = (name: string, body: object) =>
    message(kubelet.patch(PersistentVolumes, { name }, { type: 'merge', body }));
  expect((await kubelet.list(PersistentVolumes)).items).toHaveLength(3);
  expect(await patch('other', release)).toContain('no relationship found between node "n1" and this object');
  expect(await patch('static', release)).toContain('no relationship found between node "n1" and this object');
  const refused = 'node "n1" may only take the finalizer trimtab.dev/local-volume off';
  for (const body of [
    { metadata: { finalizers: [] } },
    { metadata: { labels: { a: 'b' } } },
    { spec: { persistentVolumeReclaimPolicy: 'Retain', claimRef: { name: 'x' } } },
  ])
    expect(await patch('own', body)).toContain(refused);
  expect(await patch('own', release)).toBe('');
  expect(((await root.get(PersistentVolumes, { name: 'own' })) as KubeObject).metadata.finalizers).toEqual(kept);
  expect(await message(kubelet.delete(PersistentVolumes, { name: 'own' }))).toContain('forbidden');
});
