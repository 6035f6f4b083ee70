import type { NamedRuleWithOperations } from '@trimtab/machinery';

/**
 * Which requests a rule of a webhook or policy takes in (kubernetes: admission/plugin/webhook/predicates/rules). Pure.
 */

export interface RequestPlace {
  readonly operation: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  /** `""` for what lies in no namespace. */
  readonly namespace: string;
  readonly name: string;
}

const names = (list: readonly string[] | undefined, wanted: string): boolean =>
  list !== undefined && (list.includes('*') || list.includes(wanted));

export function ruleMatches(rule: NamedRuleWithOperations, place: RequestPlace): boolean {
  return (
    names(rule.operations, place.operation) &&
    names(rule.apiGroups, place.group) &&
    names(rule.apiVersions, place.version) &&
    inScope(rule.scope, place) &&
    (rule.resources ?? []).some((resource) => resourceMatches(resource, place)) &&
    (!rule.resourceNames?.length || rule.resourceNames.includes(place.name))
  );
}

/** `pods`, `pods/log`, `pods/*`, and `*` for either part; a resource alone never means its subresources. */
function resourceMatches(pattern: string, { resource, subresource }: RequestPlace): boolean {
  const slash = pattern.indexOf('/');
  const main = slash < 0 ? pattern : pattern.slice(0, slash);
  const sub = slash < 0 ? '' : pattern.slice(slash + 1);
  return (main === '*' || main === resource) && (sub === '*' || sub === subresource);
}

/** Requests for a Namespace carry its name as namespace, and are of the cluster all the same. */
function inScope(scope: string | undefined, { group, resource, namespace }: RequestPlace): boolean {
  if (scope === undefined || scope === '*') return true;
  const ofCluster = namespace === '' || (group === '' && resource === 'namespaces');
  return ofCluster === (scope === 'Cluster');
}

const group = 'admissionregistration.k8s.io';
const configuration = new Set([
  'validatingwebhookconfigurations',
  'mutatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
]);

/** Nobody can lock himself out: what configures webhooks and policies is never subject to them. */
export const isExempt = (type: { readonly group: string; readonly resource: string }): boolean =>
  type.group === group && configuration.has(type.resource);
