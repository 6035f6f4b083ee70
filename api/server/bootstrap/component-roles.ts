import type { PolicyRule } from '../authorization/rbac-types.js';
import { can, canReach, holdLease, read, writeEvents } from './rules.js';
import type { RoleEntry } from './user-roles.js';

/** What the parts of the cluster may do. Controllers are bound to service accounts of their name in `kube-system`. */

const everythingReadable = [can(read, '*', '*')];
const pods = can('create delete patch get list watch update', 'core', 'pods');
const revisions = can('create delete get list patch update watch', 'apps', 'controllerrevisions');
const statusOf = (group: string, resource: string): readonly PolicyRule[] => [
  can('get list watch update patch', group, resource),
  can('update patch', group, `${resource}/status ${resource}/finalizers`),
];

/** By controller, which is also the name of its service account; each writes events as well. */
export const controllerRules: Readonly<Record<string, readonly PolicyRule[]>> = {
  'attachdetach-controller': [
    can(read, 'core', 'persistentvolumes persistentvolumeclaims nodes pods'),
    can('patch update', 'core', 'nodes/status'),
    can('get create delete list watch', 'storage.k8s.io', 'volumeattachments'),
    can(read, 'storage.k8s.io', 'csidrivers csinodes'),
  ],
  'certificate-controller': [
    can('delete get list watch', 'certificates.k8s.io', 'certificatesigningrequests'),
    can('update patch', 'certificates.k8s.io', 'certificatesigningrequests/approval certificatesigningrequests/status'),
    can('approve sign', 'certificates.k8s.io', 'signers'),
    can('create', 'authorization.k8s.io', 'subjectaccessreviews'),
  ],
  'clusterrole-aggregation-controller': [
    can('escalate get list patch update watch', 'rbac.authorization.k8s.io', 'clusterroles'),
  ],
  'cronjob-controller': [
    ...statusOf('batch', 'cronjobs'),
    can('create delete get list patch update watch', 'batch', 'jobs'),
    can('delete list', 'core', 'pods'),
  ],
  'daemon-set-controller': [
    ...statusOf('apps', 'daemonsets'),
    can(read, 'core', 'nodes'),
    pods,
    can('create', 'core', 'pods/binding'),
    revisions,
  ],
  'deployment-controller': [
    ...statusOf('apps', 'deployments'),
    can('create delete get list patch update watch', 'apps', 'replicasets'),
    can('get list update watch', 'core', 'pods'),
  ],
  'disruption-controller': [
    can(read, 'apps', 'deployments replicasets statefulsets'),
    can(read, 'core', 'replicationcontrollers pods'),
    can(read, 'policy', 'poddisruptionbudgets'),
    can('update patch', 'policy', 'poddisruptionbudgets/status'),
    can('patch update', 'core', 'pods/status'),
    can('get', '*', '*/scale'),
  ],
  'ephemeral-volume-controller': [
    can(read, 'core', 'pods'),
    can('update', 'core', 'pods/finalizers'),
    can('get list watch create', 'core', 'persistentvolumeclaims'),
  ],
  'expand-controller': [
    can('get list watch update patch', 'core', 'persistentvolumes'),
    can('patch update', 'core', 'persistentvolumeclaims/status'),
    can(read, 'core', 'persistentvolumeclaims'),
    can('get', 'core', 'endpoints services'),
    can('get', 'core', 'secrets'),
  ],
  'legacy-service-account-token-cleaner': [
    can('get', 'core', 'configmaps', 'kube-apiserver-legacy-service-account-token-tracking'),
    can('delete patch', 'core', 'secrets'),
  ],
  'service-cidrs-controller': [
    can('get list watch patch update', 'networking.k8s.io', 'servicecidrs'),
    can('patch update', 'networking.k8s.io', 'servicecidrs/finalizers servicecidrs/status'),
    can(read, 'networking.k8s.io', 'ipaddresses'),
  ],
  'ttl-controller': [can('update patch list watch', 'core', 'nodes')],
  'validatingadmissionpolicy-status-controller': [
    can(read, 'admissionregistration.k8s.io', 'validatingadmissionpolicies'),
    can('get patch update', 'admissionregistration.k8s.io', 'validatingadmissionpolicies/status'),
    can(read, 'apiextensions.k8s.io', 'customresourcedefinitions'),
  ],
  'endpoint-controller': [
    can(read, 'core', 'pods services'),
    can('create delete get list update watch', 'core', 'endpoints'),
    can('create', 'core', 'endpoints/restricted'),
  ],
  'endpointslice-controller': [
    can(read, 'core', 'nodes pods services'),
    can('update', 'core', 'services/finalizers'),
    can('create delete get list patch update watch', 'discovery.k8s.io', 'endpointslices'),
    can('create', 'discovery.k8s.io', 'endpointslices/restricted'),
  ],
  'endpointslicemirroring-controller': [
    can(read, 'core', 'endpoints services'),
    can('update', 'core', 'endpoints/finalizers'),
    can('create delete get list patch update watch', 'discovery.k8s.io', 'endpointslices'),
  ],
  'generic-garbage-collector': [
    can('delete get list patch update watch', '*', '*'),
    canReach('get', '/api /apis /api/* /apis/*'),
  ],
  'horizontal-pod-autoscaler': [
    ...statusOf('autoscaling', 'horizontalpodautoscalers'),
    can('get update', '*', '*/scale'),
    can('list', 'core', 'pods'),
    can('get list', 'metrics.k8s.io', '*'),
    can('get list', 'custom.metrics.k8s.io', '*'),
    can('get list', 'external.metrics.k8s.io', '*'),
  ],
  'job-controller': [...statusOf('batch', 'jobs'), pods],
  'namespace-controller': [
    can('delete get list watch update patch', 'core', 'namespaces'),
    can('update', 'core', 'namespaces/finalize namespaces/status'),
    can('delete deletecollection get list watch', '*', '*'),
    canReach('get', '/api /apis /api/* /apis/*'),
  ],
  'node-controller': [
    can('delete get list patch update watch', 'core', 'nodes'),
    can('patch update', 'core', 'nodes/status pods/status'),
    can('delete get list watch', 'core', 'pods'),
  ],
  'persistent-volume-binder': [
    can('create delete get list update watch', 'core', 'persistentvolumes'),
    can('update', 'core', 'persistentvolumes/status persistentvolumeclaims/status'),
    can('get list update watch', 'core', 'persistentvolumeclaims'),
    can('create delete get list watch', 'core', 'pods'),
    can(read, 'storage.k8s.io', 'storageclasses csinodes csidrivers'),
    can(read, 'core', 'nodes'),
  ],
  'pod-garbage-collector': [
    can('delete get list watch', 'core', 'pods'),
    can('get list', 'core', 'nodes'),
    can('patch update', 'core', 'pods/status'),
  ],
  'pv-protection-controller': [can('get list update watch', 'core', 'persistentvolumes')],
  'pvc-protection-controller': [
    can('get list update watch', 'core', 'persistentvolumeclaims'),
    can(read, 'core', 'pods'),
  ],
  'replicaset-controller': [...statusOf('apps', 'replicasets'), pods],
  'replication-controller': [...statusOf('core', 'replicationcontrollers'), pods],
  'resourcequota-controller': [...everythingReadable, can('update patch', 'core', 'resourcequotas/status')],
  'root-ca-cert-publisher': [
    can('create update patch get list watch', 'core', 'configmaps'),
    can(read, 'core', 'namespaces'),
  ],
  'route-controller': [can('list watch', 'core', 'nodes'), can('patch', 'core', 'nodes/status')],
  'service-account-controller': [
    can('create get list watch', 'core', 'serviceaccounts'),
    can(read, 'core', 'namespaces'),
  ],
  'service-controller': [can(read, 'core', 'services nodes'), can('patch update', 'core', 'services services/status')],
  'statefulset-controller': [
    ...statusOf('apps', 'statefulsets'),
    pods,
    revisions,
    can('create get list watch update patch delete', 'core', 'persistentvolumeclaims'),
  ],
  'ttl-after-finished-controller': [can('delete get list watch', 'batch', 'jobs')],
};

const scheduler: readonly PolicyRule[] = [
  can('delete get list watch', 'core', 'pods'),
  can('create', 'core', 'bindings pods/binding'),
  can('patch update', 'core', 'pods/status'),
  can(read, 'core', 'nodes namespaces replicationcontrollers services persistentvolumes persistentvolumeclaims'),
  can('patch update', 'core', 'persistentvolumeclaims persistentvolumes'),
  can(read, 'apps', 'replicasets statefulsets'),
  can(read, 'policy', 'poddisruptionbudgets'),
  can(read, 'scheduling.k8s.io', 'priorityclasses'),
  can(read, 'storage.k8s.io', 'csinodes csidrivers csistoragecapacities storageclasses volumeattachments'),
  can(read, 'resource.k8s.io', 'deviceclasses resourceclaims resourceslices'),
  can('patch update', 'resource.k8s.io', 'resourceclaims resourceclaims/status'),
  ...holdLease,
  ...writeEvents,
];

/** Reads what the Service datapath and the name server answer from. */
const network: readonly PolicyRule[] = [
  can(read, 'core', 'namespaces nodes pods services endpoints'),
  can(read, 'discovery.k8s.io', 'endpointslices'),
  can(read, 'networking.k8s.io', 'networkpolicies servicecidrs ingresses'),
  ...writeEvents,
];

export const componentRoles: Readonly<Record<string, RoleEntry>> = {
  'system:kube-scheduler': { rules: scheduler },
  'system:kube-controller-manager': {
    rules: [
      ...everythingReadable,
      ...Object.values(controllerRules).flat(),
      can('create', 'core', 'serviceaccounts serviceaccounts/token secrets'),
      can('delete get update patch', 'core', 'secrets serviceaccounts'),
      can('create', 'authentication.k8s.io', 'tokenreviews'),
      can('create', 'authorization.k8s.io', 'subjectaccessreviews'),
      ...holdLease,
      ...writeEvents,
    ],
  },
  'system:node-proxier': { rules: network },
  'system:kube-dns': { rules: network.filter((rule) => rule.verbs.includes('watch')) },
  /** What every kubelet may do is decided by the node authorizer; the role is there for those who look for it. */
  'system:node': {},
  'system:kubelet-api-admin': {
    rules: [
      can(read, 'core', 'nodes'),
      can('proxy', 'core', 'nodes'),
      can('*', 'core', 'nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats'),
    ],
  },
  'system:node-bootstrapper': {
    rules: [can('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests')],
  },
  ...Object.fromEntries(
    ['nodeclient', 'selfnodeclient'].map((subresource) => [
      `system:certificates.k8s.io:certificatesigningrequests:${subresource}`,
      { rules: [can('create', 'certificates.k8s.io', `certificatesigningrequests/${subresource}`)] },
    ]),
  ),
  ...Object.fromEntries(
    ['legacy-unknown', 'kubelet-serving', 'kube-apiserver-client', 'kube-apiserver-client-kubelet'].map((signer) => [
      `system:certificates.k8s.io:${signer}-approver`,
      { rules: [can('approve', 'certificates.k8s.io', 'signers', `kubernetes.io/${signer}`)] },
    ]),
  ),
  'system:volume-scheduler': {
    rules: [
      can('get list patch update watch', 'core', 'persistentvolumes'),
      can(read, 'storage.k8s.io', 'storageclasses'),
      can('get list patch update watch', 'core', 'persistentvolumeclaims'),
    ],
  },
  'system:node-problem-detector': {
    rules: [can('get', 'core', 'nodes'), can('patch', 'core', 'nodes/status'), ...writeEvents],
  },
  'system:persistent-volume-provisioner': {
    rules: [
      can('create delete get list watch', 'core', 'persistentvolumes'),
      can('get list update watch', 'core', 'persistentvolumeclaims'),
      can(read, 'storage.k8s.io', 'storageclasses'),
      ...writeEvents,
    ],
  },
  ...Object.fromEntries(
    Object.entries(controllerRules).map(([name, rules]) => [
      `system:controller:${name}`,
      { rules: [...rules, ...writeEvents] },
    ]),
  ),
};
