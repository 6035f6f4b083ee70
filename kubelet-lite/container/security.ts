import type { Container, PodSpec } from '@trimtab/machinery';
import { ContainerConfigError } from './container-files.js';

/** The fourteen capabilities container engines give by default. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** All of Linux' capabilities, in kernel order. */
export const ALL_CAPABILITIES: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

export const MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/interrupts',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

export const READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

const full = (name: string): string =>
  name.toUpperCase().startsWith('CAP_') ? name.toUpperCase() : `CAP_${name.toUpperCase()}`;

/** Default set, plus `add`, minus `drop`; ALL on either side works as in Kubernetes, additions being made after dropping ALL. */
export function capabilitiesOf(container: Container): readonly string[] {
  const { privileged, capabilities } = container.securityContext ?? {};
  if (privileged) return ALL_CAPABILITIES;
  const add = (capabilities?.add ?? []).map(full);
  const drop = (capabilities?.drop ?? []).map(full);
  const unknown = [...add, ...drop].find((name) => name !== 'CAP_ALL' && !ALL_CAPABILITIES.includes(name));
  if (unknown) throw new ContainerConfigError('CreateContainerError', `unknown capability "${unknown}"`);
  const base = add.includes('CAP_ALL') ? ALL_CAPABILITIES : drop.includes('CAP_ALL') ? [] : DEFAULT_CAPABILITIES;
  const named = add.filter((name) => name !== 'CAP_ALL');
  return [...new Set([...base.filter((name) => !drop.includes(name)), ...named])].filter(
    (name) => named.includes(name) || !drop.includes(name),
  );
}

/** Kubernetes: a process can gain privileges unless forbidden; privileged or SYS_ADMIN implies that it can. */
export function noNewPrivileges(container: Container): boolean {
  return container.securityContext?.allowPrivilegeEscalation === false;
}

/**
 * The seccomp profile: what the container, else the pod, asks for; where neither says anything the runtime's default
 * applies here (Kubernetes' `seccompDefault: true`). Undefined is unconfined.
 */
export function seccompOf(spec: PodSpec, container: Container): object | undefined {
  if (container.securityContext?.privileged) return undefined;
  const profile = container.securityContext?.seccompProfile ?? spec.securityContext?.seccompProfile;
  return profile?.type === 'Unconfined' ? undefined : { profile: 'runtime/default' };
}
