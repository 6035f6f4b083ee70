import {
  Nodes,
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  PersistentVolumes,
  type Pod,
  Pods,
  StorageClasses,
} from '@trimtab/machinery';
import type { Scenario, WorldPart } from '@trimtab/testing';
import { GarbageCollector } from '../cluster/garbage-collector/garbage-collector.js';
import { survives } from '../test-plans.js';
import { storageControllers } from './index.js';
import { LOCAL_PROVISIONER, LOCAL_VOLUMES_DIR } from './names.js';

const collector: WorldPart = { name: 'garbage-collector', start: (parts) => new GarbageCollector(parts).start() };

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
  'a volume is made for a claim and unmade after it; a generic ephemeral one goes with its pod': {
    world: { controllers: storageControllers, parts: [collector] },
    async workload(w) {
      await w.create(Nodes, { metadata: { name: 'n', annotations: { [LOCAL_VOLUMES_DIR]: '/data/volumes' } } });
      await w.create(StorageClasses, {
        metadata: { name: 'local' },
        provisioner: LOCAL_PROVISIONER,
        volumeBindingMode: 'Immediate',
      });
      await w.create(PersistentVolumeClaims, claim({ storageClassName: 'local' }));
      const spec = claim({ storageClassName: 'local' }).spec!;
      const scratch = { name: 'scratch', ephemeral: { volumeClaimTemplate: { spec } } };
      await w.create(Pods, { ...pod, spec: { ...pod.spec!, volumes: [scratch] } });
      await w.settle();
      await w.remove(PersistentVolumeClaims, key);
      await w.settle();
      await w.remove(Pods, { namespace: 'ns', name: 'p' }, { gracePeriodSeconds: 0 });
      await w.settle();
    },
  },
};

test.each(Object.entries(stories))('%s', (_, story) => survives(story));
