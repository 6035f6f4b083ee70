import { conditionOf, controllerOf, isDeleting, type View, withCondition } from '@trimtab/framework';
import { type Job, type JobCondition, type Pod, Pods, timestamp } from '@trimtab/machinery';
import { type Claims, claim, workloadSelector } from '../claims.js';
import { isActive, isReady } from '../pods.js';
import { type Accounting, accountingOf } from './accounting.js';
import { type Crew, crewOf } from './crew.js';
import { isTerminating, isTracked } from './job-pod.js';
import { FAILURE_INTENDED, finishedCondition, SUCCESS_INTENDED, type Verdict, verdictOf } from './verdict.js';

export const JOB_CONTROLLER = 'kubernetes.io/job-controller';

/** All that a Job's next step depends on. */
export interface JobFacts {
  readonly job: Job;
  readonly claims: Claims<Pod>;
  readonly pods: readonly Pod[];
  readonly active: readonly Pod[];
  /** Pods not counted yet. */
  readonly tracked: readonly Pod[];
  readonly accounting: Accounting;
  readonly verdict: Verdict | undefined;
  /** No pod of it runs any more and every end is counted. */
  readonly empty: boolean;
  readonly crew: Crew;
  readonly status: NonNullable<Job['status']>;
  /** Milliseconds until the deadline; undefined without one. */
  readonly deadlineIn: number | undefined;
  /** Milliseconds until a finished Job is to be deleted; undefined when it is to be kept. */
  readonly expiresIn: number | undefined;
  readonly now: number;
}

export function jobFacts(view: View<Job>): JobFacts | undefined {
  const job = view.object;
  if (!job?.spec) return undefined;
  const { now } = view;
  const orphans = view.byIndex(Pods, 'uncontrolled', job.metadata.namespace ?? '').filter((pod) => !controllerOf(pod));
  const claims = claim(job, workloadSelector(job.spec.selector), [...view.owned(Pods), ...orphans]);
  const pods = claims.owned;
  const active = pods.filter(isActive);
  const tracked = pods.filter(isTracked);
  const deadlineIn = deadlineOf(job, now);
  const judge = (accounting: Accounting) => verdictOf({ job, pods, accounting, active, deadlineIn });
  const first = accountingOf(job, pods, isDeleting(job));
  const verdict = judge(first);
  const accounting = verdict && !isDeleting(job) ? accountingOf(job, pods, true) : first;
  return {
    job,
    claims,
    pods,
    active,
    tracked,
    accounting,
    verdict,
    empty: active.length === 0 && !pods.some(isTerminating) && accounting.settled,
    crew: crewOf({ job, pods, active, accounting, now }),
    status: statusOf(job, pods, active, accounting, verdict, now),
    deadlineIn,
    expiresIn: expiryOf(job, now),
    now,
  };
}

/** Time that a Job is suspended does not count: it gets a new start when it goes on. */
function deadlineOf({ spec, status }: Job, now: number): number | undefined {
  if (spec?.activeDeadlineSeconds === undefined || spec.suspend === true || !status?.startTime) return undefined;
  if (conditionOf(status.conditions, 'Suspended')?.status === 'True') return undefined;
  return Date.parse(status.startTime) + spec.activeDeadlineSeconds * 1000 - now;
}

function expiryOf(job: Job, now: number): number | undefined {
  const finished = finishedCondition(job)?.lastTransitionTime;
  const { ttlSecondsAfterFinished } = job.spec ?? {};
  if (ttlSecondsAfterFinished === undefined || !finished) return undefined;
  return Date.parse(finished) + ttlSecondsAfterFinished * 1000 - now;
}

function statusOf(
  job: Job,
  pods: readonly Pod[],
  active: readonly Pod[],
  accounting: Accounting,
  verdict: Verdict | undefined,
  now: number,
): NonNullable<Job['status']> {
  const suspended = job.spec?.suspend === true;
  const wasSuspended = conditionOf(job.status?.conditions, 'Suspended')?.status === 'True';
  const resumes = wasSuspended && !suspended;
  const startTime = resumes || (!suspended && !job.status?.startTime) ? timestamp(now) : job.status?.startTime;
  const conditions = verdict
    ? intended(job, verdict, now)
    : suspended
      ? set(job, { type: 'Suspended', status: 'True', reason: 'JobSuspended', message: 'Job suspended' }, now)
      : resumes
        ? set(job, { type: 'Suspended', status: 'False', reason: 'JobResumed', message: 'Job resumed' }, now)
        : job.status?.conditions;
  return {
    ...job.status,
    ...accounting.status,
    active: active.length === 0 ? undefined : active.length,
    ready: active.filter(isReady).length,
    terminating: pods.filter(isTerminating).length,
    ...(startTime ? { startTime } : {}),
    ...(conditions ? { conditions } : {}),
  };
}

const intended = (job: Job, { success, reason, message }: Verdict, now: number) =>
  set(job, { type: success ? SUCCESS_INTENDED : FAILURE_INTENDED, status: 'True', reason, message }, now);

export function set(job: Job, condition: JobCondition, now: number): readonly JobCondition[] {
  const { conditions } = job.status ?? {};
  if (conditionOf(conditions, condition.type)?.status === condition.status) return conditions!;
  return withCondition(conditions, { ...condition, lastProbeTime: timestamp(now) }, now);
}
