import { parseServiceAccountUser } from '../authentication/groups.js';
import type { AccessAttributes, UserInfo } from '../contracts.js';
import type { FlowRule, FlowSchema, FlowSubject } from './types.js';

/** Which flow a request belongs to (kubernetes: pkg/util/flowcontrol/rule.go). Pure. */

type Asked = Pick<AccessAttributes, 'user' | 'verb' | 'resource' | 'path'>;

/** By matching precedence, then name: the first that matches decides. */
export function inPrecedence(schemas: Iterable<FlowSchema>): readonly FlowSchema[] {
  return [...schemas].sort(
    (a, b) =>
      (a.spec?.matchingPrecedence ?? 1000) - (b.spec?.matchingPrecedence ?? 1000) ||
      ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1),
  );
}

// Every request passes here: loops, for closures made anew for each schema are half of what it costs.
export function schemaMatches(schema: FlowSchema, asked: Asked): boolean {
  const rules = schema.spec?.rules;
  if (rules) for (const rule of rules) if (namesUser(rule, asked.user) && rightsMatch(rule, asked)) return true;
  return false;
}

function namesUser(rule: FlowRule, user: UserInfo): boolean {
  for (const subject of rule.subjects) if (subjectMatches(subject, user)) return true;
  return false;
}

function subjectMatches(subject: FlowSubject, user: UserInfo): boolean {
  switch (subject.kind) {
    case 'User':
      return subject.user?.name === '*' || subject.user?.name === user.name;
    case 'Group':
      return subject.group?.name === '*' || user.groups.includes(subject.group?.name ?? '');
    case 'ServiceAccount': {
      const account = parseServiceAccountUser(user.name);
      const { namespace, name } = subject.serviceAccount ?? {};
      return account !== undefined && account.namespace === namespace && (name === '*' || account.name === name);
    }
    default:
      return false;
  }
}

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list[0] === '*' || list.includes(value));

function rightsMatch({ resourceRules, nonResourceRules }: FlowRule, { verb, resource, path }: Asked): boolean {
  if (!resource)
    return (nonResourceRules ?? []).some(
      (rule) => has(rule.verbs, verb) && rule.nonResourceURLs.some((url) => pathMatches(url, path ?? '')),
    );
  const what = resource.subresource === '' ? resource.resource : `${resource.resource}/${resource.subresource}`;
  return (resourceRules ?? []).some(
    (rule) =>
      has(rule.verbs, verb) &&
      has(rule.apiGroups, resource.group) &&
      has(rule.resources, what) &&
      (resource.namespace === '' ? rule.clusterScope === true : has(rule.namespaces, resource.namespace)),
  );
}

const pathMatches = (url: string, path: string): boolean =>
  url === '*' || url === path || (url.endsWith('/*') && path.startsWith(url.slice(0, -1)));

/** What tells the flows of one schema apart: a user, a namespace, or nothing. */
export function distinguisherOf({ spec }: FlowSchema, { user, resource }: Asked): string {
  const type = spec?.distinguisherMethod?.type;
  if (type === 'ByUser') return user.name;
  return type === 'ByNamespace' ? (resource?.namespace ?? '') : '';
}
