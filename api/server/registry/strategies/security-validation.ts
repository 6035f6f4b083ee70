import { type Container, causes, type PodSpec } from '@trimtab/machinery';
import { type Causes, localPath, optionalOneOf, required } from './checks.js';

/** What a pod and its containers may be and may not (kubernetes: core/validation, security contexts). */

/** A user or group: what fits into a signed 32-bit number. */
export function userOrGroup(id: number | undefined, at: string, out: Causes): void {
  if (id !== undefined && (id < 0 || id > 2147483647))
    out.push(causes.invalid(at, id, 'must be between 0 and 2147483647, inclusive'));
}

interface Profile {
  readonly type: string;
  readonly localhostProfile?: string;
}

function validateProfile(
  profile: Profile | undefined,
  field: 'seccompProfile' | 'appArmorProfile',
  context: string,
  out: Causes,
): void {
  if (!profile) return;
  const at = `${context}.${field}`;
  const name = field === 'seccompProfile' ? 'seccomp' : 'AppArmor';
  const { type, localhostProfile } = profile;
  if (type !== 'Localhost' && localhostProfile !== undefined)
    out.push(
      causes.invalid(`${at}.localhostProfile`, localhostProfile, `can only be set when ${name} type is Localhost`),
    );
  if (!type) out.push(causes.required(`${at}.type`, `type is required when ${field} is set`));
  else if (type !== 'Localhost') optionalOneOf(type, ['Localhost', 'RuntimeDefault', 'Unconfined'], `${at}.type`, out);
  else if (required(localhostProfile, `${at}.localhostProfile`, out, `must be set when ${name} type is Localhost`))
    if (field === 'seccompProfile') localPath(localhostProfile ?? '', `${at}.localhostProfile`, out);
}

export function validateSecurity({ securityContext: s }: Container, at: string, out: Causes, hostUsers: boolean): void {
  if (!s) return;
  userOrGroup(s.runAsUser, `${at}.runAsUser`, out);
  userOrGroup(s.runAsGroup, `${at}.runAsGroup`, out);
  optionalOneOf(s.procMount, ['Default', 'Unmasked'], `${at}.procMount`, out);
  if (s.procMount === 'Unmasked' && hostUsers)
    out.push(causes.invalid(`${at}.procMount`, s.procMount, '`hostUsers` must be false to use `Unmasked`'));
  validateProfile(s.seccompProfile, 'seccompProfile', at, out);
  if (s.allowPrivilegeEscalation === false) {
    if (s.privileged === true)
      out.push(causes.invalid(at, s, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
    if (s.capabilities?.add?.includes('SYS_ADMIN') || s.capabilities?.add?.includes('CAP_SYS_ADMIN'))
      out.push(
        causes.invalid(at, s, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'),
      );
  }
  validateProfile(s.appArmorProfile, 'appArmorProfile', at, out);
}

const sysctlName = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;

export function validatePodSecurity(spec: PodSpec, at: string, out: Causes): void {
  const s = spec.securityContext;
  const path = `${at}.securityContext`;
  if (s) {
    userOrGroup(s.fsGroup, `${path}.fsGroup`, out);
    userOrGroup(s.runAsUser, `${path}.runAsUser`, out);
    userOrGroup(s.runAsGroup, `${path}.runAsGroup`, out);
    for (const [i, group] of (s.supplementalGroups ?? []).entries())
      userOrGroup(group, `${path}.supplementalGroups[${i}]`, out);
    optionalOneOf(s.supplementalGroupsPolicy, ['Merge', 'Strict'], `${path}.supplementalGroupsPolicy`, out);
  }
  if (spec.shareProcessNamespace && spec.hostPID)
    out.push(
      causes.invalid(`${at}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'),
    );
  if (!s) return;
  validateSysctls(spec, `${path}.sysctls`, out);
  optionalOneOf(s.fsGroupChangePolicy, ['Always', 'OnRootMismatch'], `${path}.fsGroupChangePolicy`, out);
  validateProfile(s.seccompProfile, 'seccompProfile', path, out);
  validateProfile(s.appArmorProfile, 'appArmorProfile', path, out);
  optionalOneOf(s.seLinuxChangePolicy, ['MountOption', 'Recursive'], `${path}.seLinuxChangePolicy`, out);
}

function validateSysctls({ securityContext, hostNetwork, hostIPC }: PodSpec, at: string, out: Causes): void {
  const seen = new Set<string>();
  for (const [i, { name }] of (securityContext?.sysctls ?? []).entries()) {
    const path = `${at}[${i}].name`;
    if (!required(name, path, out)) continue;
    if (name.length > 253 || !sysctlName.test(name))
      out.push(
        causes.invalid(
          path,
          name,
          `must have at most 253 characters and match regex ${sysctlName.source.replaceAll('[./]', '[\\./]')}`,
        ),
      );
    else if (seen.has(name)) out.push(causes.duplicate(path, name));
    seen.add(name);
    const plain = name.replaceAll('/', '.');
    if (hostNetwork && plain.startsWith('net.'))
      out.push(causes.invalid(path, name, "may not be specified when 'hostNetwork' is set to true"));
    if (
      hostIPC &&
      (plain.startsWith('kernel.shm') ||
        plain.startsWith('kernel.msg') ||
        plain === 'kernel.sem' ||
        plain.startsWith('fs.mqueue.'))
    )
      out.push(causes.invalid(path, name, "may not be specified when 'hostIPC' is set to true"));
  }
}

/** What only one operating system knows of cannot be asked of the other. */
export function validateOs(spec: PodSpec, at: string, out: Causes): void {
  const name = spec.os?.name;
  if (!spec.os) return;
  if (!required(name, `${at}.os.name`, out)) return;
  optionalOneOf(name, ['linux', 'windows'], `${at}.os`, out);
  if (name !== 'linux' && name !== 'windows') return;
  const contexts: readonly (readonly [string, object | undefined])[] = [
    [`${at}.securityContext`, spec.securityContext],
    ...(['containers', 'initContainers', 'ephemeralContainers'] as const).flatMap((list) =>
      (spec[list] ?? []).map((c, i) => [`${at}.${list}[${i}].securityContext`, c.securityContext] as const),
    ),
  ];
  if (name === 'linux') {
    for (const [path, context] of contexts)
      if (context && 'windowsOptions' in context && context.windowsOptions)
        out.push(causes.forbidden(`${path}.windowsOptions`, 'windows options cannot be set for a linux pod'));
    return;
  }
  const no = (path: string) => out.push(causes.forbidden(path, 'cannot be set for a windows pod'));
  for (const field of ['hostPID', 'hostIPC', 'shareProcessNamespace'] as const) if (spec[field]) no(`${at}.${field}`);
  for (const [path, context] of contexts)
    for (const field of Object.keys(context ?? {})) if (linuxOnly.has(field)) no(`${path}.${field}`);
}

const linuxOnly = new Set([
  'allowPrivilegeEscalation',
  'appArmorProfile',
  'capabilities',
  'fsGroup',
  'fsGroupChangePolicy',
  'privileged',
  'procMount',
  'readOnlyRootFilesystem',
  'runAsGroup',
  'runAsUser',
  'seccompProfile',
  'seLinuxChangePolicy',
  'seLinuxOptions',
  'supplementalGroups',
  'supplementalGroupsPolicy',
  'sysctls',
]);
