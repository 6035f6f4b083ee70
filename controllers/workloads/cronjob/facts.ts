import { controllerReference, isControlledBy, isDeleting, type View } from '@trimtab/framework';
import { type CronJob, CronJobs, type Job, Jobs, type ObjectReference, timestamp } from '@trimtab/machinery';
import { finishedCondition, isFinished } from '../job/verdict.js';
import { type Due, dueOf } from './due.js';
import { zonedTimestamp } from './local-time.js';
import { parseSchedule } from './schedule.js';

const SCHEDULED_AT = 'batch.kubernetes.io/cronjob-scheduled-timestamp';

/** All that a CronJob's next step depends on. */
export interface CronJobFacts {
  readonly cronJob: CronJob;
  /** The Jobs the status calls active and that are. */
  readonly running: readonly Job[];
  /** Jobs the status calls active and that are over now, or gone. */
  readonly ended: readonly Job[];
  readonly lost: readonly ObjectReference[];
  /** Jobs that run and that the status does not know. */
  readonly unknown: readonly Job[];
  /** Finished Jobs beyond the limits, oldest first. */
  readonly surplus: readonly Job[];
  readonly due: Due | undefined;
  /** What is wrong with schedule or time zone. */
  readonly unreadable: string | undefined;
  /** The Job of the run that is due. */
  readonly wanting: Job | undefined;
  /** Somebody else's Job has its name. */
  readonly taken: boolean;
  /** It was made, and the status does not say so yet. */
  readonly made: Job | undefined;
  readonly lateBy: number;
  readonly status: NonNullable<CronJob['status']>;
  readonly now: number;
}

export function cronJobFacts(view: View<CronJob>): CronJobFacts | undefined {
  const cronJob = view.object;
  if (!cronJob) return undefined;
  const { now } = view;
  const jobs = view.owned(Jobs);
  const known = cronJob.status?.active ?? [];
  const isKnown = (job: Job) => known.some(({ uid }) => uid === job.metadata.uid);
  const running = jobs.filter((job) => !isFinished(job));
  const { due, unreadable } = dueNow(cronJob, now);
  const { namespace } = cronJob.metadata;
  const wanting = due?.at === undefined ? undefined : jobFor(cronJob, due.at);
  const occupant = wanting && view.get(Jobs, { namespace, name: wanting.metadata.name! });
  const made = occupant && isControlledBy(occupant, cronJob) ? occupant : undefined;
  return {
    cronJob,
    running: running.filter(isKnown),
    ended: jobs.filter((job) => isKnown(job) && isFinished(job)),
    lost: known.filter(({ uid }) => !jobs.some((job) => job.metadata.uid === uid)),
    unknown: running.filter((job) => !isKnown(job) && job !== made),
    surplus: isDeleting(cronJob) ? [] : surplusOf(cronJob, jobs),
    due,
    unreadable,
    wanting,
    taken: occupant !== undefined && !made,
    made,
    lateBy: due?.at === undefined ? 0 : now - due.at,
    status: statusOf(cronJob, jobs, made, due),
    now,
  };
}

function dueNow(cronJob: CronJob, now: number): { readonly due: Due | undefined; readonly unreadable?: string } {
  const { schedule, timeZone } = cronJob.spec;
  try {
    return { due: dueOf(cronJob, parseSchedule(schedule, timeZone), now) };
  } catch (error) {
    return { due: undefined, unreadable: error instanceof Error ? error.message : String(error) };
  }
}

/** Its name tells the minute it is for, so no run can be started twice. */
function jobFor(cronJob: CronJob, at: number): Job {
  const { metadata, spec } = cronJob.spec.jobTemplate;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${cronJob.metadata.name}-${Math.floor(at / 60_000)}`,
      namespace: cronJob.metadata.namespace,
      ...(metadata?.labels ? { labels: metadata.labels } : {}),
      annotations: { ...metadata?.annotations, [SCHEDULED_AT]: zonedTimestamp(at, cronJob.spec.timeZone) },
      ownerReferences: [controllerReference(CronJobs, cronJob)],
    },
    ...(spec ? { spec } : {}),
  };
}

function surplusOf(cronJob: CronJob, jobs: readonly Job[]): readonly Job[] {
  const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cronJob.spec;
  const over = (type: string, limit: number) =>
    jobs
      .filter((job) => finishedCondition(job)?.type === type && !isDeleting(job))
      .sort((a, b) => startOf(a) - startOf(b) || (a.metadata.name! < b.metadata.name! ? -1 : 1))
      .slice(0, -limit || undefined);
  return [...over('Complete', successfulJobsHistoryLimit), ...over('Failed', failedJobsHistoryLimit)];
}

const startOf = ({ status, metadata }: Job): number =>
  Date.parse(status?.startTime ?? metadata.creationTimestamp ?? '') || 0;

/** As it is once every Job seen is taken into account. */
function statusOf(
  cronJob: CronJob,
  jobs: readonly Job[],
  made: Job | undefined,
  due: Due | undefined,
): NonNullable<CronJob['status']> {
  const { active = [], lastSuccessfulTime, lastScheduleTime } = cronJob.status ?? {};
  const runs = (uid: string | undefined) => jobs.some((job) => job.metadata.uid === uid && !isFinished(job));
  const kept = active.filter(({ uid }) => runs(uid));
  const adds = made && !isFinished(made) && !kept.some(({ uid }) => uid === made.metadata.uid) ? [made] : [];
  const all = [...kept, ...adds.map(referenceTo)];
  const successes = jobs
    .filter((job) => finishedCondition(job)?.type === 'Complete' && job.status?.completionTime)
    .map((job) => job.status!.completionTime!);
  const lastSuccess = [...(lastSuccessfulTime ? [lastSuccessfulTime] : []), ...successes].sort().at(-1);
  const scheduled = made && due?.at !== undefined ? timestamp(due.at) : lastScheduleTime;
  return {
    active: all.length > 0 ? all : undefined,
    lastScheduleTime: scheduled,
    lastSuccessfulTime: lastSuccess,
  };
}

export const referenceTo = ({ metadata }: Job): ObjectReference => ({
  apiVersion: 'batch/v1',
  kind: Jobs.kind,
  name: metadata.name,
  namespace: metadata.namespace,
  uid: metadata.uid,
  resourceVersion: metadata.resourceVersion,
});
