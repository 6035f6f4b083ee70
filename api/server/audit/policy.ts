import { parseYamlDocuments } from '@trimtab/machinery';
import type { AccessAttributes, UserInfo } from '../contracts.js';

/** An audit policy (`audit.k8s.io/v1`), and what it says of a request (kubernetes: apiserver/pkg/audit/policy). Pure. */

export type Level = 'None' | 'Metadata' | 'Request' | 'RequestResponse';
export type Stage = 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete' | 'Panic';

export interface AuditRule {
  readonly level: Level;
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly resources?: readonly {
    readonly group?: string;
    readonly resources?: readonly string[];
    readonly resourceNames?: readonly string[];
  }[];
  readonly namespaces?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly omitStages?: readonly Stage[];
  readonly omitManagedFields?: boolean;
}

export interface AuditPolicy {
  readonly rules: readonly AuditRule[];
  readonly omitStages: readonly Stage[];
  readonly omitManagedFields: boolean;
}

export interface AuditVerdict {
  readonly level: Level;
  readonly omitStages: ReadonlySet<Stage>;
  readonly omitManagedFields: boolean;
}

const levels: readonly string[] = ['None', 'Metadata', 'Request', 'RequestResponse'];
const stages: readonly string[] = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'];

/** Reads a policy file, YAML or JSON. Throws an Error that names what is wrong and in which rule. */
export function parseAuditPolicy(text: string): AuditPolicy {
  const documents = parseYamlDocuments(text)
    .map((d) => d.value)
    .filter((value) => value !== null && value !== undefined);
  const policy = documents[0] as Partial<AuditPolicy> & { readonly apiVersion?: string; readonly kind?: string };
  if (documents.length !== 1 || typeof policy !== 'object') throw new Error('one object of kind Policy is expected');
  if (policy.apiVersion !== 'audit.k8s.io/v1' || policy.kind !== 'Policy')
    throw new Error(`${policy.apiVersion} ${policy.kind} is not known: audit.k8s.io/v1 Policy is`);
  const { rules = [], omitStages = [], omitManagedFields = false } = policy;
  if (!Array.isArray(rules) || rules.length === 0) throw new Error('a policy needs at least one rule');
  checkStages('omitStages', omitStages);
  rules.forEach((rule: AuditRule, i) => {
    if (!levels.includes(rule.level))
      throw new Error(`rules[${i}].level: ${String(rule.level)} is not known: ${levels.join(', ')} are`);
    checkStages(`rules[${i}].omitStages`, rule.omitStages ?? []);
    if (rule.nonResourceURLs && (rule.resources || rule.namespaces))
      throw new Error(`rules[${i}]: a rule is for resources or for nonResourceURLs, not for both`);
    for (const url of rule.nonResourceURLs ?? [])
      if (url !== '*' && !url.startsWith('/'))
        throw new Error(`rules[${i}].nonResourceURLs: "${url}" does not begin with a slash`);
  });
  return { rules, omitStages, omitManagedFields };
}

function checkStages(where: string, given: readonly string[]): void {
  const wrong = given.find((stage) => !stages.includes(stage));
  if (wrong !== undefined) throw new Error(`${where}: ${wrong} is not known: ${stages.join(', ')} are`);
}

/** What the first rule that matches says; `None` where none does. */
export function auditVerdict(policy: AuditPolicy, attributes: AccessAttributes): AuditVerdict {
  const rule = policy.rules.find((r) => ruleMatches(r, attributes));
  return {
    level: rule?.level ?? 'None',
    omitStages: new Set([...policy.omitStages, ...(rule?.omitStages ?? [])]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields,
  };
}

const named = (list: readonly string[] | undefined): list is readonly string[] => (list?.length ?? 0) > 0;

function ruleMatches(rule: AuditRule, { user, verb, resource, path }: AccessAttributes): boolean {
  if (!userMatches(rule, user)) return false;
  if (named(rule.verbs) && !rule.verbs.includes(verb)) return false;
  if (named(rule.namespaces) || (rule.resources?.length ?? 0) > 0)
    return resource !== undefined && resourceMatches(rule, resource);
  if (named(rule.nonResourceURLs)) return rule.nonResourceURLs.some((url) => pathMatches(url, path));
  return true;
}

function userMatches({ users, userGroups }: AuditRule, user: UserInfo): boolean {
  if (named(users) && !users.includes(user.name)) return false;
  return !named(userGroups) || userGroups.some((group) => user.groups.includes(group));
}

function resourceMatches(rule: AuditRule, asked: NonNullable<AccessAttributes['resource']>): boolean {
  if (named(rule.namespaces) && !rule.namespaces.includes(asked.namespace)) return false;
  if ((rule.resources?.length ?? 0) === 0) return true;
  const whole = asked.subresource === '' ? asked.resource : `${asked.resource}/${asked.subresource}`;
  return rule.resources!.some(({ group = '', resources, resourceNames }) => {
    if (group !== asked.group) return false;
    if (!named(resources)) return true;
    if (named(resourceNames) && !resourceNames.includes(asked.name)) return false;
    return resources.some(
      (r) =>
        r === whole ||
        r === '*' ||
        (asked.subresource !== '' && (r === `*/${asked.subresource}` || r === `${asked.resource}/*`)),
    );
  });
}

const pathMatches = (url: string, path: string | undefined): boolean =>
  path !== undefined && (url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))));
