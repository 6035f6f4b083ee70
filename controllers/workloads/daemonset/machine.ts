import { isDeleting, type View } from '@trimtab/framework';
import type { DaemonSet } from '@trimtab/machinery';
import { setup } from 'xstate';
import { workloadSelector } from '../claims.js';
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

interface Context {
  readonly facts: DaemonSetFacts | undefined;
}

const given =
  <R>(decide: (facts: DaemonSetFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/**
 * Where a DaemonSet stands. The template is on record before a pod is of it; every eligible node has its pod before any
 * is replaced. The status is told first, so that it shows although what follows fails.
 */
export const daemonSetMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<DaemonSet> } },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    selectsAll: given(({ daemonSet }) => workloadSelector(daemonSet.spec?.selector).nothing === true),
    deleting: given(({ daemonSet }) => isDeleting(daemonSet)),
    collides: given(({ history }) => history.collides),
    unrecorded: given(({ history }) => history.current === undefined),
    misplaced: given(
      ({ placement: { nodes, surplus, failed, succeeded } }) =>
        nodes.length + surplus.length + failed.length + succeeded.length > 0,
    ),
    outdated: given(({ rollout }) => rollout.remove.length + rollout.surgeOn.length > 0),
    unavailable: given(({ status }) => (status.numberUnavailable ?? 0) > 0),
  },
  actions: {
    refuse: given(refuseSelectingAll),
    claim: given((facts) => [...claimPods(facts), ...claimRevisions(facts)]),
    countCollision: given(countCollision),
    record: given(record),
    renumber: given(renumber),
    place: given(place),
    roll: given(roll),
    forget: given(forget),
    report: given(report),
    lookAgain: given(lookAgain),
  },
}).createMachine({
  id: 'daemonset',
  context: ({ input }) => ({ facts: daemonSetFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'selectsAll', target: 'refused' },
        { guard: 'deleting', target: 'deleting' },
        { guard: 'collides', target: 'colliding' },
        { guard: 'unrecorded', target: 'recording' },
        { guard: 'misplaced', target: 'placing' },
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
    placing: { entry: ['claim', 'renumber', 'report', 'place', 'lookAgain'] },
    rolling: { entry: ['claim', 'renumber', 'report', 'roll', 'lookAgain'] },
    progressing: { entry: ['claim', 'renumber', 'report', 'lookAgain'] },
    available: { entry: ['claim', 'renumber', 'report', 'forget', 'lookAgain'] },
  },
});
