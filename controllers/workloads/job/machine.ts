import { isDeleting, type View } from '@trimtab/framework';
import { type Job, joinKey, type Pod, Pods } from '@trimtab/machinery';
import { setup } from 'xstate';
import {
  claimPods,
  createPods,
  dismiss,
  expire,
  finish,
  lookAgain,
  release,
  releaseAll,
  releaseCounted,
  report,
  stopActive,
} from './effects.js';
import { JOB_CONTROLLER, type JobFacts, jobFacts } from './facts.js';
import { isFinished } from './verdict.js';

interface Context {
  readonly facts: JobFacts | undefined;
  /** Uncounted pods of a Job of this name that is gone. */
  readonly abandoned: readonly Pod[];
}

const given =
  <R>(decide: (facts: JobFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

function abandonedPods(view: View<Job>): readonly Pod[] {
  return view
    .byIndex(Pods, 'trackedBy', joinKey(view.key))
    .filter(({ metadata }) => !metadata.ownerReferences?.some(({ uid }) => uid === view.object?.metadata.uid));
}

/**
 * Where a Job stands. In every state that has pods their ends are counted; pods are made and dismissed only while nothing
 * is decided; a decision is on record before its consequences, and final when no pod is left.
 */
export const jobMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<Job> } },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    managedElsewhere: given(({ job }) => (job.spec?.managedBy ?? JOB_CONTROLLER) !== JOB_CONTROLLER),
    deleting: given(({ job }) => isDeleting(job)),
    finished: given(({ job }) => isFinished(job)),
    claims: given(({ claims }) => claims.adopted.length + claims.released.length > 0),
    finishable: given(
      ({ job, verdict, empty }) =>
        verdict !== undefined &&
        empty &&
        job.status?.conditions?.some(({ reason, status }) => reason === verdict.reason && status === 'True') === true,
    ),
    decided: given(({ verdict }) => verdict !== undefined),
    suspended: given(({ job }) => job.spec?.suspend === true),
    surplus: given(({ crew }) => crew.dismiss.length > 0),
    missing: given(({ crew }) => crew.make.length > 0),
    backingOff: given(({ crew }) => crew.waitMs !== undefined),
  },
  actions: {
    releaseAbandoned: ({ context }) => release(context.abandoned),
    claimPods: given(claimPods),
    report: given(report),
    releaseCounted: given(releaseCounted),
    releaseAll: given(releaseAll),
    createPods: given(createPods),
    dismiss: given(dismiss),
    stopActive: given(stopActive),
    finish: given(finish),
    expire: given(expire),
    lookAgain: given(lookAgain),
  },
}).createMachine({
  id: 'job',
  context: ({ input }) => ({ facts: jobFacts(input.view), abandoned: abandonedPods(input.view) }),
  entry: 'releaseAbandoned',
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'managedElsewhere', target: 'managedElsewhere' },
        { guard: 'deleting', target: 'deleting' },
        { guard: 'finished', target: 'finished' },
        { guard: 'claims', target: 'claiming' },
        { guard: 'finishable', target: 'finishing' },
        { guard: 'decided', target: 'stopping' },
        { guard: 'suspended', target: 'suspended' },
        { guard: 'surplus', target: 'shrinking' },
        { guard: 'missing', target: 'growing' },
        { guard: 'backingOff', target: 'backingOff' },
        { target: 'running' },
      ],
    },
    gone: {},
    managedElsewhere: {},
    deleting: { entry: ['report', 'releaseCounted'] },
    finished: { entry: ['releaseAll', 'expire'] },
    claiming: { entry: 'claimPods' },
    finishing: { entry: 'finish' },
    stopping: { entry: ['report', 'releaseCounted', 'stopActive'] },
    suspended: { entry: ['report', 'releaseCounted', 'dismiss'] },
    shrinking: { entry: ['report', 'releaseCounted', 'dismiss', 'lookAgain'] },
    growing: { entry: ['report', 'releaseCounted', 'createPods', 'lookAgain'] },
    backingOff: { entry: ['report', 'releaseCounted', 'lookAgain'] },
    running: { entry: ['report', 'releaseCounted', 'lookAgain'] },
  },
});
