import type { Pod } from '../pod/api.js';
import { podRequest } from '../pod/qos.js';
import type { Signal } from './thresholds.js';

/** What a pod uses of what runs out. */
export interface PodUse {
  readonly pod: Pod;
  /** Bytes of its working set. */
  readonly memory: number;
  /** Bytes and inodes of its writable layers, logs and emptyDirs. */
  readonly disk: number;
  readonly inodes: number;
  readonly processes: number;
  readonly containers: readonly { readonly name: string; readonly memory: number; readonly disk: number }[];
}

export type Resource = 'memory' | 'ephemeral-storage' | 'inodes' | 'pids';

export function resourceOf(signal: Signal): Resource {
  if (signal === 'memory.available') return 'memory';
  if (signal === 'pid.available') return 'pids';
  return signal.endsWith('inodesFree') ? 'inodes' : 'ephemeral-storage';
}

export const usedOf = (use: PodUse, resource: Resource): number =>
  resource === 'memory'
    ? use.memory
    : resource === 'pids'
      ? use.processes
      : resource === 'inodes'
        ? use.inodes
        : use.disk;

/** Inodes and processes cannot be asked for. */
const requested = ({ pod }: PodUse, resource: Resource): number =>
  resource === 'memory' || resource === 'ephemeral-storage' ? podRequest(pod.spec, resource) : 0;

/**
 * Pods in the order in which they are evicted: those that use more than they asked for, of those the least important, of those
 * the one furthest above what it asked for (kubernetes: pkg/kubelet/eviction/helpers.go, rank*Pressure). Pure.
 */
export function rankPods(uses: readonly PodUse[], signal: Signal): readonly PodUse[] {
  const resource = resourceOf(signal);
  const above = (use: PodUse) => usedOf(use, resource) - requested(use, resource);
  const asked = resource === 'memory' || resource === 'ephemeral-storage';
  const exceeds = (use: PodUse) => (asked && above(use) > 0 ? 0 : 1);
  const priority = ({ pod }: PodUse) => pod.spec.priority ?? 0;
  return [...uses].sort((a, b) => exceeds(a) - exceeds(b) || priority(a) - priority(b) || above(b) - above(a));
}

const CRITICAL_PRIORITY = 2_000_000_000;

/** Pods that nothing of the node's own accord takes away: static ones, their mirrors, and those of the system's priorities. */
export function isCritical({ metadata, spec }: Pod): boolean {
  const annotations = metadata.annotations ?? {};
  const source = annotations['kubernetes.io/config.source'];
  return (
    (spec.priority ?? 0) >= CRITICAL_PRIORITY ||
    annotations['kubernetes.io/config.mirror'] !== undefined ||
    (source !== undefined && source !== 'api')
  );
}
