import {
  change,
  changeTo,
  concurrently,
  conditionOf,
  confirm,
  controllerReference,
  create,
  type Effect,
  event,
  remove,
  requeueAfter,
  slowStart,
} from '@trimtab/framework';
import { type Job, type JobCondition, Jobs, type Pod, Pods, timestamp } from '@trimtab/machinery';
import { type JobFacts, set } from './facts.js';
import { JOB_TRACKING, jobPod } from './job-pod.js';

/** A clock that stands a little behind must not find a deadline one instant ahead. */
const SLACK_MS = 10;

/** The status comes before any finalizer goes: what is lost with a pod must be on record by then. */
export function report(facts: JobFacts): readonly Effect[] {
  const { job, status } = facts;
  const before = conditionOf(job.status?.conditions, 'Suspended')?.status;
  const after = conditionOf(status.conditions, 'Suspended')?.status;
  const turned = before !== after && !facts.verdict;
  return [
    ...(turned && after === 'True' ? [event(job, 'Normal', 'Suspended', 'Job suspended')] : []),
    ...(turned && after === 'False' ? [event(job, 'Normal', 'Resumed', 'Job resumed')] : []),
    ...writeStatus(job, status),
  ];
}

const writeStatus = (job: Job, status: NonNullable<Job['status']>): readonly Effect[] =>
  changeTo(Jobs, job, { ...job, status }, { subresource: 'status' });

export const releaseCounted = ({ accounting }: JobFacts): readonly Effect[] => release(accounting.release);

export const releaseAll = ({ tracked }: JobFacts): readonly Effect[] => release(tracked);

/** A pod taken in is one to count; one let go of is counted no more. */
export const claimPods = ({ job, claims }: JobFacts): readonly Effect[] => [
  // Adopting for a Job that is gone would hand the pod to the garbage collector.
  ...(claims.adopted.length > 0 ? [confirm(Jobs, job)] : []),
  ...claims.adopted.flatMap((pod) =>
    change(Pods, pod, (draft) => {
      const { ownerReferences = [], finalizers = [] } = pod.metadata;
      draft.metadata.ownerReferences = [...ownerReferences, controllerReference(Jobs, job)];
      draft.metadata.finalizers = [...new Set([...finalizers, JOB_TRACKING])];
    }),
  ),
  ...claims.released.flatMap((pod) =>
    change(Pods, pod, (draft) => {
      const owners = (pod.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== job.metadata.uid);
      const finalizers = (pod.metadata.finalizers ?? []).filter((finalizer) => finalizer !== JOB_TRACKING);
      draft.metadata.ownerReferences = owners.length > 0 ? owners : undefined;
      draft.metadata.finalizers = finalizers.length > 0 ? finalizers : undefined;
    }),
  ),
];

/** Lets go of pods whose end has been counted, or counts no more. */
export const release = (pods: readonly Pod[]): readonly Effect[] =>
  concurrently(
    pods.flatMap((pod) =>
      change(Pods, pod, (draft) => {
        const others = (pod.metadata.finalizers ?? []).filter((finalizer) => finalizer !== JOB_TRACKING);
        draft.metadata.finalizers = others.length > 0 ? others : undefined;
      }),
    ),
  );

/** Their finalizers go first, so that no end of theirs is counted. */
export const dismiss = ({ job, crew }: JobFacts): readonly Effect[] => [
  ...release(crew.dismiss),
  ...deletePods(job, crew.dismiss),
];

export const stopActive = ({ job, active }: JobFacts): readonly Effect[] => deletePods(job, active);

const deletePods = (job: Job, pods: readonly Pod[]): readonly Effect[] =>
  concurrently(
    pods.map((pod) =>
      remove(Pods, pod, {
        announce: {
          regarding: job,
          done: { reason: 'SuccessfulDelete', message: 'Deleted pod: {name}' },
          failed: { reason: 'FailedDelete', message: 'Error deleting: {error}' },
        },
      }),
    ),
  );

export const createPods = ({ job, crew }: JobFacts): readonly Effect[] =>
  slowStart(
    crew.make.map((plan) =>
      create(Pods, jobPod(job, plan), {
        regarding: job,
        done: { reason: 'SuccessfulCreate', message: 'Created pod: {name}' },
        failed: { reason: 'FailedCreate', message: 'Error creating: {error}' },
      }),
    ),
  );

/** The intention becomes a fact. */
export function finish({ job, status, verdict, now }: JobFacts): readonly Effect[] {
  const { success, reason, message } = verdict!;
  const condition: JobCondition = { type: success ? 'Complete' : 'Failed', status: 'True', reason, message };
  return [
    success ? event(job, 'Normal', 'Completed', 'Job completed') : event(job, 'Warning', reason, message),
    ...writeStatus(job, {
      ...status,
      conditions: set({ ...job, status }, condition, now),
      ...(success ? { completionTime: timestamp(now) } : {}),
    }),
  ];
}

export const lookAgain = ({ deadlineIn, crew }: JobFacts): readonly Effect[] => [
  ...(deadlineIn === undefined ? [] : [requeueAfter(deadlineIn + SLACK_MS)]),
  ...(crew.waitMs === undefined ? [] : [requeueAfter(crew.waitMs + SLACK_MS)]),
];

/** In the foreground: its pods are gone when it is. */
export function expire({ job, expiresIn }: JobFacts): readonly Effect[] {
  if (expiresIn === undefined) return [];
  return expiresIn > 0
    ? [requeueAfter(expiresIn + SLACK_MS)]
    : [remove(Jobs, job, { propagationPolicy: 'Foreground', resourceVersion: job.metadata.resourceVersion })];
}
