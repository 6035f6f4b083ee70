import type { Json } from '@trimtab/machinery';
import { type DefaultTable, type Fields, nested, orZero } from './defaults.js';
import { podSpecDefaults } from './pod-defaults.js';

/** Defaults of every kind but Pod (kubernetes: pkg/apis/<group>/<version>/defaults.go), by `<group>/<plural>`. */

const isObject = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const template = nested('spec.template.spec', podSpecDefaults);

const rollingUpdate = (value: Json) => (strategy: Fields) => (strategy.type === 'RollingUpdate' ? value : undefined);

const deployments: DefaultTable = {
  'spec.replicas': 1,
  'spec.strategy': {},
  'spec.strategy.type': 'RollingUpdate',
  'spec.strategy.rollingUpdate': rollingUpdate({}),
  'spec.strategy.rollingUpdate.maxUnavailable': '25%',
  'spec.strategy.rollingUpdate.maxSurge': '25%',
  'spec.revisionHistoryLimit': 10,
  'spec.progressDeadlineSeconds': 600,
  ...template,
};

const statefulsets: DefaultTable = {
  'spec.replicas': 1,
  'spec.podManagementPolicy': 'OrderedReady',
  'spec.updateStrategy': {},
  'spec.updateStrategy.type': 'RollingUpdate',
  'spec.updateStrategy.rollingUpdate': rollingUpdate({}),
  'spec.updateStrategy.rollingUpdate.partition': 0,
  'spec.persistentVolumeClaimRetentionPolicy': {},
  'spec.persistentVolumeClaimRetentionPolicy.whenDeleted': 'Retain',
  'spec.persistentVolumeClaimRetentionPolicy.whenScaled': 'Retain',
  'spec.revisionHistoryLimit': 10,
  'spec.volumeClaimTemplates[].apiVersion': 'v1',
  'spec.volumeClaimTemplates[].kind': 'PersistentVolumeClaim',
  'spec.volumeClaimTemplates[].spec.volumeMode': 'Filesystem',
  'spec.volumeClaimTemplates[].status': {},
  'spec.volumeClaimTemplates[].status.phase': 'Pending',
  ...template,
};

const daemonsets: DefaultTable = {
  'spec.updateStrategy': {},
  'spec.updateStrategy.type': 'RollingUpdate',
  'spec.updateStrategy.rollingUpdate': rollingUpdate({}),
  'spec.updateStrategy.rollingUpdate.maxUnavailable': 1,
  'spec.updateStrategy.rollingUpdate.maxSurge': 0,
  'spec.revisionHistoryLimit': 10,
  ...template,
};

const templateLabels = (spec: Json | undefined): Json | undefined => {
  const metadata = isObject(spec) && isObject(spec.template) ? spec.template.metadata : undefined;
  const labels = isObject(metadata) ? metadata.labels : undefined;
  return isObject(labels) && Object.keys(labels).length > 0 ? labels : undefined;
};

const jobs: DefaultTable = {
  'metadata.labels': (_, job) => templateLabels(job.spec),
  'spec.completions': (spec) => (spec.parallelism === undefined ? 1 : undefined),
  'spec.parallelism': 1,
  'spec.backoffLimit': (spec) => (spec.backoffLimitPerIndex === undefined ? 6 : 0x7fffffff),
  'spec.completionMode': 'NonIndexed',
  'spec.suspend': false,
  'spec.manualSelector': false,
  'spec.podReplacementPolicy': (spec) => (spec.podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed'),
  'spec.podFailurePolicy.rules[].onPodConditions[].status': 'True',
  ...template,
};

const cronjobs: DefaultTable = {
  'spec.concurrencyPolicy': 'Allow',
  'spec.suspend': false,
  'spec.successfulJobsHistoryLimit': 3,
  'spec.failedJobsHistoryLimit': 1,
  ...nested('spec.jobTemplate.spec.template.spec', podSpecDefaults),
};

const replicationcontrollers: DefaultTable = {
  'metadata.labels': (_, rc) => templateLabels(rc.spec),
  'spec.replicas': 1,
  'spec.selector': (spec) => templateLabels(spec),
  ...template,
};

const isExternal = (spec: Fields): boolean => spec.type === 'NodePort' || spec.type === 'LoadBalancer';
const hasExternalIPs = (spec: Fields): boolean => Array.isArray(spec.externalIPs) && spec.externalIPs.length > 0;

const services: DefaultTable = {
  'spec.sessionAffinity': 'None',
  'spec.type': 'ClusterIP',
  'spec.sessionAffinityConfig': (spec) =>
    spec.sessionAffinity === 'ClientIP' ? { clientIP: { timeoutSeconds: 10800 } } : undefined,
  'spec.externalTrafficPolicy': (spec) => (isExternal(spec) || hasExternalIPs(spec) ? 'Cluster' : undefined),
  'spec.internalTrafficPolicy': (spec) => (spec.type === 'ExternalName' ? undefined : 'Cluster'),
  'spec.allocateLoadBalancerNodePorts': (spec) => (spec.type === 'LoadBalancer' ? true : undefined),
  'spec.ports[].protocol': 'TCP',
  'spec.ports[].targetPort': (port) => port.port,
};

const rbacApi = 'rbac.authorization.k8s.io';
const bindings: DefaultTable = {
  'roleRef.apiGroup': rbacApi,
  'subjects[].apiGroup': (subject) => (subject.kind === 'User' || subject.kind === 'Group' ? rbacApi : undefined),
};

const hpas: DefaultTable = {
  'spec.minReplicas': 1,
  'spec.metrics': (_, hpa) =>
    hpa.apiVersion === 'autoscaling/v1'
      ? undefined
      : [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }],
  // Version 1 knows no other metric, and says it in a field of its own.
  'spec.targetCPUUtilizationPercentage': (_, hpa) => (hpa.apiVersion === 'autoscaling/v1' ? 80 : undefined),
  'spec.behavior.scaleUp': {},
  'spec.behavior.scaleUp.stabilizationWindowSeconds': 0,
  'spec.behavior.scaleUp.selectPolicy': 'Max',
  'spec.behavior.scaleUp.policies': [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
  'spec.behavior.scaleDown': {},
  'spec.behavior.scaleDown.selectPolicy': 'Max',
  'spec.behavior.scaleDown.policies': [{ type: 'Percent', value: 100, periodSeconds: 15 }],
};

const webhooks: DefaultTable = nested('webhooks[]', {
  failurePolicy: 'Fail',
  matchPolicy: 'Equivalent',
  namespaceSelector: {},
  objectSelector: {},
  timeoutSeconds: 10,
  'clientConfig.service.port': 443,
  'rules[].scope': '*',
});

const limitRanges: DefaultTable = nested('spec.limits[]', {
  default: (item) => (item.type === 'Container' ? item.max : undefined),
  defaultRequest: (item) => (item.type === 'Container' ? (item.default ?? item.min) : undefined),
});

const counted = (request: Fields): Json | undefined => (request.allocationMode === 'ExactCount' ? 1 : undefined);
const deviceRequests: DefaultTable = {
  'devices.requests[].exactly.allocationMode': 'ExactCount',
  'devices.requests[].exactly.count': counted,
  'devices.requests[].firstAvailable[].allocationMode': 'ExactCount',
  'devices.requests[].firstAvailable[].count': counted,
};

const claim: DefaultTable = { 'spec.volumeMode': 'Filesystem', status: {}, 'status.phase': 'Pending' };

export const kindDefaults: Readonly<Record<string, DefaultTable>> = {
  '/podtemplates': nested('template.spec', podSpecDefaults),
  '/replicationcontrollers': replicationcontrollers,
  '/services': services,
  '/secrets': { type: 'Opaque' },
  '/namespaces': {
    status: {},
    'status.phase': 'Active',
  },
  '/persistentvolumeclaims': claim,
  '/persistentvolumes': {
    'spec.persistentVolumeReclaimPolicy': 'Retain',
    'spec.volumeMode': 'Filesystem',
    'spec.hostPath.type': () => '',
    status: {},
    'status.phase': 'Pending',
  },
  '/endpoints': { 'subsets[].ports[].protocol': 'TCP' },
  '/limitranges': limitRanges,
  'apps/deployments': deployments,
  'apps/replicasets': { 'spec.replicas': 1, ...template },
  'apps/statefulsets': statefulsets,
  'apps/daemonsets': daemonsets,
  'batch/jobs': jobs,
  'batch/cronjobs': cronjobs,
  'autoscaling/horizontalpodautoscalers': hpas,
  'discovery.k8s.io/endpointslices': { 'ports[].name': () => '', 'ports[].protocol': 'TCP' },
  'networking.k8s.io/networkpolicies': {
    'spec.policyTypes': (spec) =>
      Array.isArray(spec.egress) && spec.egress.length > 0 ? ['Ingress', 'Egress'] : ['Ingress'],
    'spec.ingress[].ports[].protocol': 'TCP',
    'spec.egress[].ports[].protocol': 'TCP',
  },
  [`${rbacApi}/rolebindings`]: bindings,
  [`${rbacApi}/clusterrolebindings`]: bindings,
  'scheduling.k8s.io/priorityclasses': { value: orZero(0), preemptionPolicy: 'PreemptLowerPriority' },
  'storage.k8s.io/csidrivers': nested('spec', {
    attachRequired: true,
    podInfoOnMount: false,
    storageCapacity: false,
    fsGroupPolicy: 'ReadWriteOnceWithFSType',
    volumeLifecycleModes: ['Persistent'],
    requiresRepublish: false,
    seLinuxMount: false,
  }),
  'networking.k8s.io/ingressclasses': { 'spec.parameters.scope': 'Cluster' },
  'apiregistration.k8s.io/apiservices': { 'spec.service.port': 443 },
  'flowcontrol.apiserver.k8s.io/flowschemas': { 'spec.matchingPrecedence': orZero(1000) },
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations': {
    'spec.exempt': (spec) => (spec.type === 'Exempt' ? { nominalConcurrencyShares: 0, lendablePercent: 0 } : undefined),
    'spec.limited.nominalConcurrencyShares': 30,
    'spec.limited.lendablePercent': 0,
    'spec.limited.limitResponse.queuing.queues': orZero(64),
    'spec.limited.limitResponse.queuing.handSize': orZero(8),
    'spec.limited.limitResponse.queuing.queueLengthLimit': orZero(50),
  },
  'resource.k8s.io/resourceclaims': nested('spec', deviceRequests),
  'resource.k8s.io/resourceclaimtemplates': nested('spec.spec', deviceRequests),
  'storage.k8s.io/storageclasses': { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' },
  'admissionregistration.k8s.io/validatingwebhookconfigurations': webhooks,
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': {
    ...webhooks,
    'webhooks[].reinvocationPolicy': 'Never',
  },
};
