/** The names and groups that Kubernetes itself gives meaning to. */

export const anonymousUser = 'system:anonymous';
export const mastersGroup = 'system:masters';
export const authenticatedGroup = 'system:authenticated';
export const unauthenticatedGroup = 'system:unauthenticated';
export const nodesGroup = 'system:nodes';

const serviceAccountPrefix = 'system:serviceaccount:';
const nodePrefix = 'system:node:';

export const serviceAccountUser = (namespace: string, name: string): string =>
  `${serviceAccountPrefix}${namespace}:${name}`;

export const serviceAccountGroups = (namespace: string): readonly string[] => [
  'system:serviceaccounts',
  `system:serviceaccounts:${namespace}`,
];

/** The namespace and name in a service account's user name; undefined for any other user name. */
export function parseServiceAccountUser(
  user: string,
): { readonly namespace: string; readonly name: string } | undefined {
  if (!user.startsWith(serviceAccountPrefix)) return undefined;
  const parts = user.slice(serviceAccountPrefix.length).split(':');
  return parts.length === 2 && parts[0] && parts[1] ? { namespace: parts[0], name: parts[1] } : undefined;
}

/** The node a kubelet speaks for, or undefined when the user is no kubelet. */
export function nodeNameOf(user: { readonly name: string; readonly groups: readonly string[] }): string | undefined {
  return user.name.startsWith(nodePrefix) && user.groups.includes(nodesGroup)
    ? user.name.slice(nodePrefix.length)
    : undefined;
}

/** Adds `system:authenticated`, once, unless the user is known to be unauthenticated. */
export function withAuthenticatedGroup(groups: readonly string[]): readonly string[] {
  return groups.includes(authenticatedGroup) || groups.includes(unauthenticatedGroup)
    ? groups
    : [...groups, authenticatedGroup];
}
