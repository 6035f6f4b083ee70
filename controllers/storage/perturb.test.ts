import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  PersistentVolumes,
  type Pod,
  Pods,
  StorageClasses,
} from '@trimtab/machinery';
import { expectStable, perturb, type Scenario, world } from '@trimtab/testing';
import { PLANS } from '../test-plans.js';
import { storageControllers } from './index.js';

/** All storage controllers together under every single fault, and some pairs; and at rest for a day. */
const key = { namespace: 'ns', name: 'data' };
const claim = (more: object = {}): PersistentVolumeClaim => ({
  metadata: key,
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...more },
});
const volume: PersistentVolume = {
  metadata: { name: 'disk' },
  spec: {
    capacity: { storage: '2Gi' },
    accessModes: ['ReadWriteOnce'],
    hostPath: { path: '/d' },
    storageClassName: 'manual',
    persistentVolumeReclaimPolicy: 'Retain',
  },
};
const pod: Pod = {
  metadata: { namespace: 'ns', name: 'p' },
  spec: {
    nodeName: 'n',
    containers: [{ name: 'c', image: 'i' }],
    volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }],
  },
};

const stories: Readonly<Record<string, Scenario>> = {
  'a claim is bound to a volume, protected while it is used, and released': {
    world: { controllers: storageControllers },
    async workload(w) {
      await w.create(StorageClasses, { metadata: { name: 'manual' }, provisioner: 'kubernetes.io/no-provisioner' });
      await w.create(PersistentVolumes, volume);
      await w.create(PersistentVolumeClaims, claim({ storageClassName: 'manual' }));
      await w.settle();
      await w.create(Pods, pod);
      await w.remove(PersistentVolumeClaims, key);
      await w.settle();
      await w.remove(Pods, { namespace: 'ns', name: 'p' }, { gracePeriodSeconds: 0 });
      await w.settle();
    },
  },
  'a volume that is asked for by name, and one that goes with its claim': {
    world: { controllers: storageControllers },
    async workload(w) {
      await w.create(PersistentVolumeClaims, claim({ storageClassName: '', volumeName: 'disk' }));
      await w.settle();
      await w.create(PersistentVolumes, { ...volume, spec: { ...volume.spec!, storageClassName: '' } });
      await w.settle();
      await w.remove(PersistentVolumes, { name: 'disk' });
      await w.settle();
      await w.remove(PersistentVolumeClaims, key);
      await w.settle();
    },
  },
};

describe.each(Object.entries(stories))('%s', (_, story) => {
  test('under every single fault', async () => {
    (await perturb(story, PLANS)).expectNoDivergence();
  });
  test('at rest', async () => {
    const w = await world({ controllers: storageControllers });
    await story.workload(w);
    await expectStable(w);
    await w.close();
  });
});
