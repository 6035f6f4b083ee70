import type { AccessAttributes } from '../contracts.js';
import type { PolicyRule } from './rbac-types.js';

/** Whether one rule allows one request (Kubernetes: RBAC, «Referring to resources»). Pure. */

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes('*') || list.includes(value));

// `pods/log` is named by itself, by the resource `*`, and by `*/log`, the subresource of any resource.
export function resourceMatches(rule: PolicyRule, resource: string, subresource: string): boolean {
  const list = rule.resources;
  if (list === undefined) return false;
  if (list.includes('*')) return true;
  if (subresource === '') return list.includes(resource);
  return list.includes(`${resource}/${subresource}`) || list.includes(`*/${subresource}`);
}

/** A rule without names allows every name; one with names allows no request without a name. */
const nameMatches = (rule: PolicyRule, name: string): boolean =>
  !rule.resourceNames || rule.resourceNames.length === 0 || rule.resourceNames.includes(name);

// `*` is every path, and a path that ends in `*` stands for all that begin so.
export function pathMatches(rule: PolicyRule, path: string): boolean {
  return (rule.nonResourceURLs ?? []).some(
    (url) => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))),
  );
}

export function ruleAllows(rule: PolicyRule, { verb, resource, path }: AccessAttributes): boolean {
  if (!has(rule.verbs, verb)) return false;
  if (!resource) return path !== undefined && pathMatches(rule, path);
  return (
    has(rule.apiGroups, resource.group) &&
    resourceMatches(rule, resource.resource, resource.subresource) &&
    nameMatches(rule, resource.name)
  );
}

/** What is left to differ between a rule and a request it does not allow; lower is nearer. Infinity: unrelated. */
export function distance(rule: PolicyRule, { verb, resource, path }: AccessAttributes): number {
  const verbOff = has(rule.verbs, verb) ? 0 : 1;
  if (!resource) return path !== undefined && pathMatches(rule, path) ? verbOff : Number.POSITIVE_INFINITY;
  const group = has(rule.apiGroups, resource.group);
  const exact = resourceMatches(rule, resource.resource, resource.subresource);
  const parent = resource.subresource !== '' && resourceMatches(rule, resource.resource, '');
  if (!group || !(exact || parent)) return Number.POSITIVE_INFINITY;
  return verbOff + (exact ? 0 : 2) + (nameMatches(rule, resource.name) ? 0 : 2);
}
