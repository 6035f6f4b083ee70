import { forbidden } from '@trimtab/machinery';
import { mastersGroup } from '../authentication/groups.js';
import type { AdmissionAttributes, AdmissionPlugin, Authorizer, UserInfo } from '../contracts.js';
import type { RbacIndex } from './rbac-index.js';
import { pathMatches, resourceMatches } from './rbac-rules.js';
import { type Binding, type PolicyRule, type Role, rbacGroup } from './rbac-types.js';

/** Whether `rule`, which asks for one verb on one thing, lies wholly within what `owned` allows. */
function covers(owned: PolicyRule, rule: PolicyRule): boolean {
  const within = (list: readonly string[] | undefined, wanted: readonly string[] | undefined): boolean =>
    (wanted ?? []).every((w) => list?.includes('*') || list?.includes(w));
  if (!within(owned.verbs, rule.verbs)) return false;
  if (rule.nonResourceURLs?.length)
    return rule.nonResourceURLs.every((url) => owned.nonResourceURLs?.includes(url) || pathMatches(owned, url));
  const resources = (rule.resources ?? []).every((wanted) => {
    const [resource = '', subresource = ''] = wanted.split('/');
    return owned.resources?.includes(wanted) || resourceMatches(owned, resource, subresource);
  });
  const names =
    !owned.resourceNames?.length ||
    (rule.resourceNames?.length !== undefined &&
      rule.resourceNames.length > 0 &&
      rule.resourceNames.every((n) => owned.resourceNames?.includes(n)));
  return resources && names && within(owned.apiGroups, rule.apiGroups);
}

/** One rule for each combination, so that several owned rules may cover it together. */
function* split(rule: PolicyRule): Generator<PolicyRule> {
  for (const verb of rule.verbs) {
    for (const url of rule.nonResourceURLs ?? []) yield { verbs: [verb], nonResourceURLs: [url] };
    for (const group of rule.apiGroups ?? [])
      for (const resource of rule.resources ?? []) {
        const one = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (!rule.resourceNames?.length) yield one;
        for (const name of rule.resourceNames ?? []) yield { ...one, resourceNames: [name] };
      }
  }
}

/** The parts of `wanted` that the owned rules do not cover; empty means that granting them escalates nothing. */
export function uncovered(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): readonly PolicyRule[] {
  return wanted.flatMap((rule) => [...split(rule)]).filter((part) => !owned.some((o) => covers(o, part)));
}

const everything: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/**
 * Nobody can give away what they do not hold: writing a role needs all of its rules (or the verb `escalate` on it), writing a
 * binding all rules of the role (or the verb `bind` on the role); an aggregated role needs everything, for what it will
 * come to hold is not known. `system:masters` may do it all.
 */
export function escalationCheck(index: RbacIndex, authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    validate(attributes) {
      const { type, operation, object, subresource, user } = attributes;
      if (type.group !== rbacGroup || subresource !== '' || !object) return;
      if (operation !== 'CREATE' && operation !== 'UPDATE') return;
      if (user.groups.includes(mastersGroup)) return;
      if (type.kind === 'Role' || type.kind === 'ClusterRole') checkRole(attributes, object as Role);
      else if (type.kind === 'RoleBinding' || type.kind === 'ClusterRoleBinding')
        checkBinding(attributes, object as Binding);
    },
  };

  function checkRole(attributes: AdmissionAttributes, role: Role): void {
    const old = attributes.oldObject as Role | undefined;
    const same = (field: 'rules' | 'aggregationRule') =>
      old !== undefined && JSON.stringify(role[field] ?? null) === JSON.stringify(old[field] ?? null);
    if (same('rules') && same('aggregationRule')) return;
    if (allowed(attributes, 'escalate', attributes.type.resource, attributes.name)) return;
    const wanted = role.aggregationRule && !same('aggregationRule') ? everything : (role.rules ?? []);
    requireCovered(attributes, wanted);
  }

  function checkBinding(attributes: AdmissionAttributes, binding: Binding): void {
    const old = attributes.oldObject as Binding | undefined;
    if (old && JSON.stringify(old.subjects ?? []) === JSON.stringify(binding.subjects ?? [])) return;
    const { roleRef } = binding;
    if (allowed(attributes, 'bind', roleRef.kind === 'Role' ? 'roles' : 'clusterroles', roleRef.name)) return;
    const rules = index.rulesOf(roleRef, attributes.namespace);
    if (!rules)
      throw forbidden(
        { group: rbacGroup, resource: attributes.type.resource },
        attributes.name,
        `${roleRef.kind} "${roleRef.name}" does not exist, so what it would grant cannot be checked`,
      );
    requireCovered(attributes, rules);
  }

  function allowed({ user, namespace }: AdmissionAttributes, verb: string, resource: string, name: string): boolean {
    const scope = resource === 'clusterroles' && verb === 'escalate' ? '' : namespace;
    return authorizer.authorize({
      user,
      verb,
      resource: { group: rbacGroup, version: 'v1', resource, subresource: '', namespace: scope, name },
    }).allowed;
  }

  function requireCovered({ user, namespace, type, name }: AdmissionAttributes, wanted: readonly PolicyRule[]): void {
    const owned = [...index.rulesFor(user, namespace)].map((applied) => applied.rule);
    const missing = uncovered(owned, wanted);
    if (missing.length === 0) return;
    throw forbidden({ group: rbacGroup, resource: type.resource }, name, describe(user, missing));
  }
}

function describe(user: UserInfo, missing: readonly PolicyRule[]): string {
  const list = (items: readonly string[] | undefined) => `[${(items ?? []).map((i) => JSON.stringify(i)).join(' ')}]`;
  const lines = missing.map((rule) =>
    rule.nonResourceURLs
      ? `{NonResourceURLs:${list(rule.nonResourceURLs)}, Verbs:${list(rule.verbs)}}`
      : `{APIGroups:${list(rule.apiGroups)}, Resources:${list(rule.resources)}${rule.resourceNames ? `, ResourceNames:${list(rule.resourceNames)}` : ''}, Verbs:${list(rule.verbs)}}`,
  );
  return `user ${JSON.stringify(user.name)} (groups=${list(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${lines.join('\n')}`;
}
