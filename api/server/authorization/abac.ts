import { authenticatedGroup } from '../authentication/groups.js';
import type { AccessAttributes, Authorizer, UserInfo } from '../contracts.js';

/** One line of an ABAC policy file: who may do what. `*` is everybody or everything. */
export interface AbacPolicy {
  readonly user: string;
  readonly group: string;
  readonly namespace: string;
  readonly resource: string;
  readonly apiGroup: string;
  readonly nonResourcePath: string;
  readonly readonly: boolean;
}

const versions = new Set(['abac.authorization.kubernetes.io/v1beta1', 'abac.authorization.kubernetes.io/v0']);
const texts = ['user', 'group', 'namespace', 'resource', 'apiGroup', 'nonResourcePath'] as const;

/**
 * Kubernetes' ABAC policy file: one JSON object a line, `v1beta1` (`apiVersion`, `kind: Policy`, `spec`) or the older form
 * without a version; blank lines and lines beginning with `#` are skipped. Throws with the line number on anything else.
 */
export function parsePolicyFile(text: string): readonly AbacPolicy[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === '' || line.trim().startsWith('#')) return [];
    try {
      return [readPolicy(JSON.parse(line))];
    } catch (cause) {
      throw new Error(`policy file, line ${index + 1}: ${(cause as Error).message}`, { cause });
    }
  });
}

function readPolicy(value: unknown): AbacPolicy {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not a JSON object');
  const line = value as Readonly<Record<string, unknown>>;
  const { apiVersion, kind } = line;
  if (apiVersion === undefined && kind === undefined) return oldForm(fields(line));
  if (!versions.has(String(apiVersion)) || kind !== 'Policy')
    throw new Error(
      `${String(apiVersion)} ${String(kind)} is not known: abac.authorization.kubernetes.io/v1beta1 Policy is`,
    );
  if (apiVersion === 'abac.authorization.kubernetes.io/v0') return oldForm(fields(line));
  if (typeof line.spec !== 'object' || line.spec === null) throw new Error('a Policy needs a spec');
  return fields(line.spec as Readonly<Record<string, unknown>>);
}

function fields(spec: Readonly<Record<string, unknown>>): AbacPolicy {
  const found = Object.fromEntries(
    texts.map((name) => {
      const value = spec[name] ?? '';
      if (typeof value !== 'string') throw new Error(`${name} is not a text`);
      return [name, value];
    }),
  ) as Record<(typeof texts)[number], string>;
  if (spec.readonly !== undefined && typeof spec.readonly !== 'boolean')
    throw new Error('readonly is not true or false');
  return { ...found, readonly: spec.readonly === true };
}

/** Where the first form was silent it meant everything, and by everybody it meant everybody authenticated. */
function oldForm(policy: AbacPolicy): AbacPolicy {
  const anyone = (policy.user === '' && policy.group === '') || policy.user === '*';
  return {
    ...policy,
    ...(anyone ? { user: '', group: authenticatedGroup } : {}),
    namespace: policy.namespace || '*',
    resource: policy.resource || '*',
    apiGroup: policy.apiGroup || '*',
    nonResourcePath: policy.namespace === '' && policy.resource === '' ? '*' : policy.nonResourcePath,
  };
}

const reads = new Set(['get', 'list', 'watch']);
const is = (allowed: string, wanted: string): boolean => allowed === '*' || allowed === wanted;

function subjectMatches(policy: AbacPolicy, user: UserInfo): boolean {
  if (policy.user === '' && policy.group === '') return false;
  return (
    (policy.user === '' || is(policy.user, user.name)) &&
    (policy.group === '' || policy.group === '*' || user.groups.includes(policy.group))
  );
}

function pathMatches(policy: AbacPolicy, path: string): boolean {
  const allowed = policy.nonResourcePath;
  if (is(allowed, path)) return true;
  return allowed.endsWith('*') && path.startsWith(allowed.slice(0, -1));
}

export function policyAllows(policy: AbacPolicy, { user, verb, resource, path }: AccessAttributes): boolean {
  if (!subjectMatches(policy, user)) return false;
  if (policy.readonly && !reads.has(verb)) return false;
  if (!resource) return pathMatches(policy, path ?? '');
  return (
    is(policy.namespace, resource.namespace) &&
    is(policy.resource, resource.resource) &&
    is(policy.apiGroup, resource.group)
  );
}

/** Allowed where one policy allows it; never refuses on its own: the next authorizer is asked. */
export function abacAuthorizer(policies: readonly AbacPolicy[]): Authorizer {
  return {
    authorize(attributes) {
      const allowed = policies.some((policy) => policyAllows(policy, attributes));
      return { allowed, reason: allowed ? '' : 'No policy matched.' };
    },
    rulesFor(user, namespace) {
      const mine = policies.filter((policy) => subjectMatches(policy, user));
      return {
        resourceRules: mine
          .filter((p) => p.resource !== '' && is(p.namespace, namespace))
          .map((p) => ({ verbs: p.readonly ? [...reads] : ['*'], apiGroups: [p.apiGroup], resources: [p.resource] })),
        nonResourceRules: mine
          .filter((p) => p.nonResourcePath !== '')
          .map((p) => ({ verbs: p.readonly ? [...reads] : ['*'], nonResourceURLs: [p.nonResourcePath] })),
      };
    },
  };
}
