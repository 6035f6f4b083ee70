import { conditionOf } from '@trimtab/framework';
import type { Job, Pod } from '@trimtab/machinery';
import type { Accounting } from './accounting.js';
import { isFailed, isPerIndex } from './job-pod.js';
import { failureRuling, successRuling } from './policies.js';

/** That a Job is over, and why. First an intention (`SuccessCriteriaMet`, `FailureTarget`); a fact when no pod is left. */
export interface Verdict {
  readonly success: boolean;
  readonly reason: string;
  readonly message: string;
}

export const SUCCESS_INTENDED = 'SuccessCriteriaMet';
export const FAILURE_INTENDED = 'FailureTarget';

/** What is to be judged; counts include what is not yet a number in the status. */
export interface Case {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly accounting: Accounting;
  readonly active: readonly Pod[];
  /** Milliseconds until the deadline; undefined without one. */
  readonly deadlineIn: number | undefined;
}

/** An intention once written stands. */
export function verdictOf(facts: Case): Verdict | undefined {
  return intention(facts.job) ?? failure(facts) ?? success(facts);
}

export const isFinished = (job: Job): boolean => finishedCondition(job) !== undefined;

export const finishedCondition = (job: Job) =>
  job.status?.conditions?.find(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True');

function intention({ status }: Job): Verdict | undefined {
  for (const type of [FAILURE_INTENDED, SUCCESS_INTENDED]) {
    const condition = conditionOf(status?.conditions, type);
    if (condition?.status === 'True')
      return { success: type === SUCCESS_INTENDED, reason: condition.reason ?? '', message: condition.message ?? '' };
  }
  return undefined;
}

function failure({ job, pods, accounting, active, deadlineIn }: Case): Verdict | undefined {
  const fail = (reason: string, message: string): Verdict => ({ success: false, reason, message });
  for (const pod of pods) {
    if (!isFailed(pod, job)) continue;
    const { action, message } = failureRuling(job, pod);
    if (action === 'FailJob') return fail('PodFailurePolicy', message);
  }
  if (accounting.failed > (job.spec?.backoffLimit ?? 6) || isPastRestarts(job, active))
    return fail('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  if (deadlineIn !== undefined && deadlineIn <= 0)
    return fail('DeadlineExceeded', 'Job was active longer than specified deadline');
  if (!isPerIndex(job)) return undefined;
  const { failedIndexes, completedIndexes } = accounting;
  if (job.spec?.maxFailedIndexes !== undefined && failedIndexes.size > job.spec.maxFailedIndexes)
    return fail('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes');
  if (failedIndexes.size > 0 && failedIndexes.size + completedIndexes.size >= (job.spec?.completions ?? 0))
    return fail('FailedIndexes', 'Job has failed indexes');
  return undefined;
}

/** Restarts in place count as failures do. */
function isPastRestarts(job: Job, active: readonly Pod[]): boolean {
  if (job.spec?.template.spec?.restartPolicy !== 'OnFailure') return false;
  let restarts = 0;
  for (const { status } of active)
    for (const { restartCount } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
      restarts += restartCount;
  const limit = job.spec?.backoffLimit ?? 6;
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

function success({ job, accounting, active }: Case): Verdict | undefined {
  const policy = successRuling(job, accounting.completedIndexes);
  if (policy) return { success: true, reason: 'SuccessPolicy', message: policy };
  const { completions } = job.spec ?? {};
  const reached =
    completions === undefined ? accounting.succeeded > 0 && active.length === 0 : accounting.succeeded >= completions;
  return reached
    ? { success: true, reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' }
    : undefined;
}
