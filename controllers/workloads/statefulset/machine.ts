import { isDeleting, type View } from '@trimtab/framework';
import type { StatefulSet } from '@trimtab/machinery';
import { setup } from 'xstate';
import { workloadSelector } from '../claims.js';
import {
  claimPods,
  claimRevisions,
  countCollision,
  createClaims,
  createPods,
  forget,
  keepClaims,
  lookAgain,
  record,
  recreate,
  refuseSelectingAll,
  renumber,
  report,
  scaleDown,
  update,
} from './effects.js';
import { type StatefulSetFacts, statefulSetFacts } from './facts.js';

interface Context {
  readonly facts: StatefulSetFacts | undefined;
}

const given =
  <R>(decide: (facts: StatefulSetFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/**
 * Where a StatefulSet stands. The template is on record before a pod is of it; every place is taken before pods go, and
 * surplus pods are gone before any is replaced. The status is told first, so that it shows although what follows fails.
 */
export const statefulSetMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<StatefulSet> } },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    selectsAll: given(({ set }) => workloadSelector(set.spec?.selector).nothing === true),
    deleting: given(({ set }) => isDeleting(set)),
    collides: given(({ history }) => history.collides),
    unrecorded: given(({ history }) => history.current === undefined),
    incomplete: given(({ step }) => step.make.length > 0),
    ended: given(({ step }) => step.recreate.length > 0),
    surplus: given(({ step }) => step.scaleDown.length > 0),
    outdated: given(({ step }) => step.update.length > 0),
    unavailable: given(({ set, status }) => (status.availableReplicas ?? 0) < (set.spec?.replicas ?? 1)),
  },
  actions: {
    refuse: given(refuseSelectingAll),
    claim: given((facts) => [...claimPods(facts), ...claimRevisions(facts)]),
    countCollision: given(countCollision),
    record: given(record),
    renumber: given(renumber),
    keepClaims: given(keepClaims),
    createClaims: given(createClaims),
    createPods: given(createPods),
    recreate: given(recreate),
    scaleDown: given(scaleDown),
    update: given(update),
    forget: given(forget),
    report: given(report),
    lookAgain: given(lookAgain),
  },
}).createMachine({
  id: 'statefulset',
  context: ({ input }) => ({ facts: statefulSetFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'selectsAll', target: 'refused' },
        { guard: 'deleting', target: 'deleting' },
        { guard: 'collides', target: 'colliding' },
        { guard: 'unrecorded', target: 'recording' },
        { guard: 'ended', target: 'recreating' },
        { guard: 'incomplete', target: 'filling' },
        { guard: 'surplus', target: 'scalingDown' },
        { guard: 'outdated', target: 'rolling' },
        { guard: 'unavailable', target: 'progressing' },
        { target: 'available' },
      ],
    },
    gone: {},
    refused: { entry: 'refuse' },
    deleting: { entry: 'report' },
    colliding: { entry: 'countCollision' },
    recording: { entry: ['claim', 'record'] },
    recreating: { entry: ['claim', 'renumber', 'report', 'keepClaims', 'recreate', 'createClaims', 'createPods'] },
    filling: { entry: ['claim', 'renumber', 'report', 'keepClaims', 'createClaims', 'createPods', 'lookAgain'] },
    scalingDown: { entry: ['claim', 'renumber', 'report', 'keepClaims', 'scaleDown', 'lookAgain'] },
    rolling: { entry: ['claim', 'renumber', 'report', 'keepClaims', 'update', 'lookAgain'] },
    progressing: { entry: ['claim', 'renumber', 'report', 'keepClaims', 'createClaims', 'lookAgain'] },
    available: { entry: ['claim', 'renumber', 'report', 'keepClaims', 'forget', 'lookAgain'] },
  },
});
