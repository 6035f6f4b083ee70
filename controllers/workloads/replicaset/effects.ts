import {
  changeTo,
  concurrently,
  controllerReference,
  create,
  type Effect,
  remove,
  requeueAfter,
  slowStart,
} from '@trimtab/framework';
import { type Pod, Pods, type ReplicaSet, ReplicaSets } from '@trimtab/machinery';
import { claimEffects } from '../claims.js';
import type { ReplicaSetFacts } from './facts.js';

export const adoptAndRelease = ({ replicaSet, claims }: ReplicaSetFacts): readonly Effect[] =>
  claimEffects(ReplicaSets, replicaSet, Pods, claims);

export const createPods = ({ replicaSet, missing }: ReplicaSetFacts): readonly Effect[] =>
  slowStart(
    Array.from({ length: missing }, () =>
      create(Pods, podFrom(replicaSet), {
        regarding: replicaSet,
        done: { reason: 'SuccessfulCreate', message: 'Created pod: {name}' },
        failed: { reason: 'FailedCreate', message: 'Error creating: {error}' },
      }),
    ),
  );

export const deletePods = ({ replicaSet, surplus }: ReplicaSetFacts): readonly Effect[] =>
  concurrently(
    surplus.map((pod) =>
      remove(Pods, pod, {
        announce: {
          regarding: replicaSet,
          done: { reason: 'SuccessfulDelete', message: 'Deleted pod: {name}' },
          failed: { reason: 'FailedDelete', message: 'Error deleting: {error}' },
        },
      }),
    ),
  );

export const reportStatus = ({ replicaSet, status }: ReplicaSetFacts): readonly Effect[] =>
  changeTo(
    ReplicaSets,
    replicaSet,
    { ...replicaSet, status: { ...replicaSet.status, ...status } },
    { subresource: 'status' },
  );

/** A clock that stands a little behind must not find the pod one instant short of available. */
const SLACK_MS = 10;

export const lookAgain = ({ nextAvailableIn }: ReplicaSetFacts): readonly Effect[] =>
  nextAvailableIn === undefined ? [] : [requeueAfter(nextAvailableIn + SLACK_MS)];

function podFrom(replicaSet: ReplicaSet): Pod {
  const { metadata, spec } = replicaSet.spec?.template ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${replicaSet.metadata.name}-`,
      namespace: replicaSet.metadata.namespace,
      ...(metadata?.labels ? { labels: metadata.labels } : {}),
      ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
      ...(metadata?.finalizers ? { finalizers: metadata.finalizers } : {}),
      ownerReferences: [controllerReference(ReplicaSets, replicaSet)],
    },
    spec: spec ?? { containers: [] },
  };
}
