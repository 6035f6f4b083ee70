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
import { LOCAL_VOLUME, LOCAL_VOLUMES_DIR } from './names.js';

/** For tests: claims, volumes and pods on the server's own code, with the scheduler and all storage controllers. */
export let w: World;
let running: Running;
let scheduler: Scheduler;
/** What the controllers and the scheduler logged as wrong. */
export const warnings: string[] = [];

/** Makes a world with a node, a namespace and two classes for each test of the file that calls it. */
export function useStorageWorld(): void {
  beforeEach(open);
  afterEach(close);
}

async function open(): Promise<void> {
  w = await world();
  warnings.length = 0;
  await boot();
  await w.create(Namespaces, { metadata: { name: 'ns' } });
  await w.create(StorageClasses, storageClass('local', 'WaitForFirstConsumer'), storageClass('now', 'Immediate'));
  await w.create(Nodes, node('n1'));
  await w.pass();
}

async function close(): Promise<void> {
  await halt();
  await w.close();
}

export async function boot(): Promise<void> {
  const warn = (fields: object, message: string) => void warnings.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { ...w.logger, warn, error: warn, child: () => logger };
  running = runControllers(storageControllers, { ...w, logger });
  scheduler = new Scheduler({ ...w, logger });
  const started = scheduler.start();
  await w.pass();
  await started;
}

export async function halt(): Promise<void> {
  const stopped = Promise.all([running.stop(), scheduler.stop()]);
  await w.pass();
  await stopped;
}

export const key = (name: string) => ({ namespace: 'ns', name });
export const storageClass = (
  name: string,
  volumeBindingMode: string,
  more: Partial<StorageClass> = {},
): StorageClass => ({
  metadata: { name },
  provisioner: 'trimtab.dev/local',
  volumeBindingMode,
  ...more,
});
export const node = (name: string, labels: Record<string, string> = {}): Node => ({
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
export const claim = (name: string, more: Partial<ClaimSpec> = {}, storage = '1Gi'): PersistentVolumeClaim => ({
  metadata: key(name),
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage } },
    storageClassName: 'local',
    ...more,
  },
});
type VolumeSpec = NonNullable<PersistentVolume['spec']>;
export const volume = (
  name: string,
  storage: string,
  more: Partial<VolumeSpec> = {},
  labels = {},
): PersistentVolume => ({
  metadata: { name, labels },
  spec: {
    accessModes: ['ReadWriteOnce'],
    capacity: { storage },
    storageClassName: 'manual',
    hostPath: { path: `/mnt/${name}` },
    ...more,
  },
});
export const onHost = (name: string): Partial<VolumeSpec> => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] }],
    },
  },
});
export const pod = (name: string, ...claims: string[]): Pod => ({
  metadata: key(name),
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: 'i' }],
    volumes: claims.map((claimName, i) => ({ name: `v${i}`, persistentVolumeClaim: { claimName } })),
  },
});
export const getClaim = (name: string) => w.find(PersistentVolumeClaims, key(name));
export const getVolume = (name: string) => w.find(PersistentVolumes, { name });
export const phase = async (name: string) => (await getClaim(name))?.status?.phase;
export const nodeOf = async (name: string) => (await w.find(Pods, key(name)))?.spec?.nodeName;
export const pending = async (name: string) =>
  (await w.find(Pods, key(name)))?.status?.conditions?.find((c) => c.type === 'PodScheduled')?.message;
export const events = async (name: string) =>
  (await w.list(Events))
    .filter((e) => e.involvedObject.name === name)
    .map((e) => `${e.type} ${e.reason}: ${e.message}`);
export const drop = async (type: typeof Pods | typeof PersistentVolumeClaims, name: string) => {
  await w.client.delete(type, key(name), { gracePeriodSeconds: 0 });
  await w.pass();
};
/** What the kubelet does once the directory is gone. */
export const releaseLocal = async (name: string) => {
  const there = (await getVolume(name))!;
  const finalizers = there.metadata.finalizers?.filter((f) => f !== LOCAL_VOLUME) ?? [];
  await w.client.update(PersistentVolumes, { ...there, metadata: { ...there.metadata, finalizers } });
  await w.pass();
};
