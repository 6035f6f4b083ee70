import type { ContainerStatus, PodSpec } from '@trimtab/machinery';
import type { PodPhase } from './api.js';

interface Tally {
  waiting: number;
  running: number;
  stopped: number;
  succeeded: number;
  unknown: number;
}

/**
 * The phase of a pod from its containers' statuses, as Kubernetes' kubelet derives it. Sidecars do not count. `ended`: the
 * pod will start nothing more.
 */
export function podPhase(
  spec: PodSpec,
  statuses: readonly ContainerStatus[],
  initStatuses: readonly ContainerStatus[],
  ended: boolean,
): PodPhase {
  const init = tallyInit(spec, initStatuses);
  const main = tallyMain(spec, statuses);
  const started = main.running > 0 || main.stopped > 0;
  if (init.failed > 0 && (ended || (spec.restartPolicy === 'Never' && !started))) return 'Failed';
  if (init.pending > 0 && !started) return 'Pending';
  if (main.waiting > 0) return 'Pending';
  if (main.unknown > 0) return 'Pending';
  if (main.running > 0) return 'Running';
  if (main.stopped === 0) return 'Pending';
  const allGood = main.succeeded === main.stopped;
  if (ended) return allGood ? 'Succeeded' : 'Failed';
  if ((spec.restartPolicy ?? 'Always') === 'Always') return 'Running';
  if (allGood) return 'Succeeded';
  return spec.restartPolicy === 'Never' ? 'Failed' : 'Running';
}

function tallyInit(spec: PodSpec, statuses: readonly ContainerStatus[]): { pending: number; failed: number } {
  const tally = { pending: 0, failed: 0 };
  for (const c of spec.initContainers ?? []) {
    const status = statuses.find((s) => s.name === c.name);
    if (c.restartPolicy === 'Always') {
      if (!status?.started && !status?.lastState?.terminated && !status?.state?.terminated) tally.pending++;
      continue;
    }
    const ended = status?.state?.terminated ?? (status?.state?.waiting ? status.lastState?.terminated : undefined);
    if (!ended) tally.pending++;
    else if (ended.exitCode !== 0) tally.failed++;
  }
  if (tally.failed > 0) tally.pending++;
  return tally;
}

function tallyMain(spec: PodSpec, statuses: readonly ContainerStatus[]): Tally {
  const tally: Tally = { waiting: 0, running: 0, stopped: 0, succeeded: 0, unknown: 0 };
  for (const c of spec.containers) {
    const status = statuses.find((s) => s.name === c.name);
    if (status?.state?.running) tally.running++;
    else if (status?.state?.terminated) {
      tally.stopped++;
      if (status.state.terminated.exitCode === 0) tally.succeeded++;
    } else if (status?.state?.waiting) {
      if (status.lastState?.terminated) tally.stopped++;
      else tally.waiting++;
    } else tally.unknown++;
  }
  return tally;
}
