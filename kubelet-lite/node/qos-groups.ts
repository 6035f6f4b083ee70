import type { Clock, Logger } from '@trimtab/machinery';
import { shares } from '../container/cgroup.js';
import type { Pod } from '../pod/api.js';
import { podRequest, qosClass } from '../pod/qos.js';
import type { CgroupTree } from '../stats/cgroup-tree.js';
import { type Enforcement, enforce, weightOf } from './enforce-allocatable.js';

/**
 * How pods of one class stand against those of another when processors are short: Burstable ones together have what they request,
 * BestEffort ones what is left. Guaranteed pods stand beside these groups, each with its own request. (kubernetes:
 * pkg/kubelet/cm/qos_container_manager_linux.go, setCPUCgroupConfig.) Empty where processors are not shared out. Pure.
 */
export function qosWeights(pods: readonly Pod[], { cpu }: Pick<CgroupTree, 'cpu'>): readonly Enforcement[] {
  if (!cpu) return [];
  const burstable = pods.filter(({ spec }) => qosClass(spec) === 'Burstable');
  const requested = burstable.reduce((sum, { spec }) => sum + podRequest(spec, 'cpu'), 0);
  const set = (qos: string, share: number): Enforcement => ({
    hierarchy: cpu,
    group: `kubepods/${qos}`,
    ...(cpu.version === 1
      ? { file: 'cpu.shares', value: String(share) }
      : { file: 'cpu.weight', value: String(weightOf(share)) }),
  });
  // Of a class without pods the weight does not matter here, and another node of this machine may have some of it.
  return [...(burstable.length > 0 ? [set('burstable', shares(requested))] : []), set('besteffort', shares(0))];
}

/** Pods come and go in crowds: one look is enough for all that do so within this time. */
const GATHER_MS = 100;

export interface QosGroupsOptions {
  /** With what they are allocated, those alone that hold something of the node. */
  readonly pods: () => readonly Pod[];
  readonly tree: CgroupTree;
  readonly write?: typeof enforce;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Keeps the weights of the classes' groups as the pods of the node have it. */
export class QosGroups {
  readonly #options: QosGroupsOptions;
  readonly #written = new Map<string, string>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: QosGroupsOptions) {
    this.#options = options;
  }

  /** What pods are allocated has changed. */
  changed(): void {
    if (this.#stopped) return;
    this.#cancel ??= this.#options.clock.after(GATHER_MS, () => {
      this.#cancel = undefined;
      void this.#write();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  async #write(): Promise<void> {
    const { pods, tree, write = enforce, logger } = this.#options;
    for (const weight of qosWeights(pods(), tree)) {
      const group = weight.group ?? '';
      if (this.#written.get(group) === weight.value) continue;
      this.#written.set(group, weight.value);
      await write([weight]).catch((error: unknown) => {
        this.#written.delete(group);
        logger.warn({ error: String(error) }, 'the weight of a class of pods cannot be set');
      });
    }
  }
}
