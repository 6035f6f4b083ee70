import type { View } from '@trimtab/framework';
import type { Deployment } from '@trimtab/machinery';
import { setup } from 'xstate';
import { type Given, given, OPENING, OPENING_STATES, openingGuards } from '../opening.js';
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

const of = given<DeploymentFacts>();

/**
 * Where a rollout stands. One step an evaluation, in Kubernetes' order: make room for the new template, then take from the
 * old; every step changes a ReplicaSet, whose change leads to the next.
 */
export const deploymentMachine = setup({
  types: { context: {} as Given<DeploymentFacts>, input: {} as { readonly view: View<Deployment> } },
  guards: {
    ...openingGuards(({ deployment }: DeploymentFacts) => deployment),
    paused: of(({ deployment }) => deployment.spec?.paused === true),
    resizedByUser: of(({ resizedByUser }) => resizedByUser),
    recreates: of(({ deployment }) => !isRolling(deployment)),
    collides: of(({ collides }) => collides),
    creationFailed: of(({ creationFailure }) => creationFailure !== undefined),
    unmade: of(({ current }) => current === undefined),
    canGrow: of(({ current, currentSize }) => sizeOf(current) !== currentSize),
    canShrink: of(({ shrinking }) => shrinking.length > 0),
    oldRemains: of(({ oldPodsRun }) => oldPodsRun),
    complete: of(({ deployment }) => isComplete(deployment, deployment.status)),
    stalled: of(
      ({ deployment }) =>
        deployment.status?.conditions?.some((condition) => condition.reason === 'ProgressDeadlineExceeded') === true,
    ),
  },
  actions: {
    refuse: of(refuseSelectingAll),
    claim: of(claimReplicaSets),
    countCollision: of(countCollision),
    create: of(createCurrent),
    noteRevision: of(noteRevision),
    revise: of(revise),
    grow: of(growCurrent),
    shrink: of(shrinkOthers),
    keepProportions: of(keepProportions),
    forgetOld: of(forgetOld),
    report: of((facts) => report(facts, { plain: false, creating: false })),
    reportCreating: of((facts) => report(facts, { plain: false, creating: true })),
    reportPlainly: of((facts) => report(facts, { plain: true, creating: false })),
  },
}).createMachine({
  id: 'deployment',
  context: ({ input }) => ({ facts: deploymentFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        ...OPENING,
        { guard: 'paused', target: 'paused' },
        { guard: 'resizedByUser', target: 'resizing' },
        { guard: 'recreates', target: 'recreating' },
        { target: 'rolling' },
      ],
    },
    ...OPENING_STATES,
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
