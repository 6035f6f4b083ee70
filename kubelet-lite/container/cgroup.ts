import type { Container, PodSpec } from '@trimtab/machinery';
import { limitOf, podLimit, podRequest, qosClass, requestOf } from '../pod/qos.js';

const PERIOD_MICROSECONDS = 100_000;
const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const MIN_QUOTA = 1_000;

const shares = (milliCPU: number): number =>
  Math.min(Math.max(Math.floor((milliCPU * 1024) / 1000), MIN_SHARES), MAX_SHARES);
const quota = (milliCPU: number): number => Math.max(Math.floor((milliCPU * PERIOD_MICROSECONDS) / 1000), MIN_QUOTA);

/** OCI `linux.resources` from amounts: CPU in millicores, memory in bytes; zero or undefined is no limit. */
function resources(
  request: number,
  cpuLimit: number | undefined,
  memoryLimit: number | undefined,
  pids?: number,
): object {
  return {
    cpu: {
      shares: shares(request),
      ...(cpuLimit ? { quota: quota(cpuLimit), period: PERIOD_MICROSECONDS } : {}),
    },
    // Swap equal to memory means none: a limit that can be swapped around is no limit.
    ...(memoryLimit ? { memory: { limit: memoryLimit, swap: memoryLimit } } : {}),
    ...(pids ? { pids: { limit: pids } } : {}),
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
  return resources(podRequest(spec, 'cpu'), podLimit(spec, 'cpu'), podLimit(spec, 'memory'), podPids);
}

export function containerResources(container: Container): object {
  return {
    ...resources(requestOf(container, 'cpu'), limitOf(container, 'cpu'), limitOf(container, 'memory')),
    ...(container.securityContext?.privileged ? { devices: [{ allow: true, access: 'rwm' }] } : {}),
  };
}
