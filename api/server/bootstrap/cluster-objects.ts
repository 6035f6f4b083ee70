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

const flowApi = 'flowcontrol.apiserver.k8s.io/v1';
const everyRequest = {
  resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] }],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};
const groups = (...names: readonly string[]): readonly object[] =>
  names.map((name) => ({ kind: 'Group', group: { name } }));

const flowControl: readonly object[] = [
  {
    apiVersion: flowApi,
    kind: 'PriorityLevelConfiguration',
    metadata: { name: 'exempt' },
    spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  },
  {
    apiVersion: flowApi,
    kind: 'PriorityLevelConfiguration',
    metadata: { name: 'catch-all' },
    spec: {
      type: 'Limited',
      limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } },
    },
  },
  {
    apiVersion: flowApi,
    kind: 'FlowSchema',
    metadata: { name: 'exempt' },
    spec: {
      priorityLevelConfiguration: { name: 'exempt' },
      matchingPrecedence: 1,
      rules: [{ subjects: groups('system:masters'), ...everyRequest }],
    },
  },
  {
    apiVersion: flowApi,
    kind: 'FlowSchema',
    metadata: { name: 'catch-all' },
    spec: {
      priorityLevelConfiguration: { name: 'catch-all' },
      matchingPrecedence: 10_000,
      distinguisherMethod: { type: 'ByUser' },
      rules: [{ subjects: groups('system:unauthenticated', 'system:authenticated'), ...everyRequest }],
    },
  },
];

/** The two priority levels and flow schemas that Kubernetes always has. */
export const mandatoryFlowControl = flowControl as readonly KubeObject[];
