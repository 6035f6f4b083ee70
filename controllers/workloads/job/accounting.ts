import type { Job, Pod } from '@trimtab/machinery';
import { indexesText, parseIndexes } from './index-set.js';
import { indexFailures, indexOf, isFailed, isIndexed, isPerIndex, isSucceeded, isTracked } from './job-pod.js';
import { failureRuling } from './policies.js';

/**
 * How many pods have ended how (kubernetes: trackJobStatusAndRemoveFinalizers). An end is counted in three steps, each
 * safe to repeat: the pod's uid goes among the uncounted; its finalizer goes; the uid gives way to a number. So a crash
 * between any two neither loses a pod nor counts it twice. Indexes are a set and need no uids.
 */
export interface Accounting {
  /** The status fields as they have to be before {@link release} may begin. */
  readonly status: Pick<
    NonNullable<Job['status']>,
    'succeeded' | 'failed' | 'uncountedTerminatedPods' | 'completedIndexes' | 'failedIndexes'
  >;
  /** Pods whose finalizer may go once that status is written. */
  readonly release: readonly Pod[];
  /** With those not yet turned into numbers. */
  readonly succeeded: number;
  readonly failed: number;
  readonly completedIndexes: ReadonlySet<number>;
  readonly failedIndexes: ReadonlySet<number>;
  /** Every end is a number, and nothing is left to count. */
  readonly settled: boolean;
}

export function accountingOf(job: Job, pods: readonly Pod[], ending: boolean): Accounting {
  const { status } = job;
  const indexed = isIndexed(job);
  const completions = job.spec?.completions ?? 0;
  const tracked = pods.filter(isTracked);
  const present = new Set(tracked.map((pod) => pod.metadata.uid!));
  const uncounted = status?.uncountedTerminatedPods ?? {};
  const open = (uids: readonly string[] = []) => uids.filter((uid) => present.has(uid));
  const done = (uids: readonly string[] = []) => uids.filter((uid) => !present.has(uid)).length;

  const successes = tracked.filter(isSucceeded);
  const completed = new Set(indexed ? parseIndexes(status?.completedIndexes, completions) : []);
  if (indexed) for (const pod of successes) addIndex(completed, pod, completions);
  const failures = tracked.filter((pod) => isFailed(pod, job));
  const failedIndexes = new Set(isPerIndex(job) ? parseIndexes(status?.failedIndexes, completions) : []);
  if (isPerIndex(job))
    for (const pod of failures) if (isLastChance(job, pod)) addIndex(failedIndexes, pod, completions);
  for (const index of completed) failedIndexes.delete(index);

  const kept = ending ? new Set<Pod>() : memories(job, pods, failures, completed, failedIndexes);
  const countable = failures.filter((pod) => !kept.has(pod) && failureRuling(job, pod).action !== 'Ignore');
  const succeededUids = indexed ? [] : union(open(uncounted.succeeded), successes);
  const failedUids = union(open(uncounted.failed), countable);
  const succeeded = indexed ? completed.size : (status?.succeeded ?? 0) + done(uncounted.succeeded);
  const failed = (status?.failed ?? 0) + done(uncounted.failed);
  const release = [...successes, ...failures.filter((pod) => !kept.has(pod))];
  return {
    status: {
      succeeded: some(succeeded),
      failed: some(failed),
      uncountedTerminatedPods: {
        ...(succeededUids.length > 0 ? { succeeded: succeededUids } : {}),
        ...(failedUids.length > 0 ? { failed: failedUids } : {}),
      },
      ...(indexed ? { completedIndexes: indexesText(completed) || undefined } : {}),
      ...(isPerIndex(job) ? { failedIndexes: indexesText(failedIndexes) } : {}),
    },
    release,
    succeeded: succeeded + succeededUids.length,
    failed: failed + failedUids.length,
    completedIndexes: completed,
    failedIndexes,
    settled: release.length + succeededUids.length + failedUids.length === 0,
  };
}

/** No attempt is left for its index after this one. */
function isLastChance(job: Job, pod: Pod): boolean {
  const { action } = failureRuling(job, pod);
  return action === 'FailIndex' || (action !== 'Ignore' && indexFailures(pod) >= (job.spec?.backoffLimitPerIndex ?? 0));
}

/**
 * The failed pods that tell how often their index has failed. Each stays as it is until its successor, which is told, is
 * there: otherwise a pod deleted in between would give its index another chance.
 */
function memories(
  job: Job,
  pods: readonly Pod[],
  failures: readonly Pod[],
  completed: ReadonlySet<number>,
  failedIndexes: ReadonlySet<number>,
): ReadonlySet<Pod> {
  const kept = new Set<Pod>();
  if (!isPerIndex(job)) return kept;
  const completions = job.spec?.completions ?? 0;
  const failed = new Set(failures);
  for (const pod of failures) {
    const index = indexOf(pod, completions);
    if (index === undefined || completed.has(index) || failedIndexes.has(index)) continue;
    const succeededBy = pods.some(
      (other) =>
        other !== pod &&
        indexOf(other, completions) === index &&
        (indexFailures(other) > indexFailures(pod) ||
          (indexFailures(other) === indexFailures(pod) && !failed.has(other) && isTracked(other))),
    );
    if (!succeededBy) kept.add(pod);
  }
  return kept;
}

function addIndex(into: Set<number>, pod: Pod, completions: number): void {
  const index = indexOf(pod, completions);
  if (index !== undefined) into.add(index);
}

const union = (uids: readonly string[], pods: readonly Pod[]): readonly string[] => [
  ...new Set([...uids, ...pods.map((pod) => pod.metadata.uid!)]),
];

/** Zero is written by leaving it out, as Go does. */
const some = (count: number): number | undefined => (count === 0 ? undefined : count);
