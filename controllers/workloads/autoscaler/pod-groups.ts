import { conditionOf, isDeleting } from '@trimtab/framework';
import type { Pod } from '@trimtab/machinery';
import type { Sample } from './readings.js';

/** So long after its start a pod's use of cpu is taken for initialization (kube-controller-manager: cpu-initialization-period). */
const CPU_INITIALIZATION_MS = 300_000;
/** So long after its start a pod that is not ready has not been so before (…: initial-readiness-delay). */
const INITIAL_READINESS_MS = 30_000;

/** What a target's pods tell of a metric. */
export interface PodGroups {
  /** Readings that count, by the pod's name. */
  readonly measured: ReadonlyMap<string, number>;
  /** Pods whose reading says nothing yet. */
  readonly unready: readonly string[];
  /** Pods without a reading. */
  readonly missing: readonly string[];
}

/** Pods that are going or have failed count for nothing; those that are not ready yet, only when more are needed. */
export function groupPods(
  pods: readonly Pod[],
  samples: readonly Sample[],
  metric: { readonly isCpu: boolean },
  now: number,
): PodGroups {
  const known = new Map(samples.map((sample) => [sample.pod, sample]));
  const measured = new Map<string, number>();
  const unready: string[] = [];
  const missing: string[] = [];
  for (const pod of pods) {
    const name = pod.metadata.name!;
    if (isDeleting(pod) || pod.status?.phase === 'Failed') continue;
    const sample = known.get(name);
    if (pod.status?.phase === 'Pending') unready.push(name);
    else if (!sample) missing.push(name);
    else if (metric.isCpu && isStarting(pod, sample, now)) unready.push(name);
    else measured.set(name, sample.value);
  }
  return { measured, unready, missing };
}

function isStarting({ status }: Pod, { at, windowMs }: Sample, now: number): boolean {
  const ready = conditionOf(status?.conditions, 'Ready');
  if (!ready || !status?.startTime) return true;
  const started = Date.parse(status.startTime);
  const turned = Date.parse(ready.lastTransitionTime ?? '') || 0;
  if (started + CPU_INITIALIZATION_MS > now) return ready.status === 'False' || at < turned + windowMs;
  return ready.status === 'False' && started + INITIAL_READINESS_MS > turned;
}
