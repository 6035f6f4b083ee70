import type { PolicyRule } from '../authorization/rbac-types.js';

/** Short hands for the tables of bootstrap roles. `can('get list', 'apps', 'deployments replicasets')`. */
export const can = (verbs: string, apiGroup: string, resources: string, names?: string): PolicyRule => ({
  apiGroups: [apiGroup === 'core' ? '' : apiGroup],
  resources: resources.split(' '),
  ...(names ? { resourceNames: names.split(' ') } : {}),
  verbs: verbs.split(' '),
});

export const canReach = (verbs: string, paths: string): PolicyRule => ({
  nonResourceURLs: paths.split(' '),
  verbs: verbs.split(' '),
});

export const read = 'get list watch';
export const write = 'create delete deletecollection patch update';
export const all = `create delete deletecollection get list patch update watch`;

/** Every component may write events. */
export const writeEvents: readonly PolicyRule[] = [
  can('create patch update', 'core', 'events'),
  can('create patch update', 'events.k8s.io', 'events'),
];

/** Every component with a leader holds a Lease. */
export const holdLease: readonly PolicyRule[] = [
  can('create get list watch update patch', 'coordination.k8s.io', 'leases'),
];
