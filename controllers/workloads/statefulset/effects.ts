import {
  type Announcement,
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
import {
  ControllerRevisions,
  PersistentVolumeClaims,
  type Pod,
  Pods,
  type StatefulSet,
  StatefulSets,
} from '@trimtab/machinery';
import { claimEffects } from '../claims.js';
import { createRevision, forgetRevisions, renumberRevision } from '../controller-revisions.js';
import { retain } from './claim-retention.js';
import type { StatefulSetFacts } from './facts.js';
import { claimNameOf, POD_NAME_LABEL, podNameOf, revisionOf, statefulPod } from './identity.js';

/** A clock that stands a little behind must not find the pod one instant short of available. */
const SLACK_MS = 10;

/** Takes pods in and lets them go; one taken in gets the label that its own Service would look for. */
export const claimPods = ({ set, podClaims, slots }: StatefulSetFacts): readonly Effect[] => [
  ...claimEffects(StatefulSets, set, Pods, podClaims),
  ...slots.flatMap(({ pod }) =>
    pod && !podClaims.adopted.includes(pod) && pod.metadata.labels?.[POD_NAME_LABEL] === undefined
      ? change(Pods, pod, (draft) => {
          draft.metadata.labels = { ...pod.metadata.labels, [POD_NAME_LABEL]: pod.metadata.name! };
        })
      : [],
  ),
];

/** Templates of a set of this name that was deleted without what it owned. */
export const claimRevisions = ({ set, revisionClaims }: StatefulSetFacts): readonly Effect[] =>
  claimEffects(StatefulSets, set, ControllerRevisions, revisionClaims);

export const record = ({ history }: StatefulSetFacts): readonly Effect[] => createRevision(history);

export const renumber = ({ history }: StatefulSetFacts): readonly Effect[] => renumberRevision(history);

/** The next hash gives another name. */
export const countCollision = ({ set }: StatefulSetFacts): readonly Effect[] =>
  writeStatus(set, { replicas: 0, ...set.status, collisionCount: (set.status?.collisionCount ?? 0) + 1 });

export const report = ({ set, status }: StatefulSetFacts): readonly Effect[] =>
  writeStatus(set, { ...set.status, ...status });

const writeStatus = (set: StatefulSet, status: NonNullable<StatefulSet['status']>): readonly Effect[] =>
  changeTo(StatefulSets, set, { ...set, status }, { subresource: 'status' });

export const createClaims = ({ set, missingClaims }: StatefulSetFacts): readonly Effect[] =>
  slowStart(
    missingClaims.map(({ claim, pod }) =>
      create(PersistentVolumeClaims, claim, {
        regarding: set,
        done: {
          reason: 'SuccessfulCreate',
          message: `create Claim {name} Pod ${pod} in StatefulSet ${set.metadata.name} success`,
        },
        failed: {
          reason: 'FailedCreate',
          message: `create Claim ${claim.metadata.name} for Pod ${pod} in StatefulSet ${set.metadata.name} failed error: {error}`,
        },
      }),
    ),
  );

export const createPods = ({ set, step, templateFor }: StatefulSetFacts): readonly Effect[] =>
  slowStart(
    step.make.map((ordinal) => {
      const { template, revision } = templateFor(ordinal);
      const name = podNameOf(set, ordinal);
      return create(Pods, statefulPod(set, ordinal, template, revision), told(set, 'create', name));
    }),
  );

export const recreate = ({ set, step }: StatefulSetFacts): readonly Effect[] => [
  ...step.recreate.map((pod) => {
    const failed = pod.status?.phase === 'Failed';
    const what = failed ? 'failed' : 'terminated';
    const message = `StatefulSet ${set.metadata.namespace}/${set.metadata.name} is recreating ${what} Pod ${pod.metadata.name}`;
    return event(
      set,
      failed ? 'Warning' : 'Normal',
      failed ? 'RecreatingFailedPod' : 'RecreatingTerminatedPod',
      message,
    );
  }),
  ...deletePods(set, step.recreate),
];

export const scaleDown = ({ set, step }: StatefulSetFacts): readonly Effect[] => deletePods(set, step.scaleDown);

export const update = ({ set, step }: StatefulSetFacts): readonly Effect[] => deletePods(set, step.update);

const deletePods = (set: StatefulSet, pods: readonly Pod[]): readonly Effect[] =>
  concurrently(pods.map((pod) => remove(Pods, pod, { announce: told(set, 'delete', pod.metadata.name!) })));

const told = (set: StatefulSet, verb: 'create' | 'delete', pod: string): Announcement => {
  const reason = verb === 'create' ? 'Create' : 'Delete';
  const what = `${verb} Pod ${pod} in StatefulSet ${set.metadata.name}`;
  return {
    regarding: set,
    done: { reason: `Successful${reason}`, message: `${what} successful` },
    failed: { reason: `Failed${reason}`, message: `${what} failed error: {error}` },
  };
};

/** Who owns the claims is settled before a pod goes: afterwards its claims could no longer go with it. */
export const keepClaims = ({ set, slots, condemned, volumeClaim }: StatefulSetFacts): readonly Effect[] => {
  const templates = set.spec?.volumeClaimTemplates ?? [];
  const settle = (pod: Pod, isCondemned: boolean) =>
    templates.flatMap((template) => {
      const claim = volumeClaim(claimNameOf(template, pod.metadata.name!));
      return claim ? retain(set, pod, claim, isCondemned) : [];
    });
  return [
    ...slots.flatMap(({ pod }) => (pod ? settle(pod, false) : [])),
    ...condemned.flatMap((pod) => settle(pod, true)),
  ];
};

/** Old templates beyond the limit, unless a pod or the status is of them still. */
export function forget({ set, history, podClaims, status }: StatefulSetFacts): readonly Effect[] {
  const live = new Set([status.currentRevision, status.updateRevision, ...podClaims.owned.map(revisionOf)]);
  return forgetRevisions(history, set.spec?.revisionHistoryLimit, ({ metadata }) => live.has(metadata.name));
}

export const lookAgain = ({ nextAvailableIn }: StatefulSetFacts): readonly Effect[] =>
  nextAvailableIn === undefined ? [] : [requeueAfter(nextAvailableIn + SLACK_MS)];

export const refuseSelectingAll = ({ set }: StatefulSetFacts): readonly Effect[] => [
  event(set, 'Warning', 'SelectingAll', 'This stateful set is selecting all pods. A non-empty selector is required.'),
];
