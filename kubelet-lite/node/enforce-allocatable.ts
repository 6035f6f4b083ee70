import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { CgroupTree, Hierarchy } from '../stats/cgroup-tree.js';
import type { Reserved } from './node-status.js';

/** One file of a group that pods are in. */
export interface Enforcement {
  readonly hierarchy: Hierarchy;
  /** Below the hierarchy's root; default the group that all pods are in. */
  readonly group?: string;
  readonly file: string;
  readonly value: string;
}

const POD_GROUP = 'kubepods';

/**
 * What keeps pods, all together, from what is reserved: limits of memory and processes at capacity less reserve, and a weight for
 * processors (kubernetes: pkg/kubelet/cm/node_container_manager_linux.go). Eviction thresholds are not taken off, for eviction must
 * come before the kernel's own killing. Nothing is limited of which nothing is reserved. Pure.
 */
export function enforcements(
  tree: CgroupTree,
  capacity: { readonly milliCPU: number; readonly memoryBytes: number; readonly pids: number },
  reserved: Reserved,
): readonly Enforcement[] {
  const found: Enforcement[] = [];
  const set = (hierarchy: Hierarchy | undefined, v1: readonly [string, number], v2: readonly [string, number]) => {
    if (!hierarchy) return;
    const [file, value] = hierarchy.version === 1 ? v1 : v2;
    found.push({ hierarchy, file, value: String(value) });
  };
  if (reserved.memoryBytes > 0) {
    const bytes = Math.max(capacity.memoryBytes - reserved.memoryBytes, 0);
    set(tree.memory, ['memory.limit_in_bytes', bytes], ['memory.max', bytes]);
  }
  if (reserved.milliCPU > 0) {
    const shares = Math.max(Math.floor(((capacity.milliCPU - reserved.milliCPU) * 1024) / 1000), 2);
    set(tree.cpu, ['cpu.shares', shares], ['cpu.weight', weightOf(shares)]);
  }
  if ((reserved.pids ?? 0) > 0 && Number.isFinite(capacity.pids)) {
    const most = Math.max(capacity.pids - reserved.pids!, 1);
    set(tree.pids, ['pids.max', most], ['pids.max', most]);
  }
  return found;
}

/** v1's shares as v2's weight. */
export const weightOf = (shares: number): number =>
  Math.min(Math.max(1 + Math.floor(((shares - 2) * 9999) / 262142), 1), 10_000);

/** Makes the groups and writes the limits. Rejects with the file that could not be written. */
export async function enforce(all: readonly Enforcement[]): Promise<void> {
  for (const { hierarchy, group = POD_GROUP, file, value } of all) {
    let directory = hierarchy.mount;
    for (const part of group.split('/')) {
      const controller = file.slice(0, file.indexOf('.'));
      // Fails where it is enabled already by somebody who does not let it be enabled twice; writing the limit tells.
      if (hierarchy.version === 2)
        await fs.writeFile(join(directory, 'cgroup.subtree_control'), `+${controller}`).catch(() => {});
      directory = join(directory, part);
      await fs.mkdir(directory, { recursive: true, mode: 0o755 });
    }
    await fs.writeFile(join(directory, file), value);
  }
}
