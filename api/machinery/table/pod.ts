import type { Container, ContainerStateTerminated, ContainerStatus, Pod } from '../generated/types.js';
import { ageColumn, column, nameColumn, type Printer, type RowCondition, wide } from './column.js';
import { sinceText } from './duration.js';

/** What `kubectl get pods` says of a pod: the same words for the same states as Kubernetes' own printer. */

export interface PodSummary {
  readonly ready: number;
  readonly total: number;
  /** `Running`, `Init:0/1`, `CrashLoopBackOff`, `Completed`, `Terminating`, … */
  readonly status: string;
  readonly restarts: number;
  /** When the container that ended last did so; undefined when none has. */
  readonly lastRestart?: string;
}

/** Restartable init containers (sidecars) count as containers of the pod. */
const isSidecar = (container: Container | undefined): boolean => container?.restartPolicy === 'Always';

const hasCondition = (pod: Pod, type: string): boolean =>
  pod.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;

/** Why an ended container ended, as STATUS names it. */
const endText = ({ reason, signal, exitCode }: ContainerStateTerminated): string =>
  reason || (signal ? `Signal:${signal}` : `ExitCode:${exitCode}`);

interface Restarts {
  readonly count: number;
  readonly last: string;
}

function restartsOf(statuses: readonly ContainerStatus[]): Restarts {
  const ends = statuses.map((status) => status.lastState?.terminated?.finishedAt ?? '');
  return {
    count: statuses.reduce((sum, status) => sum + (status.restartCount ?? 0), 0),
    last: ends.reduce((latest, end) => (end > latest ? end : latest), ''),
  };
}

const together = (a: Restarts, b: Restarts): Restarts => ({
  count: a.count + b.count,
  last: a.last > b.last ? a.last : b.last,
});

export function summarizePod(pod: Pod): PodSummary {
  const { status } = pod;
  const declared = pod.spec?.initContainers ?? [];
  const sidecars = new Set(declared.filter(isSidecar).map((container) => container.name));
  const gated = status?.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated');
  const init = initProgress(status?.initContainerStatuses ?? [], declared.length, sidecars);
  const statuses = status?.containerStatuses ?? [];
  const main = mainProgress(pod, statuses);

  // Init containers that are still at work hide what the others say, unless the pod was initialized once already.
  const started = init.reason === undefined || hasCondition(pod, 'Initialized');
  const phase = gated ? 'SchedulingGated' : status?.reason || status?.phase || '';
  const reason = (started ? main.reason(init.reason ?? phase) : init.reason) ?? phase;
  const restarts = started ? together(init.sidecarRestarts, restartsOf(statuses)) : init.restarts;
  return {
    ready: init.ready + (started ? main.ready : 0),
    total: (pod.spec?.containers?.length ?? 0) + sidecars.size,
    status: endingStatus(pod) ?? reason,
    restarts: restarts.count,
    ...(restarts.last ? { lastRestart: restarts.last } : {}),
  };
}

function endingStatus(pod: Pod): string | undefined {
  if (!pod.metadata.deletionTimestamp) return undefined;
  if (pod.status?.reason === 'NodeLost') return 'Unknown';
  const phase = pod.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed' ? undefined : 'Terminating';
}

/** Looks at init containers in order, up to the first that holds the pod back; its state is the pod's. */
function initProgress(
  statuses: readonly ContainerStatus[],
  declared: number,
  sidecars: ReadonlySet<string>,
): {
  readonly reason?: string;
  readonly ready: number;
  readonly restarts: Restarts;
  readonly sidecarRestarts: Restarts;
} {
  let ready = 0;
  let reason: string | undefined;
  let looked = 0;
  for (const [i, status] of statuses.entries()) {
    looked = i + 1;
    const { terminated, waiting } = status.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(status.name) && status.started) {
      if (status.ready) ready++;
      continue;
    }
    const held = waiting?.reason && waiting.reason !== 'PodInitializing' ? waiting.reason : `${i}/${declared}`;
    reason = `Init:${terminated ? endText(terminated) : held}`;
    break;
  }
  const seen = statuses.slice(0, looked);
  return {
    ...(reason === undefined ? {} : { reason }),
    ready,
    restarts: restartsOf(seen),
    sidecarRestarts: restartsOf(seen.filter((status) => sidecars.has(status.name))),
  };
}

/** The first container that waits or has ended names the pod's state; one that runs makes `Completed` a running pod again. */
function mainProgress(
  pod: Pod,
  statuses: readonly ContainerStatus[],
): { readonly ready: number; readonly reason: (phase: string) => string } {
  const running = statuses.filter(
    ({ state, ready }) => !state?.waiting?.reason && !state?.terminated && ready && state?.running,
  );
  const stopped = statuses
    .map(({ state }) => state?.waiting?.reason || (state?.terminated ? endText(state.terminated) : undefined))
    .find((text) => text !== undefined);
  return {
    ready: running.length,
    reason: (phase) => {
      const reason = stopped ?? phase;
      if (reason !== 'Completed' || running.length === 0) return reason;
      return hasCondition(pod, 'Ready') ? 'Running' : 'NotReady';
    },
  };
}

function restartsText(pod: Pod, now: number): string {
  const { restarts, lastRestart } = summarizePod(pod);
  return restarts > 0 && lastRestart ? `${restarts} (${sinceText(lastRestart, now)} ago)` : `${restarts}`;
}

function readinessGatesText(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  return `${gates.filter((gate) => hasCondition(pod, gate.conditionType)).length}/${gates.length}`;
}

const done: Readonly<Record<string, readonly RowCondition[]>> = {
  Succeeded: [
    { type: 'Completed', status: 'True', reason: 'Succeeded', message: 'The pod has completed successfully.' },
  ],
  Failed: [{ type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' }],
};

export const podPrinter: Printer<Pod> = {
  columns: [
    nameColumn,
    column('Ready', 'Containers that are ready, of all.', (pod: Pod) => {
      const { ready, total } = summarizePod(pod);
      return `${ready}/${total}`;
    }),
    column('Status', 'What the containers are doing, taken together.', (pod: Pod) => summarizePod(pod).status),
    column('Restarts', 'How often containers were started again, and when last.', restartsText),
    ageColumn,
    column(
      'IP',
      'Address of the pod.',
      (pod: Pod) => pod.status?.podIPs?.[0]?.ip || pod.status?.podIP || '<none>',
      wide,
    ),
    column('Node', 'Node the pod is bound to.', (pod: Pod) => pod.spec?.nodeName || '<none>', wide),
    column(
      'Nominated Node',
      'Node kept free for the pod by preemption.',
      (pod: Pod) => pod.status?.nominatedNodeName || '<none>',
      wide,
    ),
    column('Readiness Gates', 'Readiness gates that are open, of all.', readinessGatesText, wide),
  ],
  conditions: (pod) => (Object.hasOwn(done, pod.status?.phase ?? '') ? done[pod.status!.phase!] : undefined),
};
