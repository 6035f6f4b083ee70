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
import { type Pod, Pods, type ReplicaSet } from '@trimtab/machinery';
import { claimEffects } from '../claims.js';
import type { ReplicaSetFacts, SetKind } from './facts.js';

export const adoptAndRelease = ({ kind, replicaSet, claims }: ReplicaSetFacts): readonly Effect[] =>
  claimEffects(kind.type, replicaSet, Pods, claims);

export const createPods = ({ kind, replicaSet, missing }: ReplicaSetFacts): readonly Effect[] =>
  slowStart(
    Array.from({ length: missing }, () =>
      create(Pods, podFrom(replicaSet, kind), {
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

export const reportStatus = ({ kind, replicaSet, status }: ReplicaSetFacts): readonly Effect[] =>
  changeTo(
    kind.type,
    replicaSet,
    { ...replicaSet, status: { ...replicaSet.status, ...status } },
    { subresource: 'status' },
  );

/** A clock that stands a little behind must not find the pod one instant short of available. */
const SLACK_MS = 10;

export const lookAgain = ({ nextAvailableIn }: ReplicaSetFacts): readonly Effect[] =>
  nextAvailableIn === undefined ? [] : [requeueAfter(nextAvailableIn + SLACK_MS)];

function podFrom(replicaSet: ReplicaSet, { type }: SetKind): Pod {
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
      ownerReferences: [controllerReference(type, replicaSet)],
    },
    spec: spec ?? { containers: [] },
  };
}
