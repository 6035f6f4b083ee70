import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, PodSpec } from '@trimtab/machinery';
import { ContainerConfigError } from './container-files.js';

const MEMBERS = ['defaultAction', 'defaultErrnoRet', 'architectures', 'flags', 'syscalls'] as const;
/** What engines' own profiles have beside OCI's members, and what can be dropped of it without weakening the profile. */
const HARMLESS: readonly string[] = ['archMap', 'comment'];

type Json = Readonly<Record<string, unknown>>;

/** The profile a container asks for, its own or its pod's. */
export function seccompProfileOf(spec: PodSpec, container: Container) {
  return container.securityContext?.seccompProfile ?? spec.securityContext?.seccompProfile;
}

/**
 * A profile of the node's own directory, in OCI's form, or in the form container engines give theirs where it says the same.
 * Rejects with a ContainerConfigError that names the file: a container never starts with less than it asked for.
 */
export async function localSeccompProfile(directory: string, name: string): Promise<object> {
  const path = join(directory, name);
  const fail = (why: string): never => {
    throw new ContainerConfigError('CreateContainerError', `cannot load seccomp profile "${path}": ${why}`);
  };
  if (name === '' || name.startsWith('/') || name.split('/').includes('..')) fail('it must be below that directory');
  const text = await fs.readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => fail(error.code ?? ''));
  let profile: Json;
  try {
    profile = JSON.parse(text) as Json;
  } catch (error) {
    return fail(String(error));
  }
  const unknown = Object.keys(profile).find((key) => !([...MEMBERS, ...HARMLESS] as string[]).includes(key));
  if (unknown) fail(`"${unknown}" is no member of OCI's linux.seccomp`);
  if (typeof profile.defaultAction !== 'string') fail('it has no defaultAction');
  const syscalls = ((profile.syscalls ?? []) as readonly Json[]).map((rule) => ociRule(rule, fail));
  const known = Object.fromEntries(MEMBERS.flatMap((key) => (key in profile ? [[key, profile[key]]] : [])));
  return { ...known, syscalls };
}

function ociRule(
  { name, names, action, errnoRet, args, comment: _, ...rest }: Json,
  fail: (why: string) => never,
): object {
  const [condition] = Object.entries(rest).find(([, value]) => Object.keys(value ?? {}).length > 0) ?? [];
  if (condition) fail(`a rule's "${condition}" is not understood: write rules that hold for every container`);
  const all = names ?? (name === undefined ? undefined : [name]);
  if (!Array.isArray(all) || typeof action !== 'string') fail('a rule lacks its names or its action');
  return { names: all, action, ...(errnoRet === undefined ? {} : { errnoRet }), ...(args ? { args } : {}) };
}
