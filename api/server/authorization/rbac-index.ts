import { equalJson, type KubeObject, matchesLabels, selectorFromObject } from '@trimtab/machinery';
import { serviceAccountUser } from '../authentication/groups.js';
import type { UserInfo } from '../contracts.js';
import { type Binding, type PolicyRule, type Role, type RoleRef, rbacGroup, type Subject } from './rbac-types.js';
import type { ObjectChange } from './store-feed.js';

export const rbacResources = ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'].map(
  (plural) => `${rbacGroup}/${plural}`,
);

/** One rule that applies to a user, and where it comes from. */
export interface AppliedRule {
  readonly rule: PolicyRule;
  readonly binding: Binding;
}

const noRules: readonly PolicyRule[] = [];

/**
 * Roles by name and bindings by subject, kept current from a feed of changes. Aggregated ClusterRoles are computed here, so
 * they are right also before anybody has written their rules down.
 */
export class RbacIndex {
  readonly #roles = new Map<string, Role>();
  readonly #clusterRoles = new Map<string, Role>();
  readonly #aggregated = new Map<string, readonly PolicyRule[]>();
  readonly #bindings = new Map<string, { readonly binding: Binding; readonly subjects: readonly string[] }>();
  /** Namespace (`""` for cluster-wide bindings), then subject. */
  readonly #bySubject = new Map<string, Map<string, Set<Binding>>>();

  apply({ resource, key, object }: ObjectChange): void {
    switch (resource) {
      case `${rbacGroup}/roles`:
        put(this.#roles, key, object as Role | undefined);
        break;
      case `${rbacGroup}/clusterroles`:
        this.#aggregated.clear();
        put(this.#clusterRoles, key.slice(1), object as Role | undefined);
        break;
      case `${rbacGroup}/rolebindings`:
      case `${rbacGroup}/clusterrolebindings`:
        this.#applyBinding(`${resource}:${key}`, key.slice(0, key.indexOf('/')), object as Binding | undefined);
        break;
      default:
    }
  }

  /** The effective rules of a role; undefined when it does not exist. */
  rulesOf(ref: RoleRef, namespace: string): readonly PolicyRule[] | undefined {
    if (ref.kind === 'Role') {
      const role = this.#roles.get(`${namespace}/${ref.name}`);
      return role && (role.rules ?? noRules);
    }
    return ref.kind === 'ClusterRole' ? this.#clusterRules(ref.name, new Set()) : undefined;
  }

  /** ClusterRoles whose written rules are not what their aggregation comes to, with the rules they should have. */
  staleAggregates(): readonly { readonly role: Role; readonly rules: readonly PolicyRule[] }[] {
    return [...this.#clusterRoles.values()].flatMap((role) => {
      const rules = role.aggregationRule ? this.#clusterRules(role.metadata.name ?? '', new Set()) : undefined;
      return rules && !equalJson(rules, role.rules ?? []) ? [{ role, rules }] : [];
    });
  }

  /** Aggregated roles aggregate aggregated ones (view into edit, edit into admin); a circle adds nothing to itself. */
  #clusterRules(name: string, above: ReadonlySet<string>): readonly PolicyRule[] | undefined {
    const role = this.#clusterRoles.get(name);
    if (!role?.aggregationRule) return role && (role.rules ?? noRules);
    const known = this.#aggregated.get(name);
    if (known) return known;
    const path = new Set(above).add(name);
    const others = [...this.#clusterRoles.values()]
      .filter((other) => !path.has(other.metadata.name ?? ''))
      .map((other) =>
        other.aggregationRule ? { ...other, rules: this.#clusterRules(other.metadata.name ?? '', path) } : other,
      );
    const rules = aggregatedRules(role, others);
    // Within a circle the result depends on where one came from.
    if (above.size === 0) this.#aggregated.set(name, rules);
    return rules;
  }

  /** Every rule that applies to the user: cluster-wide ones first, then the namespace's where one is given. */
  *rulesFor(user: UserInfo, namespace: string): Generator<AppliedRule> {
    const subjects = [userKey(user.name), ...user.groups.map(groupKey)];
    for (const scope of namespace === '' ? [''] : ['', namespace]) {
      const bySubject = this.#bySubject.get(scope);
      if (!bySubject) continue;
      for (const subject of subjects)
        for (const binding of bySubject.get(subject) ?? [])
          for (const rule of this.rulesOf(binding.roleRef, scope) ?? noRules) yield { rule, binding };
    }
  }

  #applyBinding(id: string, namespace: string, binding: Binding | undefined): void {
    const old = this.#bindings.get(id);
    const scope = this.#bySubject.get(namespace) ?? new Map<string, Set<Binding>>();
    for (const subject of old?.subjects ?? []) {
      const set = scope.get(subject);
      if (old) set?.delete(old.binding);
      if (set?.size === 0) scope.delete(subject);
    }
    if (!binding) this.#bindings.delete(id);
    else {
      const subjects = (binding.subjects ?? []).map((s) => subjectKey(s, namespace)).filter((s) => s !== '');
      this.#bindings.set(id, { binding, subjects });
      for (const subject of subjects) scope.set(subject, (scope.get(subject) ?? new Set()).add(binding));
    }
    if (scope.size > 0) this.#bySubject.set(namespace, scope);
    else this.#bySubject.delete(namespace);
  }
}

/** The union of the rules of all ClusterRoles the aggregation rule selects, by name, without repetition. */
export function aggregatedRules(role: Role, all: Iterable<Role>): readonly PolicyRule[] {
  const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map(selectorFromObject);
  const chosen = [...all]
    .filter((other) => other.metadata.name !== role.metadata.name)
    .filter((other) => selectors.some((selector) => matchesLabels(selector, other.metadata.labels)))
    .sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
  const rules = new Map<string, PolicyRule>();
  for (const other of chosen) for (const rule of other.rules ?? noRules) rules.set(JSON.stringify(rule), rule);
  return [...rules.values()];
}

function put<T extends KubeObject>(map: Map<string, T>, key: string, object: T | undefined): void {
  if (object) map.set(key, object);
  else map.delete(key);
}

const userKey = (name: string): string => `u:${name}`;
const groupKey = (name: string): string => `g:${name}`;

function subjectKey(subject: Subject, namespace: string): string {
  switch (subject.kind) {
    case 'User':
      return userKey(subject.name);
    case 'Group':
      return groupKey(subject.name);
    case 'ServiceAccount':
      return userKey(serviceAccountUser(subject.namespace || namespace, subject.name));
    default:
      return '';
  }
}
