import type { Clock } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import type { PodManager } from '../pod/pod-manager.js';
import type { PodWorker } from '../pod/pod-worker.js';

/** How long pods of a priority, and of those above it up to the next entry, have to end. */
export interface ShutdownGrace {
  readonly priority: number;
  readonly graceMs: number;
}

const CRITICAL_PRIORITY = 2_000_000_000;

/** The table of Kubernetes' two simple settings: critical pods have the tail of the whole time for themselves. */
export function simpleTable(wholeMs: number, criticalMs: number): readonly ShutdownGrace[] {
  return [
    { priority: 0, graceMs: wholeMs - criticalMs },
    { priority: CRITICAL_PRIORITY, graceMs: criticalMs },
  ];
}

export interface ShutdownGroup<P> {
  readonly graceMs: number;
  readonly pods: readonly P[];
}

/**
 * Who ends together, the least important first (kubernetes: pkg/kubelet/nodeshutdown, groupByPriority): each pod belongs to the
 * highest entry that is not above its priority, and to the lowest where all are. Pure.
 */
export function shutdownGroups<P extends { readonly pod: Pod }>(
  table: readonly ShutdownGrace[],
  pods: readonly P[],
): readonly ShutdownGroup<P>[] {
  const rising = [...table].sort((a, b) => a.priority - b.priority);
  const placeOf = ({ pod }: P): number =>
    Math.max(
      rising.findLastIndex(({ priority }) => priority <= (pod.spec.priority ?? 0)),
      0,
    );
  return rising
    .map(({ graceMs }, place) => ({ graceMs, pods: pods.filter((pod) => placeOf(pod) === place) }))
    .filter(({ pods: members }) => members.length > 0);
}

export const SHUTDOWN_MESSAGE = 'Pod was terminated in response to imminent node shutdown.';
/** Said as the node's condition meanwhile. */
export const SHUTTING_DOWN = 'node is shutting down';

const LOOK_MS = 50;

/**
 * Ends all pods of a node that goes, group by group, each with the lesser of its own grace and its group's. Pods fail with the
 * reason `Terminated`, so that whoever owns them makes others elsewhere. Resolves when all have ended or their time is up.
 */
export async function endPods(pods: PodManager, table: readonly ShutdownGrace[], clock: Clock): Promise<void> {
  const active = pods.workers().filter((worker) => worker.active);
  for (const { graceMs, pods: members } of shutdownGroups(table, active)) {
    for (const worker of members) {
      const own = (worker.pod.spec.terminationGracePeriodSeconds ?? 30) * 1_000;
      worker.fail('Normal', { reason: 'Terminated', message: SHUTDOWN_MESSAGE }, Math.min(own, graceMs));
    }
    await untilEnded(members, clock, clock.now() + graceMs);
  }
}

function untilEnded(workers: readonly PodWorker[], clock: Clock, deadline: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (workers.every((worker) => !worker.active) || clock.now() >= deadline) resolve();
      else clock.after(LOOK_MS, look);
    };
    look();
  });
}
