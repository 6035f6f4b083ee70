import type { View } from '@trimtab/framework';
import type { DaemonSet } from '@trimtab/machinery';
import { setup } from 'xstate';
import { type Given, given, OPENING, OPENING_STATES, openingGuards } from '../opening.js';
import {
  claimPods,
  claimRevisions,
  countCollision,
  forget,
  lookAgain,
  place,
  record,
  refuseSelectingAll,
  renumber,
  report,
  roll,
} from './effects.js';
import { type DaemonSetFacts, daemonSetFacts } from './facts.js';

const of = given<DaemonSetFacts>();

/**
 * Where a DaemonSet stands. The template is on record before a pod is of it; every eligible node has its pod before any
 * is replaced. The status is told first, so that it shows although what follows fails.
 */
export const daemonSetMachine = setup({
  types: { context: {} as Given<DaemonSetFacts>, input: {} as { readonly view: View<DaemonSet> } },
  guards: {
    ...openingGuards(({ daemonSet }: DaemonSetFacts) => daemonSet),
    collides: of(({ history }) => history.collides),
    unrecorded: of(({ history }) => history.current === undefined),
    misplaced: of(
      ({ placement: { nodes, surplus, failed, succeeded } }) =>
        nodes.length + surplus.length + failed.length + succeeded.length > 0,
    ),
    outdated: of(({ rollout }) => rollout.remove.length + rollout.surgeOn.length > 0),
    unavailable: of(({ status }) => (status.numberUnavailable ?? 0) > 0),
  },
  actions: {
    refuse: of(refuseSelectingAll),
    claim: of((facts) => [...claimPods(facts), ...claimRevisions(facts)]),
    countCollision: of(countCollision),
    record: of(record),
    renumber: of(renumber),
    place: of(place),
    roll: of(roll),
    forget: of(forget),
    report: of(report),
    lookAgain: of(lookAgain),
  },
}).createMachine({
  id: 'daemonset',
  context: ({ input }) => ({ facts: daemonSetFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        ...OPENING,
        { guard: 'collides', target: 'colliding' },
        { guard: 'unrecorded', target: 'recording' },
        { guard: 'misplaced', target: 'placing' },
        { guard: 'outdated', target: 'rolling' },
        { guard: 'unavailable', target: 'progressing' },
        { target: 'available' },
      ],
    },
    ...OPENING_STATES,
    deleting: { entry: 'report' },
    colliding: { entry: 'countCollision' },
    recording: { entry: ['claim', 'record'] },
    placing: { entry: ['claim', 'renumber', 'report', 'place', 'lookAgain'] },
    rolling: { entry: ['claim', 'renumber', 'report', 'roll', 'lookAgain'] },
    progressing: { entry: ['claim', 'renumber', 'report', 'lookAgain'] },
    available: { entry: ['claim', 'renumber', 'report', 'forget', 'lookAgain'] },
  },
});
