import { badRequest } from '@trimtab/machinery';
import { refusal } from '../authorization/refusal.js';
import type { AccessAttributes, Authorizer, Credentials, UserInfo } from '../contracts.js';
import {
  anonymousUser,
  parseServiceAccountUser,
  serviceAccountGroups,
  unauthenticatedGroup,
  withAuthenticatedGroup,
} from './groups.js';

/**
 * Who the request is to be taken for: `user`, or whom its `Impersonate-*` headers name, provided that `user` has the verb
 * `impersonate` on every part named (users or serviceaccounts, groups, uids, userextras). Throws 403 for the first part
 * refused, 400 when parts are named but no user.
 */
export function impersonate(user: UserInfo, credentials: Credentials, authorizer: Authorizer): UserInfo {
  const wanted = readHeaders(credentials);
  if (!wanted) return user;
  for (const attributes of requiredAccess(user, wanted)) {
    const decision = authorizer.authorize(attributes);
    if (!decision.allowed) throw refusal(attributes, decision);
  }
  const account = parseServiceAccountUser(wanted.name);
  const groups = wanted.groups.length === 0 && account ? serviceAccountGroups(account.namespace) : wanted.groups;
  return {
    name: wanted.name,
    ...(wanted.uid ? { uid: wanted.uid } : {}),
    groups:
      wanted.name === anonymousUser ? [...new Set([...groups, unauthenticatedGroup])] : withAuthenticatedGroup(groups),
    ...(Object.keys(wanted.extra).length > 0 ? { extra: wanted.extra } : {}),
  };
}

interface Wanted {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

const extraPrefix = 'impersonate-extra-';

/** Repeated headers arrive joined by commas; neither a group nor an extra value can hold one here. */
const values = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((v) => v.trim())
    .filter(Boolean);

function readHeaders(credentials: Credentials): Wanted | undefined {
  const name = credentials.header('impersonate-user') ?? '';
  const uid = credentials.header('impersonate-uid') ?? '';
  const groups = values(credentials.header('impersonate-group'));
  const extra: Record<string, readonly string[]> = {};
  for (const header of credentials.headerNames?.() ?? []) {
    const lower = header.toLowerCase();
    if (lower.startsWith(extraPrefix))
      extra[decode(lower.slice(extraPrefix.length))] = values(credentials.header(header));
  }
  const others = uid !== '' || groups.length > 0 || Object.keys(extra).length > 0;
  if (name === '') {
    if (others) throw badRequest('Impersonate-Uid, -Group and -Extra need Impersonate-User beside them');
    return undefined;
  }
  return { name, uid, groups, extra };
}

/** Extra keys are percent-encoded in header names; one that is not valid encoding is taken as it stands. */
function decode(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function requiredAccess(user: UserInfo, wanted: Wanted): readonly AccessAttributes[] {
  const on = (group: string, resource: string, name: string, namespace = '', subresource = ''): AccessAttributes => ({
    user,
    verb: 'impersonate',
    resource: { group, version: 'v1', resource, subresource, namespace, name },
  });
  const account = parseServiceAccountUser(wanted.name);
  const authentication = 'authentication.k8s.io';
  return [
    account ? on('', 'serviceaccounts', account.name, account.namespace) : on('', 'users', wanted.name),
    ...wanted.groups.map((group) => on('', 'groups', group)),
    ...Object.entries(wanted.extra).flatMap(([key, list]) =>
      list.map((value) => on(authentication, 'userextras', value, '', key)),
    ),
    ...(wanted.uid ? [on(authentication, 'uids', wanted.uid)] : []),
  ];
}
