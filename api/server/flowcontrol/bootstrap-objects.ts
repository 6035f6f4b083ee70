import type { KubeObject } from '@trimtab/machinery';
import { flowGroup } from './types.js';

/** The flow schemas and priority levels every cluster has (kubernetes: pkg/apis/flowcontrol/bootstrap/default.go). */

const apiVersion = `${flowGroup}/v1`;
const keptAsWritten = { annotations: { 'apf.kubernetes.io/autoupdate-spec': 'true' } };

const level = (name: string, spec: object): object => ({
  apiVersion,
  kind: 'PriorityLevelConfiguration',
  metadata: { name, ...keptAsWritten },
  spec,
});
const queues = (queues: number, handSize: number) => ({
  type: 'Queue',
  queuing: { queues, handSize, queueLengthLimit: 50 },
});
const limited = (name: string, shares: number, lendablePercent: number, limitResponse: object): object =>
  level(name, { type: 'Limited', limited: { nominalConcurrencyShares: shares, lendablePercent, limitResponse } });

const user = (name: string): object => ({ kind: 'User', user: { name } });
const group = (name: string): object => ({ kind: 'Group', group: { name } });
const account = (name: string): object => ({
  kind: 'ServiceAccount',
  serviceAccount: { namespace: 'kube-system', name },
});
const everybody = [group('system:unauthenticated'), group('system:authenticated')];

const resources = (verbs: string, apiGroup: string, names: string, clusterScope: boolean): object => ({
  verbs: verbs.split(' '),
  apiGroups: [apiGroup],
  resources: names.split(' '),
  clusterScope,
  namespaces: ['*'],
});
const everything = {
  resourceRules: [resources('*', '*', '*', true)],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};
const leases = { resourceRules: [resources('get create update', 'coordination.k8s.io', 'leases', false)] };

const schema = (
  name: string,
  priorityLevel: string,
  matchingPrecedence: number,
  by: 'ByUser' | 'ByNamespace' | undefined,
  subjects: readonly object[],
  rules: object,
): object => ({
  apiVersion,
  kind: 'FlowSchema',
  metadata: { name, ...keptAsWritten },
  spec: {
    priorityLevelConfiguration: { name: priorityLevel },
    matchingPrecedence,
    ...(by ? { distinguisherMethod: { type: by } } : {}),
    rules: [{ subjects, ...rules }],
  },
});

/** Without these nothing works: whoever changes them finds them changed back. */
export const mandatoryFlowControl = [
  level('exempt', { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } }),
  limited('catch-all', 5, 0, { type: 'Reject' }),
  schema('exempt', 'exempt', 1, undefined, [group('system:masters')], everything),
  schema('catch-all', 'catch-all', 10_000, 'ByUser', everybody, everything),
] as readonly KubeObject[];

/** Kept as they are here as long as their annotation says so. */
export const suggestedFlowControl = [
  limited('system', 30, 33, queues(64, 6)),
  limited('node-high', 40, 25, queues(64, 6)),
  limited('leader-election', 10, 0, queues(16, 4)),
  limited('workload-high', 40, 50, queues(128, 6)),
  limited('workload-low', 100, 90, queues(128, 6)),
  limited('global-default', 20, 50, queues(128, 6)),
  schema('probes', 'exempt', 2, undefined, everybody, {
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
  }),
  schema(
    'system-leader-election',
    'leader-election',
    100,
    'ByUser',
    [user('system:kube-controller-manager'), user('system:kube-scheduler'), account('*')],
    leases,
  ),
  schema(
    'endpoint-controller',
    'workload-high',
    150,
    'ByUser',
    [
      user('system:kube-controller-manager'),
      account('endpoint-controller'),
      account('endpointslicemirroring-controller'),
    ],
    { resourceRules: [resources('get create update', '', 'endpoints', false)] },
  ),
  schema('workload-leader-election', 'leader-election', 200, 'ByUser', [account('*')], leases),
  schema('system-node-high', 'node-high', 400, 'ByUser', [group('system:nodes')], {
    resourceRules: [
      resources('*', '', 'nodes nodes/status', true),
      resources('*', 'coordination.k8s.io', 'leases', false),
    ],
  }),
  schema('system-nodes', 'system', 500, 'ByUser', [group('system:nodes')], everything),
  schema(
    'kube-controller-manager',
    'workload-high',
    800,
    'ByNamespace',
    [user('system:kube-controller-manager')],
    everything,
  ),
  schema('kube-scheduler', 'workload-high', 800, 'ByNamespace', [user('system:kube-scheduler')], everything),
  schema('kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', [account('*')], everything),
  schema('service-accounts', 'workload-low', 9000, 'ByUser', [group('system:serviceaccounts')], everything),
  schema('global-default', 'global-default', 9900, 'ByUser', everybody, everything),
] as readonly KubeObject[];
