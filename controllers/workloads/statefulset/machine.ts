import type { View } from '@trimtab/framework';
import type { StatefulSet } from '@trimtab/machinery';
import { setup } from 'xstate';
import { type Given, given, OPENING, OPENING_STATES, openingGuards } from '../opening.js';
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

const of = given<StatefulSetFacts>();

/**
 * Where a StatefulSet stands. The template is on record before a pod is of it; every place is taken before pods go, and
 * surplus pods are gone before any is replaced. The status is told first, so that it shows although what follows fails.
 */
export const statefulSetMachine = setup({
  types: { context: {} as Given<StatefulSetFacts>, input: {} as { readonly view: View<StatefulSet> } },
  guards: {
    ...openingGuards(({ set }: StatefulSetFacts) => set),
    collides: of(({ history }) => history.collides),
    unrecorded: of(({ history }) => history.current === undefined),
    incomplete: of(({ step }) => step.make.length > 0),
    ended: of(({ step }) => step.recreate.length > 0),
    surplus: of(({ step }) => step.scaleDown.length > 0),
    outdated: of(({ step }) => step.update.length > 0),
    unavailable: of(({ set, status }) => (status.availableReplicas ?? 0) < (set.spec?.replicas ?? 1)),
  },
  actions: {
    refuse: of(refuseSelectingAll),
    claim: of((facts) => [...claimPods(facts), ...claimRevisions(facts)]),
    countCollision: of(countCollision),
    record: of(record),
    renumber: of(renumber),
    keepClaims: of(keepClaims),
    createClaims: of(createClaims),
    createPods: of(createPods),
    recreate: of(recreate),
    scaleDown: of(scaleDown),
    update: of(update),
    forget: of(forget),
    report: of(report),
    lookAgain: of(lookAgain),
  },
}).createMachine({
  id: 'statefulset',
  context: ({ input }) => ({ facts: statefulSetFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        ...OPENING,
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
    ...OPENING_STATES,
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
