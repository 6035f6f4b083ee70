import { type ApiCall, type Client, interpose, requestVerb } from '@trimtab/client';
import type { ClusterRole, PolicyRule, ResourceType } from '@trimtab/machinery';
import { Events, Leases } from '@trimtab/machinery';
import type { ControllerDefinition } from './controller.js';

const READ = ['get', 'list', 'watch'];

/**
 * What controllers must be allowed, from what they declare: to read all they name, to write what they own, to change what
 * they are for (finalizer, durable state) and its status, to record events and to hold leases. What they write beyond that
 * stands in their `permissions`.
 */
export function permissionsOf(definitions: readonly ControllerDefinition[]): readonly PolicyRule[] {
  const granted = new Map<string, { readonly group: string; readonly resource: string; readonly verbs: Set<string> }>();
  const grant = (type: ResourceType, verbs: readonly string[], subresource?: string) => {
    const resource = subresource ? `${type.resource}/${subresource}` : type.resource;
    const id = `${type.group}/${resource}`;
    const known = granted.get(id) ?? { group: type.group, resource, verbs: new Set<string>() };
    granted.set(id, known);
    for (const verb of verbs) known.verbs.add(verb);
  };
  for (const { for: type, owns = [], watches = [], reads = [], permissions = [], cleanup, durable } of definitions) {
    grant(type, READ);
    grant(type, ['patch'], 'status');
    if (cleanup || durable) {
      grant(type, ['patch']);
      grant(type, ['update'], 'finalizers');
    }
    for (const owned of owns) grant(owned, [...READ, 'create', 'patch', 'delete']);
    // Owner references that block the owner's deletion need it (OwnerReferencesPermissionEnforcement).
    if (owns.length > 0) grant(type, ['update'], 'finalizers');
    for (const each of [...watches.map((watch) => watch.type), ...reads]) grant(each, READ);
    for (const { type: other, verbs, subresource } of permissions) grant(other, verbs, subresource);
  }
  grant(Events as ResourceType, ['create', 'patch']);
  grant(Leases as ResourceType, ['get', 'list', 'create', 'update', 'delete']);
  return [...granted.values()].map(({ group, resource, verbs }) => ({
    apiGroups: [group],
    resources: [resource],
    verbs: [...verbs].sort(),
  }));
}

export const clusterRole = (name: string, definitions: readonly ControllerDefinition[]): ClusterRole => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name },
  rules: [...permissionsOf(definitions)],
});

/** The same client, which notes what it is asked: run tests through it, and {@link refusedBy} says what the rules forget. */
export function permissionRecorder(client: Client): { readonly client: Client; readonly used: ReadonlySet<string> } {
  const used = new Set<string>();
  const recording = interpose(
    client,
    (call, next) => {
      const needed = neededFor(call);
      if (needed !== undefined) used.add(needed);
      return next(call);
    },
    (type, options) => {
      used.add(`watch ${type.group}/${type.resource}`);
      return client.watch(type, options);
    },
  );
  return { client: recording, used };
}

/** What a call needs to be allowed, as {@link permissionRecorder} notes it; undefined for what no rule speaks of. */
export function neededFor(call: ApiCall): string | undefined {
  const verb = requestVerb(call);
  if (!verb || !('type' in call)) return undefined;
  const subresource = subresourceOf(call);
  return `${verb} ${call.type.group}/${call.type.resource}${subresource ? `/${subresource}` : ''}`;
}

const subresourceOf = (call: ApiCall): string | undefined => {
  if (call.verb === 'subresource') return call.subresource;
  return 'options' in call && 'subresource' in call.options ? call.options.subresource : undefined;
};

/** Of what was used, what these rules do not allow; empty when they suffice. */
export const refusedBy = (rules: readonly PolicyRule[], used: ReadonlySet<string>): readonly string[] =>
  [...used].filter((each) => {
    const [verb = '', path = ''] = each.split(' ');
    const slash = path.indexOf('/');
    const [group, resource] = [path.slice(0, slash), path.slice(slash + 1)];
    return !rules.some(
      (rule) => rule.apiGroups?.includes(group) && rule.resources?.includes(resource) && rule.verbs.includes(verb),
    );
  });

/** Of what these rules allow, what was never used, as `verb group/resource`: what a role could do without, if all was tried. */
export const unusedOf = (rules: readonly PolicyRule[], used: ReadonlySet<string>): readonly string[] =>
  rules
    .flatMap(({ apiGroups = [], resources = [], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    )
    .filter((each) => !used.has(each));
