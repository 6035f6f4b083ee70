import { aggregatedRules } from '../authorization/rbac-index.js';
import { type Binding, type PolicyRule, type Role, rbacGroup, type Subject } from '../authorization/rbac-types.js';
import { componentRoles, controllerRules } from './component-roles.js';
import { can, read, writeEvents } from './rules.js';
import { type RoleEntry, userRoles } from './user-roles.js';

/** The bootstrap tables as objects, as Kubernetes labels and annotates them. */

const marks = {
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
};
const aggregateLabel = (to: string): string => `rbac.authorization.k8s.io/aggregate-to-${to}`;

function clusterRole([name, entry]: [string, RoleEntry]): Role {
  const labels = entry.aggregateTo ? { ...marks.labels, [aggregateLabel(entry.aggregateTo)]: 'true' } : marks.labels;
  return {
    apiVersion: `${rbacGroup}/v1`,
    kind: 'ClusterRole',
    metadata: { name, labels, annotations: marks.annotations },
    rules: entry.rules ?? [],
    ...(entry.aggregates
      ? { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregateLabel(entry.aggregates)]: 'true' } }] } }
      : {}),
  };
}

/** All bootstrap ClusterRoles; aggregated ones with the rules they come to. */
export function bootstrapClusterRoles(): readonly Role[] {
  const roles = Object.entries({ ...userRoles, ...componentRoles }).map(clusterRole);
  const filled = new Map(roles.map((role) => [role.metadata.name, role]));
  // Roles aggregate aggregated ones: view into edit, edit into admin.
  for (const name of ['view', 'edit', 'admin']) {
    const role = filled.get(name);
    if (role) filled.set(name, { ...role, rules: aggregatedRules(role, filled.values()) });
  }
  return [...filled.values()];
}

const user = (name: string): Subject => ({ kind: 'User', apiGroup: rbacGroup, name });
const group = (name: string): Subject => ({ kind: 'Group', apiGroup: rbacGroup, name });
const account = (name: string): Subject => ({ kind: 'ServiceAccount', name, namespace: 'kube-system' });

const bindings: Readonly<Record<string, { readonly role?: string; readonly subjects: readonly Subject[] }>> = {
  'cluster-admin': { subjects: [group('system:masters')] },
  'system:monitoring': { subjects: [group('system:monitoring')] },
  'system:discovery': { subjects: [group('system:authenticated')] },
  'system:basic-user': { subjects: [group('system:authenticated')] },
  'trimtab:history': { subjects: [group('system:authenticated')] },
  'system:public-info-viewer': { subjects: [group('system:authenticated'), group('system:unauthenticated')] },
  'system:service-account-issuer-discovery': { subjects: [group('system:serviceaccounts')] },
  'system:kube-scheduler': { subjects: [user('system:kube-scheduler')] },
  'system:kube-controller-manager': { subjects: [user('system:kube-controller-manager')] },
  'system:node-proxier': { subjects: [user('system:kube-proxy')] },
  'system:kube-dns': { subjects: [account('kube-dns'), account('coredns')] },
  'system:node': { subjects: [] },
  'system:volume-scheduler': { subjects: [user('system:kube-scheduler')] },
};

export function bootstrapClusterRoleBindings(): readonly Binding[] {
  const controllers = Object.keys(controllerRules).map(
    (name) => [`system:controller:${name}`, { subjects: [account(name)] }] as const,
  );
  return [...Object.entries(bindings), ...controllers].map(([name, { subjects }]) => ({
    apiVersion: `${rbacGroup}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name, labels: marks.labels, annotations: marks.annotations },
    roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name },
    subjects,
  }));
}

interface NamespacedRole {
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  readonly subjects: readonly Subject[];
}

const namespaced: readonly NamespacedRole[] = [
  {
    namespace: 'kube-system',
    name: 'extension-apiserver-authentication-reader',
    rules: [can(read, 'core', 'configmaps', 'extension-apiserver-authentication')],
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:bootstrap-signer',
    rules: [can(read, 'core', 'secrets')],
    subjects: [account('bootstrap-signer')],
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:token-cleaner',
    rules: [can('get list watch delete', 'core', 'secrets'), ...writeEvents],
    subjects: [account('token-cleaner')],
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:cloud-provider',
    rules: [can('create get list update watch', 'core', 'configmaps')],
    subjects: [account('cloud-provider')],
  },
  ...(['kube-controller-manager', 'kube-scheduler'] as const).map((component) => ({
    namespace: 'kube-system',
    name: `system::leader-locking-${component}`,
    rules: [can('watch', 'core', 'configmaps'), can('get update', 'core', 'configmaps', component)],
    subjects: [user(`system:${component}`), account(component === 'kube-scheduler' ? 'kube-scheduler' : component)],
  })),
  {
    namespace: 'kube-public',
    name: 'system:controller:bootstrap-signer',
    rules: [can(read, 'core', 'configmaps'), can('update', 'core', 'configmaps', 'cluster-info')],
    subjects: [account('bootstrap-signer')],
  },
];

export function bootstrapRoles(): readonly Role[] {
  return namespaced.map(({ namespace, name, rules }) => ({
    apiVersion: `${rbacGroup}/v1`,
    kind: 'Role',
    metadata: { namespace, name, ...marks },
    rules,
  }));
}

export function bootstrapRoleBindings(): readonly Binding[] {
  return namespaced.map(({ namespace, name, subjects }) => ({
    apiVersion: `${rbacGroup}/v1`,
    kind: 'RoleBinding',
    metadata: { namespace, name, ...marks },
    roleRef: { apiGroup: rbacGroup, kind: 'Role', name },
    subjects,
  }));
}
