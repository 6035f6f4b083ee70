import {
  change,
  changeTo,
  concurrently,
  create,
  type Effect,
  event,
  remove,
  requeueAfter,
  slowStart,
} from '@trimtab/framework';
import { ControllerRevisions, type DaemonSet, DaemonSets, type Pod, Pods } from '@trimtab/machinery';
import { claimEffects } from '../claims.js';
import { createRevision, forgetRevisions, REVISION_HASH, renumberRevision } from '../controller-revisions.js';
import { FAILURES, withFailures } from './backoff.js';
import { daemonPod, nodeOf } from './daemon-pod.js';
import type { DaemonSetFacts } from './facts.js';

/** At most this many pods are made or removed at a time. */
export const BURST_REPLICAS = 250;

/** A clock that stands a little behind must not find the pod one instant short of available. */
const SLACK_MS = 10;

export const claimPods = ({ daemonSet, podClaims }: DaemonSetFacts): readonly Effect[] =>
  claimEffects(DaemonSets, daemonSet, Pods, podClaims);

/** Templates of a set of this name that was deleted without what it owned. */
export const claimRevisions = ({ daemonSet, revisionClaims }: DaemonSetFacts): readonly Effect[] =>
  claimEffects(DaemonSets, daemonSet, ControllerRevisions, revisionClaims);

export const record = ({ history }: DaemonSetFacts): readonly Effect[] => createRevision(history);

export const renumber = ({ history }: DaemonSetFacts): readonly Effect[] => renumberRevision(history);

/** The next hash gives another name. */
export const countCollision = ({ daemonSet }: DaemonSetFacts): readonly Effect[] =>
  writeStatus(daemonSet, { ...daemonSet.status!, collisionCount: (daemonSet.status?.collisionCount ?? 0) + 1 });

export const report = ({ daemonSet, status }: DaemonSetFacts): readonly Effect[] =>
  writeStatus(daemonSet, { ...daemonSet.status, ...status });

const writeStatus = (daemonSet: DaemonSet, status: NonNullable<DaemonSet['status']>): readonly Effect[] =>
  changeTo(DaemonSets, daemonSet, { ...daemonSet, status }, { subresource: 'status' });

/** Removals come first: a node that has lost its last pod gets the next one after it has gone. */
export function place(facts: DaemonSetFacts): readonly Effect[] {
  const { daemonSet, placement } = facts;
  const { nodes, surplus, failed, succeeded } = placement;
  return [
    ...failed.map((pod) => event(daemonSet, 'Warning', 'FailedDaemonPod', `${found('failed', pod)} kill it`)),
    ...succeeded.map((pod) => event(daemonSet, 'Normal', 'SucceededDaemonPod', `${found('succeeded', pod)} delete it`)),
    ...countFailures(facts),
    ...deletePods(daemonSet, [...failed, ...succeeded, ...surplus]),
    ...createPods(facts, nodes),
  ];
}

const found = (how: string, pod: Pod): string =>
  `Found ${how} daemon pod ${pod.metadata.namespace}/${pod.metadata.name} on node ${nodeOf(pod)}, will try to`;

/** Written before the pods go: a crash in between waits once more rather than not at all. */
function countFailures({ daemonSet, placement, failures, now }: DaemonSetFacts): readonly Effect[] {
  if (placement.failed.length === 0) return [];
  const nodes = [...new Set(placement.failed.map((pod) => nodeOf(pod) ?? ''))];
  const next = withFailures(failures, nodes, daemonSet.metadata.generation ?? 0, now);
  return change(DaemonSets, daemonSet, (draft) => {
    draft.metadata.annotations = { ...draft.metadata.annotations, [FAILURES]: JSON.stringify(next) };
  });
}

export const roll = (facts: DaemonSetFacts): readonly Effect[] => [
  ...deletePods(facts.daemonSet, facts.rollout.remove),
  ...createPods(facts, facts.rollout.surgeOn),
];

const createPods = ({ daemonSet, hash }: DaemonSetFacts, nodes: readonly string[]): readonly Effect[] =>
  slowStart(
    nodes.slice(0, BURST_REPLICAS).map((node) =>
      create(Pods, daemonPod(daemonSet, node, hash), {
        regarding: daemonSet,
        done: { reason: 'SuccessfulCreate', message: 'Created pod: {name}' },
        failed: { reason: 'FailedCreate', message: 'Error creating: {error}' },
      }),
    ),
  );

const deletePods = (daemonSet: DaemonSet, pods: readonly Pod[]): readonly Effect[] =>
  concurrently(
    pods.slice(0, BURST_REPLICAS).map((pod) =>
      remove(Pods, pod, {
        announce: {
          regarding: daemonSet,
          done: { reason: 'SuccessfulDelete', message: 'Deleted pod: {name}' },
          failed: { reason: 'FailedDelete', message: 'Error deleting: {error}' },
        },
      }),
    ),
  );

/** Old templates beyond the limit, unless a pod is of them still. */
export function forget({ daemonSet, history, podClaims }: DaemonSetFacts): readonly Effect[] {
  const live = new Set(podClaims.owned.map((pod) => pod.metadata.labels?.[REVISION_HASH]));
  return forgetRevisions(history, daemonSet.spec?.revisionHistoryLimit, (revision) =>
    live.has(revision.metadata.labels?.[REVISION_HASH]),
  );
}

export const lookAgain = ({ nextAvailableIn, placement }: DaemonSetFacts): readonly Effect[] => [
  ...(nextAvailableIn === undefined ? [] : [requeueAfter(nextAvailableIn + SLACK_MS)]),
  ...(placement.dueIn === undefined ? [] : [requeueAfter(placement.dueIn + SLACK_MS)]),
];

export const refuseSelectingAll = ({ daemonSet }: DaemonSetFacts): readonly Effect[] => [
  event(
    daemonSet,
    'Warning',
    'SelectingAll',
    'This daemon set is selecting all pods. A non-empty selector is required.',
  ),
];
