import type { Job, Pod } from '@trimtab/machinery';
import { rankForDeletion } from '../replicaset/ranking.js';
import type { Accounting } from './accounting.js';
import {
  finishedAt,
  indexFailures,
  indexOf,
  isFailed,
  isIndexed,
  isPerIndex,
  isSucceeded,
  isTerminating,
  isTracked,
  type PodPlan,
  waitsForEnd,
} from './job-pod.js';
import { failureRuling } from './policies.js';

/** At most this many pods are made or removed at a time. */
export const BURST = 500;

const BASE_MS = 10_000;
const CAP_MS = 600_000;

/** The pods that are to be made and removed now (kubernetes: manageJob). */
export interface Crew {
  readonly make: readonly PodPlan[];
  /** Ended early without having failed: they are not counted. */
  readonly dismiss: readonly Pod[];
  /** Milliseconds until failed pods may be replaced. */
  readonly waitMs: number | undefined;
}

export interface CrewRules {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly active: readonly Pod[];
  readonly accounting: Accounting;
  readonly now: number;
}

export function crewOf(rules: CrewRules): Crew {
  const { job, pods, active, accounting, now } = rules;
  if (job.spec?.suspend) return { make: [], dismiss: active.slice(0, BURST), waitMs: undefined };
  const misfits = misfitsOf(job, active);
  const fit = active.filter((pod) => !misfits.includes(pod));
  const wanted = wantedActive(job, fit.length, accounting);
  const surplus = fit.length > wanted ? rankForDeletion(fit, fit, now).slice(0, fit.length - wanted) : [];
  const dismiss = [...misfits, ...surplus].slice(0, BURST);
  const terminating = waitsForEnd(job) ? pods.filter(isTerminating).length : 0;
  const missing = Math.min(BURST, wanted - fit.length - terminating);
  if (missing <= 0 || dismiss.length > 0) return { make: [], dismiss, waitMs: undefined };
  if (isPerIndex(job)) return indexesDue(rules, missing);
  const waitMs = patience(pods, job) - now;
  if (waitMs > 0) return { make: [], dismiss, waitMs };
  const plans = isIndexed(job)
    ? pendingIndexes(rules)
        .slice(0, missing)
        .map((index) => ({ index }))
    : Array.from({ length: missing }, () => ({}));
  return { make: plans, dismiss, waitMs: undefined };
}

function wantedActive(job: Job, active: number, { succeeded, failedIndexes }: Accounting): number {
  const { completions, parallelism = 1 } = job.spec ?? {};
  // Without a number to reach, one success ends it: those at work may finish, nobody joins them.
  if (completions === undefined) return succeeded > 0 ? Math.min(active, parallelism) : parallelism;
  return Math.max(0, Math.min(parallelism, completions - succeeded - failedIndexes.size));
}

/** Those that lost their finalizer on the way to being dismissed, and those with no index, or somebody else's. */
function misfitsOf(job: Job, active: readonly Pod[]): readonly Pod[] {
  const seen = new Set<number>();
  return active.filter((pod) => {
    if (!isTracked(pod)) return true;
    if (!isIndexed(job)) return false;
    const index = indexOf(pod, job.spec?.completions ?? 0);
    if (index === undefined || seen.has(index)) return true;
    seen.add(index);
    return false;
  });
}

function pendingIndexes({ job, pods, active, accounting }: CrewRules): readonly number[] {
  const completions = job.spec?.completions ?? 0;
  const taken = new Set<number | undefined>(active.map((pod) => indexOf(pod, completions)));
  if (waitsForEnd(job)) for (const pod of pods.filter(isTerminating)) taken.add(indexOf(pod, completions));
  const { completedIndexes, failedIndexes } = accounting;
  return Array.from({ length: completions }, (_, index) => index).filter(
    (index) => !taken.has(index) && !completedIndexes.has(index) && !failedIndexes.has(index),
  );
}

/** Each index waits for itself, and its pod is told how often it has failed. */
function indexesDue(rules: CrewRules, missing: number): Crew {
  const { job, pods, now } = rules;
  const completions = job.spec?.completions ?? 0;
  const make: PodPlan[] = [];
  let waitMs: number | undefined;
  for (const index of pendingIndexes(rules)) {
    if (make.length >= missing) break;
    const failed = pods.filter((pod) => indexOf(pod, completions) === index && isFailed(pod, job));
    const counted = failed.filter((pod) => failureRuling(job, pod).action !== 'Ignore');
    const failures = Math.max(0, ...failed.map(indexFailures), ...counted.map((pod) => indexFailures(pod) + 1));
    const last = Math.max(0, ...failed.map(finishedAt));
    const left = failed.length > 0 ? last + delay(Math.max(1, failures)) - now : 0;
    if (left > 0) waitMs = Math.min(waitMs ?? left, left);
    else make.push({ index, failures });
  }
  return { make, dismiss: [], waitMs };
}

/** When the next pod may be made: the failures since the last success say how long after the last of them. */
function patience(pods: readonly Pod[], job: Job): number {
  const succeededAt = Math.max(0, ...pods.filter(isSucceeded).map(finishedAt));
  const failures = pods.filter((pod) => isFailed(pod, job) && wasCountable(pod, job)).map(finishedAt);
  const since = failures.filter((at) => at > succeededAt);
  return since.length === 0 ? 0 : Math.max(...since) + delay(since.length);
}

/** One that was dismissed has no finalizer and is still going; it has failed nobody. */
const wasCountable = (pod: Pod, job: Job): boolean =>
  (isTracked(pod) || pod.status?.phase === 'Failed') && failureRuling(job, pod).action !== 'Ignore';

const delay = (failures: number): number => Math.min(BASE_MS * 2 ** (failures - 1), CAP_MS);
