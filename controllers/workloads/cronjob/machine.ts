import { isDeleting, type View } from '@trimtab/framework';
import type { CronJob } from '@trimtab/machinery';
import { setup } from 'xstate';
import {
  forget,
  lookAgain,
  refuse,
  replaceRunning,
  report,
  startJob,
  tellBusy,
  tellLate,
  tellTaken,
} from './effects.js';
import { type CronJobFacts, cronJobFacts } from './facts.js';

interface Context {
  readonly facts: CronJobFacts | undefined;
}

const given =
  <R>(decide: (facts: CronJobFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/**
 * Where a CronJob stands. A run is due until its Job is there; the status says so afterwards, and a Job that is there and
 * not in the status is put into it.
 */
export const cronJobMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<CronJob> } },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    deleting: given(({ cronJob }) => isDeleting(cronJob)),
    unreadable: given(({ unreadable }) => unreadable !== undefined),
    suspended: given(({ cronJob }) => cronJob.spec.suspend === true),
    due: given(({ wanting, made }) => wanting !== undefined && made === undefined),
    late: given(({ cronJob, lateBy }) => {
      const { startingDeadlineSeconds } = cronJob.spec;
      return startingDeadlineSeconds !== undefined && lateBy > startingDeadlineSeconds * 1000;
    }),
    taken: given(({ taken }) => taken),
    forbidden: given(({ cronJob, status }) => cronJob.spec.concurrencyPolicy === 'Forbid' && hasActive(status)),
    replaces: given(({ cronJob, status }) => cronJob.spec.concurrencyPolicy === 'Replace' && hasActive(status)),
  },
  actions: {
    report: given(report),
    refuse: given(refuse),
    tellLate: given(tellLate),
    tellTaken: given(tellTaken),
    tellBusy: given(tellBusy),
    startJob: given(startJob),
    replaceRunning: given(replaceRunning),
    forget: given(forget),
    lookAgain: given(lookAgain),
  },
}).createMachine({
  id: 'cronjob',
  context: ({ input }) => ({ facts: cronJobFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'deleting', target: 'deleting' },
        { guard: 'unreadable', target: 'refused' },
        { guard: 'suspended', target: 'suspended' },
        { guard: 'due', target: 'due' },
        { target: 'waiting' },
      ],
    },
    gone: {},
    deleting: { entry: 'report' },
    refused: { entry: ['report', 'refuse', 'forget'] },
    suspended: { entry: ['report', 'forget'] },
    due: {
      initial: 'deciding',
      states: {
        deciding: {
          always: [
            { guard: 'late', target: 'late' },
            { guard: 'taken', target: 'taken' },
            { guard: 'forbidden', target: 'busy' },
            { guard: 'replaces', target: 'replacing' },
            { target: 'starting' },
          ],
        },
        late: { entry: ['report', 'tellLate', 'forget', 'lookAgain'] },
        taken: { entry: ['report', 'tellTaken', 'forget', 'lookAgain'] },
        busy: { entry: ['report', 'tellBusy', 'forget', 'lookAgain'] },
        replacing: { entry: ['report', 'replaceRunning', 'startJob', 'lookAgain'] },
        starting: { entry: ['report', 'startJob', 'forget', 'lookAgain'] },
      },
    },
    waiting: { entry: ['report', 'forget', 'lookAgain'] },
  },
});

const hasActive = ({ active = [] }: NonNullable<CronJob['status']>): boolean => active.length > 0;
