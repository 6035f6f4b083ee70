import type { KubeObject } from '@trimtab/machinery';

/** What else a cluster has before anybody asks for it. */

export const systemNamespaces: readonly KubeObject[] = ['default', 'kube-system', 'kube-public', 'kube-node-lease'].map(
  (name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }),
);

const priorityClass = (name: string, value: number, description: string): object => ({
  apiVersion: 'scheduling.k8s.io/v1',
  kind: 'PriorityClass',
  metadata: { name },
  value,
  description,
});

export const systemPriorityClasses = [
  priorityClass(
    'system-cluster-critical',
    2_000_000_000,
    'For pods the cluster cannot do without; they may move to another node.',
  ),
  priorityClass('system-node-critical', 2_000_001_000, 'For pods a node cannot do without; they cannot move.'),
] as readonly KubeObject[];

/** Claims that name no class get a directory of the node their first pod runs on. */
export const localStorageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'trimtab.dev/local',
  allowVolumeExpansion: true,
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
} as KubeObject;
