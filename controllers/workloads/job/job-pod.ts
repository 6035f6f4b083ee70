import { controllerReference, isDeleting } from '@trimtab/framework';
import { type Container, type EnvVar, type Job, Jobs, type Pod } from '@trimtab/machinery';
import { isTerminal } from '../pods.js';

/** What makes a pod one of a Job, and what it has come to (kubernetes: pkg/controller/job). */

export const JOB_TRACKING = 'batch.kubernetes.io/job-tracking';
export const COMPLETION_INDEX = 'batch.kubernetes.io/job-completion-index';
export const INDEX_FAILURES = 'batch.kubernetes.io/job-index-failure-count';

export const isIndexed = (job: Job): boolean => job.spec?.completionMode === 'Indexed';
export const isPerIndex = (job: Job): boolean => isIndexed(job) && job.spec?.backoffLimitPerIndex !== undefined;

/** A pod that is going is replaced at once, unless the Job wants to see first how it ends. */
export const waitsForEnd = (job: Job): boolean =>
  job.spec?.podReplacementPolicy === 'Failed' ||
  (job.spec?.podReplacementPolicy === undefined && job.spec?.podFailurePolicy !== undefined);

/** Not counted yet: only then may its end be. */
export const isTracked = (pod: Pod): boolean => pod.metadata.finalizers?.includes(JOB_TRACKING) === true;

export const isSucceeded = (pod: Pod): boolean => pod.status?.phase === 'Succeeded';

/** Without a grace period nobody is left to say how a pod ended. */
const isBeyond = (pod: Pod): boolean => isDeleting(pod) && pod.metadata.deletionGracePeriodSeconds === 0;

export function isFailed(pod: Pod, job: Job): boolean {
  if (isSucceeded(pod)) return false;
  return pod.status?.phase === 'Failed' || isBeyond(pod) || (isDeleting(pod) && !waitsForEnd(job));
}

export const isTerminating = (pod: Pod): boolean => isDeleting(pod) && !isTerminal(pod) && !isBeyond(pod);

/** Undefined for what is no index of this Job. */
export function indexOf(pod: Pod, completions: number): number | undefined {
  const text = pod.metadata.annotations?.[COMPLETION_INDEX] ?? '';
  const index = /^\d+$/.test(text) ? Number(text) : undefined;
  return index !== undefined && index < completions ? index : undefined;
}

export const indexFailures = (pod: Pod): number => Number(pod.metadata.annotations?.[INDEX_FAILURES] ?? '0') || 0;

/** Milliseconds since the epoch. */
export function finishedAt(pod: Pod): number {
  const { status, metadata } = pod;
  const ends = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].flatMap(({ state }) =>
    state?.terminated?.finishedAt ? [Date.parse(state.terminated.finishedAt)] : [],
  );
  if (ends.length > 0) return Math.max(...ends);
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
  return Date.parse(ready ?? metadata.deletionTimestamp ?? metadata.creationTimestamp ?? '') || 0;
}

export interface PodPlan {
  /** Of an Indexed Job. */
  readonly index?: number;
  /** How often this index has failed before, where that is limited. */
  readonly failures?: number;
}

export function jobPod(job: Job, { index, failures }: PodPlan): Pod {
  const { metadata, spec } = job.spec!.template;
  const name = job.metadata.name!;
  const own: Record<string, string> = index === undefined ? {} : { [COMPLETION_INDEX]: String(index) };
  const annotations = {
    ...metadata?.annotations,
    ...own,
    ...(failures === undefined ? {} : { [INDEX_FAILURES]: String(failures) }),
  };
  const labels = { ...metadata?.labels, ...own };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: index === undefined ? `${name}-` : `${name}-${index}-`,
      namespace: job.metadata.namespace,
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      finalizers: [...(metadata?.finalizers ?? []), JOB_TRACKING],
      ownerReferences: [controllerReference(Jobs, job)],
    },
    spec: {
      ...spec,
      ...(index === undefined ? {} : { hostname: `${name}-${index}` }),
      ...(index === undefined || !spec?.initContainers
        ? {}
        : { initContainers: spec.initContainers.map(withCompletionIndex) }),
      containers: (spec?.containers ?? []).map((each) => (index === undefined ? each : withCompletionIndex(each))),
    },
  };
}

const ENV: EnvVar = {
  name: 'JOB_COMPLETION_INDEX',
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: `metadata.labels['${COMPLETION_INDEX}']` } },
};

const withCompletionIndex = (container: Container): Container =>
  container.env?.some(({ name }) => name === ENV.name)
    ? container
    : { ...container, env: [...(container.env ?? []), ENV] };
