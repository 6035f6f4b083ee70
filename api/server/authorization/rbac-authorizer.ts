import type { AccessAttributes, Authorizer, Decision } from '../contracts.js';
import type { AppliedRule, RbacIndex } from './rbac-index.js';
import { distance, ruleAllows } from './rbac-rules.js';
import type { Binding, PolicyRule } from './rbac-types.js';

/**
 * RBAC as Kubernetes evaluates it: a request is allowed when one rule of one role bound to the user or to one of the
 * user's groups allows it. A refusal's reason names the nearest rule there is.
 */
export function rbacAuthorizer(index: RbacIndex): Authorizer {
  return {
    authorize(attributes) {
      const namespace = attributes.resource?.namespace ?? '';
      for (const applied of index.rulesFor(attributes.user, namespace))
        if (ruleAllows(applied.rule, attributes))
          return { allowed: true, reason: `RBAC: allowed by ${describeBinding(applied.binding, attributes)}` };
      return { allowed: false, reason: nearest(index.rulesFor(attributes.user, namespace), attributes) };
    },
    rulesFor(user, namespace) {
      const rules = [...index.rulesFor(user, namespace)].map((applied) => applied.rule);
      return {
        resourceRules: rules.filter((r) => r.resources?.length).map(resourceRule),
        nonResourceRules: rules
          .filter((r) => r.nonResourceURLs?.length)
          .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
      };
    },
  };
}

const resourceRule = ({ verbs, apiGroups, resources, resourceNames }: PolicyRule): object => ({
  verbs,
  apiGroups: apiGroups ?? [],
  resources: resources ?? [],
  ...(resourceNames?.length ? { resourceNames } : {}),
});

function describeBinding({ metadata, roleRef }: Binding, { user }: AccessAttributes): string {
  const kind = metadata.namespace ? 'RoleBinding' : 'ClusterRoleBinding';
  const name = metadata.namespace ? `${metadata.name}/${metadata.namespace}` : metadata.name;
  return `${kind} "${name}" of ${roleRef.kind} "${roleRef.name}" to User "${user.name}"`;
}

/** Empty when no rule of the user has anything to do with what was asked. */
function nearest(rules: Iterable<AppliedRule>, attributes: AccessAttributes): string {
  let best: AppliedRule | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const applied of rules) {
    const d = distance(applied.rule, attributes);
    if (d < least) [best, least] = [applied, d];
  }
  if (!best) return '';
  const { rule, binding } = best;
  const what = attributes.resource ? (rule.resources ?? []) : (rule.nonResourceURLs ?? []);
  const names = rule.resourceNames?.length ? ` named ${rule.resourceNames.join(', ')}` : '';
  return `the nearest rule, of ${binding.roleRef.kind} "${binding.roleRef.name}", allows ${rule.verbs.join(', ')} on ${what.join(', ')}${names}`;
}

/** Members of `system:masters` may do everything, whatever RBAC says: nobody can lock the cluster's owner out. */
export const mastersAuthorizer: Authorizer = {
  authorize: ({ user }) => ({ allowed: user.groups.includes('system:masters'), reason: '' }),
};

/** Allowed as soon as one authorizer allows; otherwise refused with the reasons of all that gave one. */
export function unionAuthorizer(authorizers: readonly Authorizer[]): Authorizer {
  return {
    authorize(attributes): Decision {
      const reasons: string[] = [];
      for (const authorizer of authorizers) {
        const decision = authorizer.authorize(attributes);
        if (decision.allowed) return decision;
        if (decision.reason) reasons.push(decision.reason);
      }
      return { allowed: false, reason: reasons.join('; ') };
    },
    rulesFor(user, namespace) {
      const all = authorizers.flatMap((a) => a.rulesFor?.(user, namespace) ?? []);
      return {
        resourceRules: all.flatMap((r) => r.resourceRules),
        nonResourceRules: all.flatMap((r) => r.nonResourceRules),
      };
    },
  };
}
