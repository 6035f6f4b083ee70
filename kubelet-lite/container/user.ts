import type { Container, PodSpec } from '@trimtab/machinery';
import { ContainerConfigError } from './container-files.js';

export interface UserDatabase {
  /** Texts of the image's `/etc/passwd` and `/etc/group`; empty when it has none. */
  readonly passwd: string;
  readonly group: string;
}

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** The home directory of the user, where the image knows one. */
  readonly home?: string;
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

const rows = (text: string): readonly (readonly string[])[] => text.split('\n').map((line) => line.split(':'));
const id = (text: string | undefined): number | undefined =>
  text && /^\d{1,10}$/.test(text) ? Number(text) : undefined;

function accounts(passwd: string): readonly Account[] {
  return rows(passwd).flatMap(([name = '', , uid, gid, , home = '']) => {
    const u = id(uid);
    const g = id(gid);
    return name && u !== undefined && g !== undefined ? [{ name, uid: u, gid: g, home }] : [];
  });
}

/**
 * Whom a container runs as. The pod's securityContext, then the container's, override the image's USER (`user[:group]`, each
 * a name of the image or a number). Without a gid of its own a known user gets its primary group, others group 0.
 */
export function resolveUser(
  spec: PodSpec,
  container: Container,
  imageUser: string | undefined,
  database: UserDatabase,
): ResolvedUser {
  const pod = spec.securityContext ?? {};
  const own = container.securityContext ?? {};
  const [userText = '', groupText] = (imageUser ?? '').split(':');
  const users = accounts(database.passwd);
  const asked = own.runAsUser ?? pod.runAsUser;
  const account = asked !== undefined ? users.find((u) => u.uid === asked) : findUser(users, userText);
  const uid = asked ?? account?.uid ?? id(userText);
  if (uid === undefined) throw unresolved('user', userText);
  const imageGroup = asked === undefined ? findGroup(database.group, groupText) : undefined;
  const gid = own.runAsGroup ?? pod.runAsGroup ?? imageGroup ?? account?.gid ?? 0;
  if ((own.runAsNonRoot ?? pod.runAsNonRoot) === true) {
    if (asked === undefined && userText !== '' && id(userText) === undefined) {
      throw new ContainerConfigError(
        'CreateContainerConfigError',
        `container has runAsNonRoot and image has non-numeric user (${userText}), cannot verify user is non-root`,
      );
    }
    if (uid === 0) {
      const what =
        asked === 0
          ? "container's runAsUser breaks non-root policy"
          : 'container has runAsNonRoot and image will run as root';
      throw new ContainerConfigError('CreateContainerConfigError', what);
    }
  }
  const fromImage =
    pod.supplementalGroupsPolicy === 'Strict' || !account ? [] : memberships(database.group, account.name);
  const groups = [
    gid,
    ...fromImage,
    ...(pod.supplementalGroups ?? []),
    ...(pod.fsGroup === undefined ? [] : [pod.fsGroup]),
  ];
  return {
    uid,
    gid,
    additionalGids: [...new Set(groups)],
    ...(account?.home ? { home: account.home } : {}),
  };
}

function findUser(users: readonly Account[], text: string): Account | undefined {
  if (text === '') return users.find((u) => u.uid === 0) ?? { name: 'root', uid: 0, gid: 0, home: '/root' };
  return users.find((u) => u.name === text) ?? users.find((u) => u.uid === id(text));
}

function findGroup(group: string, text: string | undefined): number | undefined {
  if (!text) return undefined;
  const named = rows(group).find(([name]) => name === text);
  const gid = id(named?.[2]) ?? id(text);
  if (gid === undefined) throw unresolved('group', text);
  return gid;
}

function memberships(group: string, user: string): readonly number[] {
  return rows(group).flatMap(([, , gid, members = '']) => {
    const number = id(gid);
    return number !== undefined && members.trim().split(',').includes(user) ? [number] : [];
  });
}

const unresolved = (what: string, text: string): ContainerConfigError =>
  new ContainerConfigError(
    'CreateContainerError',
    `unable to find ${what} ${text}: no matching entries in the image's ${what === 'user' ? 'passwd' : 'group'} file`,
  );
