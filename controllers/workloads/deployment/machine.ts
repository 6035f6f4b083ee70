import { isDeleting, type View } from '@trimtab/framework';
import type { Deployment } from '@trimtab/machinery';
import { setup } from 'xstate';
import { workloadSelector } from '../claims.js';
import {
  claimReplicaSets,
  countCollision,
  createCurrent,
  forgetOld,
  growCurrent,
  keepProportions,
  noteRevision,
  refuseSelectingAll,
  report,
  revise,
  shrinkOthers,
} from './effects.js';
import { type DeploymentFacts, deploymentFacts } from './facts.js';
import { sizeOf } from './sizes.js';
import { isComplete } from './status.js';
import { isRolling } from './strategy.js';

interface Context {
  readonly facts: DeploymentFacts | undefined;
}

const given =
  <R>(decide: (facts: DeploymentFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/**
 * Where a rollout stands. One step an evaluation, in Kubernetes' order: make room for the new template, then take from the
 * old; every step changes a ReplicaSet, whose change leads to the next.
 */
export const deploymentMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<Deployment> } },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    selectsAll: given(({ deployment }) => workloadSelector(deployment.spec?.selector).nothing === true),
    deleting: given(({ deployment }) => isDeleting(deployment)),
    paused: given(({ deployment }) => deployment.spec?.paused === true),
    resizedByUser: given(({ resizedByUser }) => resizedByUser),
    recreates: given(({ deployment }) => !isRolling(deployment)),
    collides: given(({ collides }) => collides),
    creationFailed: given(({ creationFailure }) => creationFailure !== undefined),
    unmade: given(({ current }) => current === undefined),
    canGrow: given(({ current, currentSize }) => sizeOf(current) !== currentSize),
    canShrink: given(({ shrinking }) => shrinking.length > 0),
    oldRemains: given(({ oldPodsRun }) => oldPodsRun),
    complete: given(({ deployment }) => isComplete(deployment, deployment.status)),
    stalled: given(
      ({ deployment }) =>
        deployment.status?.conditions?.some((condition) => condition.reason === 'ProgressDeadlineExceeded') === true,
    ),
  },
  actions: {
    refuse: given(refuseSelectingAll),
    claim: given(claimReplicaSets),
    countCollision: given(countCollision),
    create: given(createCurrent),
    noteRevision: given(noteRevision),
    revise: given(revise),
    grow: given(growCurrent),
    shrink: given(shrinkOthers),
    keepProportions: given(keepProportions),
    forgetOld: given(forgetOld),
    report: given((facts) => report(facts, { plain: false, creating: false })),
    reportCreating: given((facts) => report(facts, { plain: false, creating: true })),
    reportPlainly: given((facts) => report(facts, { plain: true, creating: false })),
  },
}).createMachine({
  id: 'deployment',
  context: ({ input }) => ({ facts: deploymentFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'selectsAll', target: 'refused' },
        { guard: 'deleting', target: 'deleting' },
        { guard: 'paused', target: 'paused' },
        { guard: 'resizedByUser', target: 'resizing' },
        { guard: 'recreates', target: 'recreating' },
        { target: 'rolling' },
      ],
    },
    gone: {},
    refused: { entry: 'refuse' },
    deleting: { entry: 'reportPlainly' },
    paused: { entry: ['claim', 'keepProportions', 'forgetOld', 'reportPlainly'] },
    resizing: { entry: ['claim', 'keepProportions', 'reportPlainly'] },
    recreating: {
      initial: 'deciding',
      states: {
        deciding: {
          always: [
            { guard: 'canShrink', target: 'stoppingOld' },
            { guard: 'oldRemains', target: 'awaitingOld' },
            { target: '#deployment.rolling' },
          ],
        },
        stoppingOld: { entry: ['claim', 'shrink', 'report'] },
        awaitingOld: { entry: ['claim', 'revise', 'report'] },
      },
    },
    rolling: {
      initial: 'deciding',
      states: {
        deciding: {
          always: [
            { guard: 'collides', target: 'colliding' },
            { guard: 'creationFailed', target: 'failing' },
            { guard: 'unmade', target: 'creating' },
            { guard: 'canGrow', target: 'growing' },
            { guard: 'canShrink', target: 'shrinking' },
            { guard: 'complete', target: '#deployment.complete' },
            { guard: 'stalled', target: 'stalled' },
            { target: 'awaiting' },
          ],
        },
        colliding: { entry: ['claim', 'countCollision'] },
        failing: { entry: ['claim', 'report', 'create', 'noteRevision'] },
        creating: { entry: ['claim', 'create', 'noteRevision', 'reportCreating'] },
        growing: { entry: ['claim', 'grow', 'report'] },
        shrinking: { entry: ['claim', 'shrink', 'report'] },
        awaiting: { entry: ['claim', 'revise', 'report'] },
        stalled: { entry: ['claim', 'revise', 'report'] },
      },
    },
    complete: { entry: ['claim', 'revise', 'forgetOld', 'report'] },
  },
});
