import type { PolicyRule } from '../authorization/rbac-types.js';
import { all, can, canReach, read, write } from './rules.js';

/** The ClusterRoles that people are given (Kubernetes: «User-facing roles» and «API discovery roles»). */
export interface RoleEntry {
  readonly rules?: readonly PolicyRule[];
  /** Label with which aggregated roles find it. */
  readonly aggregateTo?: 'admin' | 'edit' | 'view';
  /** The roles it is made of, by the same label. */
  readonly aggregates?: 'admin' | 'edit' | 'view';
}

const discoveryPaths = '/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/';

const viewed: readonly PolicyRule[] = [
  can(
    read,
    'core',
    'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
  ),
  can(
    read,
    'core',
    'bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status namespaces',
  ),
  can(read, 'discovery.k8s.io', 'endpointslices'),
  can(
    read,
    'apps',
    'controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status',
  ),
  can(read, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
  can(read, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
  can(read, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
  can(read, 'networking.k8s.io', 'ingresses ingresses/status networkpolicies'),
];

const edited: readonly PolicyRule[] = [
  can(read, 'core', 'pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy'),
  can('impersonate', 'core', 'serviceaccounts'),
  can(write, 'core', 'pods pods/attach pods/exec pods/portforward pods/proxy'),
  can('create', 'core', 'pods/eviction'),
  can(
    write,
    'core',
    'configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
  ),
  can('create', 'core', 'serviceaccounts/token'),
  can(
    write,
    'apps',
    'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale',
  ),
  can(write, 'autoscaling', 'horizontalpodautoscalers'),
  can(write, 'batch', 'cronjobs jobs'),
  can(write, 'policy', 'poddisruptionbudgets'),
  can(write, 'networking.k8s.io', 'ingresses networkpolicies'),
  can(all, 'coordination.k8s.io', 'leases'),
];

const administered: readonly PolicyRule[] = [
  can('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
  can(all, 'rbac.authorization.k8s.io', 'rolebindings roles'),
];

export const userRoles: Readonly<Record<string, RoleEntry>> = {
  'cluster-admin': { rules: [can('*', '*', '*'), canReach('*', '*')] },
  admin: { aggregates: 'admin' },
  edit: { aggregates: 'edit', aggregateTo: 'admin' },
  view: { aggregates: 'view', aggregateTo: 'edit' },
  'system:aggregate-to-admin': { rules: administered, aggregateTo: 'admin' },
  'system:aggregate-to-edit': { rules: edited, aggregateTo: 'edit' },
  'system:aggregate-to-view': { rules: viewed, aggregateTo: 'view' },
  'system:aggregated-metrics-reader': {
    rules: [can('get list', 'metrics.k8s.io', 'pods nodes')],
    aggregateTo: 'view',
  },
  'system:discovery': { rules: [canReach('get', discoveryPaths)] },
  'system:public-info-viewer': { rules: [canReach('get', '/healthz /livez /readyz /version /version/')] },
  'system:monitoring': {
    rules: [canReach('get', '/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*')],
  },
  // What is said there is what the asker may read anyway, and what is undone is undone by the asker's rights.
  'trimtab:history': { rules: [canReach('get post', '/trimtab/history /trimtab/history/*')] },
  'system:basic-user': {
    rules: [
      can('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
      can('create', 'authentication.k8s.io', 'selfsubjectreviews'),
    ],
  },
  'system:service-account-issuer-discovery': {
    rules: [
      canReach(
        'get',
        '/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/',
      ),
    ],
  },
  'system:auth-delegator': {
    rules: [
      can('create', 'authentication.k8s.io', 'tokenreviews'),
      can('create', 'authorization.k8s.io', 'subjectaccessreviews'),
    ],
  },
};
