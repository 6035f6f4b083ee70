import type { Container, PodSpec } from '@trimtab/machinery';
import { byContainers } from '../pod/by-containers.js';
import { limitOf, podLimit, podRequest, qosClass, requestOf } from '../pod/qos.js';

const PERIOD_MICROSECONDS = 100_000;
const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const MIN_QUOTA = 1_000;

/** v1's `cpu.shares` of what is requested. */
export const shares = (milliCPU: number): number =>
  Math.min(Math.max(Math.floor((milliCPU * 1024) / 1000), MIN_SHARES), MAX_SHARES);
const quota = (milliCPU: number): number => Math.max(Math.floor((milliCPU * PERIOD_MICROSECONDS) / 1000), MIN_QUOTA);

/** CPU in millicores, memory in bytes; a limit of 0 is none. */
export interface Limits {
  readonly cpuRequest: number;
  readonly cpuLimit: number;
  readonly memoryLimit: number;
}

export const podLimits = byContainers(
  (spec): Limits => ({
    cpuRequest: podRequest(spec, 'cpu'),
    cpuLimit: podLimit(spec, 'cpu') ?? 0,
    memoryLimit: podLimit(spec, 'memory') ?? 0,
  }),
);

/** A container without a limit has the one its pod has as a whole, so that programs that ask their group find it (KEP-2837). */
export function containerLimits(container: Container, { resources: whole = {} }: Pick<PodSpec, 'resources'>): Limits {
  const limit = (resource: string) => limitOf(container, resource) || limitOf({ resources: whole }, resource);
  return { cpuRequest: requestOf(container, 'cpu'), cpuLimit: limit('cpu'), memoryLimit: limit('memory') };
}

/** OCI `linux.resources` of something new. */
function resources({ cpuRequest, cpuLimit, memoryLimit }: Limits, pids?: number): object {
  return {
    cpu: {
      shares: shares(cpuRequest),
      ...(cpuLimit ? { quota: quota(cpuLimit), period: PERIOD_MICROSECONDS } : {}),
    },
    // Swap equal to memory means none: a limit that can be swapped around is no limit.
    ...(memoryLimit ? { memory: { limit: memoryLimit, swap: memoryLimit } } : {}),
    ...(pids ? { pids: { limit: pids } } : {}),
  };
}

/** OCI `linux.resources` for something that lives: a limit that is gone is said to be. */
export function changedResources({ cpuRequest, cpuLimit, memoryLimit }: Limits): object {
  const memory = memoryLimit || -1;
  return {
    cpu: { shares: shares(cpuRequest), quota: cpuLimit ? quota(cpuLimit) : -1, period: PERIOD_MICROSECONDS },
    memory: { limit: memory, swap: memory },
  };
}

/** The groups that pods' groups stand in, from the inside out. */
export const podCgroupRoots: readonly string[] = ['kubepods/burstable', 'kubepods/besteffort', 'kubepods'];

/** `kubepods[/<qos>]/pod<uid>`; Guaranteed pods stand directly below kubepods. */
export function podCgroupPath(spec: PodSpec, uid: string): string {
  const qos = qosClass(spec);
  return qos === 'Guaranteed' ? `kubepods/pod${uid}` : `kubepods/${qos.toLowerCase()}/pod${uid}`;
}

/** The group of one start of a container, below its pod's. */
export function containerCgroupPath(spec: PodSpec, uid: string, container: string, attempt: number): string {
  return `${podCgroupPath(spec, uid)}/${container}-${attempt}`;
}

export function podResources(spec: PodSpec, podPids: number | undefined): object {
  return resources(podLimits(spec), podPids);
}

export function containerResources(container: Container, spec: Pick<PodSpec, 'resources'>): object {
  return {
    ...resources(containerLimits(container, spec)),
    ...(container.securityContext?.privileged ? { devices: [{ allow: true, access: 'rwm' }] } : {}),
  };
}
