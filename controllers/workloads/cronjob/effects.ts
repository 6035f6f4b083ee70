import { changeTo, concurrently, create, type Effect, event, remove, requeueAfter } from '@trimtab/framework';
import { CronJobs, type Job, Jobs, timestamp } from '@trimtab/machinery';
import { finishedCondition } from '../job/verdict.js';
import type { CronJobFacts } from './facts.js';

/** A clock that stands a little behind must not find the run one instant ahead. */
const SLACK_MS = 100;

/** What has become of the Jobs of earlier runs. */
export function report({ cronJob, status, ended, lost, unknown }: CronJobFacts): readonly Effect[] {
  return [
    ...ended.map((job) => {
      const how = finishedCondition(job)!.type;
      return event(cronJob, 'Normal', 'SawCompletedJob', `Saw completed job: ${job.metadata.name}, condition: ${how}`);
    }),
    // One that was replaced was not lost.
    ...(cronJob.spec.concurrencyPolicy === 'Replace' ? [] : lost).map(({ name }) =>
      event(cronJob, 'Normal', 'MissingJob', `Active job went missing: ${name}`),
    ),
    ...unknown
      .filter((job) => job.metadata.annotations?.['cronjob.kubernetes.io/instantiate'] !== 'manual')
      .map((job) => {
        const message = `Saw a job that the controller did not create or forgot: ${job.metadata.name}`;
        return event(cronJob, 'Warning', 'UnexpectedJob', message);
      }),
    ...changeTo(CronJobs, cronJob, { ...cronJob, status: { ...cronJob.status, ...status } }, { subresource: 'status' }),
  ];
}

/** The status follows from the Job being there, so that a crash in between does not matter. */
export const startJob = ({ cronJob, wanting, due }: CronJobFacts): readonly Effect[] => [
  ...(due?.tooMany ? [event(cronJob, 'Warning', 'TooManyMissedTimes', TOO_MANY)] : []),
  create(Jobs, wanting!, {
    regarding: cronJob,
    done: { reason: 'SuccessfulCreate', message: 'Created job {name}' },
    failed: { reason: 'FailedCreate', message: 'Error creating job: {error}' },
  }),
];

const TOO_MANY = 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew';

export const replaceRunning = ({ cronJob, running }: CronJobFacts): readonly Effect[] => deleteJobs(cronJob, running);

export const forget = ({ cronJob, surplus }: CronJobFacts): readonly Effect[] => deleteJobs(cronJob, surplus);

const deleteJobs = (cronJob: CronJobFacts['cronJob'], jobs: readonly Job[]): readonly Effect[] =>
  concurrently(
    jobs.map((job) =>
      remove(Jobs, job, {
        propagationPolicy: 'Background',
        announce: {
          regarding: cronJob,
          done: { reason: 'SuccessfulDelete', message: 'Deleted job {name}' },
          failed: { reason: 'FailedDelete', message: 'Deleted job: {error}' },
        },
      }),
    ),
  );

export const refuse = ({ cronJob, unreadable }: CronJobFacts): readonly Effect[] => [
  event(cronJob, 'Warning', 'UnparseableSchedule', `unparseable schedule "${cronJob.spec.schedule}": ${unreadable}`),
];

export const tellLate = ({ cronJob, due }: CronJobFacts): readonly Effect[] => [
  event(cronJob, 'Warning', 'MissSchedule', `Missed scheduled time to start a job: ${timestamp(due!.at!)}`),
];

export const tellTaken = ({ cronJob, wanting }: CronJobFacts): readonly Effect[] => [
  event(
    cronJob,
    'Warning',
    'FailedCreate',
    `Error creating job: job ${wanting!.metadata.name} exists and is not this CronJob's`,
  ),
];

export const tellBusy = ({ cronJob }: CronJobFacts): readonly Effect[] => [
  event(
    cronJob,
    'Normal',
    'JobAlreadyActive',
    'Not starting job because prior execution is running and concurrency policy is Forbid',
  ),
];

export const lookAgain = ({ due, now }: CronJobFacts): readonly Effect[] =>
  due?.nextAt === undefined ? [] : [requeueAfter(due.nextAt - now + SLACK_MS)];
