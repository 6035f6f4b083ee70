import type { View } from '@trimtab/framework';
import { isDeleting } from '@trimtab/framework';
import type { ReplicaSet } from '@trimtab/machinery';
import { setup } from 'xstate';
import { adoptAndRelease, createPods, deletePods, lookAgain, reportStatus } from './effects.js';
import { type ReplicaSetFacts, replicaSetFacts, type SetKind } from './facts.js';

interface Context {
  readonly facts: ReplicaSetFacts | undefined;
}

const given =
  <R>(decide: (facts: ReplicaSetFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/**
 * Where a ReplicaSet (or another kind that keeps replicas) stands. After a failed attempt the status is told before the next one, so that `ReplicaFailure`
 * shows although the attempt fails again.
 */
const replicas = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<ReplicaSet> } },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    deleting: given(({ replicaSet }) => isDeleting(replicaSet)),
    failing: given(({ failed, missing, surplus }) => failed && (missing > 0 || surplus.length > 0)),
    tooFew: given(({ missing }) => missing > 0),
    tooMany: given(({ surplus }) => surplus.length > 0),
    unavailable: given(({ status, wanted }) => (status.availableReplicas ?? 0) < wanted),
  },
  actions: {
    claim: given(adoptAndRelease),
    createPods: given(createPods),
    deletePods: given(deletePods),
    report: given(reportStatus),
    lookAgain: given(lookAgain),
  },
});

export const replicaMachine = (id: string, kind: SetKind) =>
  replicas.createMachine({
    id,
    context: ({ input }) => ({ facts: replicaSetFacts(input.view, kind) }),
    initial: 'deciding',
    states: {
      deciding: {
        always: [
          { guard: 'gone', target: 'gone' },
          { guard: 'deleting', target: 'deleting' },
          { guard: 'failing', target: 'failing' },
          { guard: 'tooFew', target: 'scalingUp' },
          { guard: 'tooMany', target: 'scalingDown' },
          { guard: 'unavailable', target: 'progressing' },
          { target: 'available' },
        ],
      },
      gone: {},
      deleting: { entry: 'report' },
      failing: { entry: ['claim', 'report', 'createPods', 'deletePods'] },
      scalingUp: { entry: ['claim', 'createPods', 'report', 'lookAgain'] },
      scalingDown: { entry: ['claim', 'deletePods', 'report', 'lookAgain'] },
      progressing: { entry: ['claim', 'report', 'lookAgain'] },
      available: { entry: ['claim', 'report', 'lookAgain'] },
    },
  });
