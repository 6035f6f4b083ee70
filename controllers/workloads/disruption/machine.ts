import { changeTo, type Effect, requeueAfter, type View, withCondition } from '@trimtab/framework';
import { type PodCondition, type PodDisruptionBudget, PodDisruptionBudgets, Pods } from '@trimtab/machinery';
import { setup } from 'xstate';
import { type BudgetFacts, budgetFacts } from './facts.js';

interface Context {
  readonly facts: BudgetFacts | undefined;
  readonly now: number;
}

const of =
  <R>(decide: (facts: BudgetFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

const report = ({ budget, status }: BudgetFacts): readonly Effect[] =>
  changeTo(PodDisruptionBudgets, budget, { ...budget, status }, { subresource: 'status' });

const complain = ({ budget, failure, noPods }: BudgetFacts): readonly Effect[] => {
  const [reason, message] = noPods
    ? ['NoPods', 'No matching pods found']
    : ['CalculateExpectedPodCountFailed', `Failed to calculate the number of expected pods: ${failure}`];
  return [{ type: 'event', event: { regarding: budget, type: noPods ? 'Normal' : 'Warning', reason, message } }];
};

const unmark = ({ stale }: BudgetFacts, now: number): readonly Effect[] =>
  stale.flatMap((pod) => {
    const condition: PodCondition = { type: 'DisruptionTarget', status: 'False' };
    const conditions = withCondition(pod.status?.conditions, condition, now);
    return changeTo(Pods, pod, { ...pod, status: { ...pod.status, conditions } }, { subresource: 'status' });
  });

/** How much of what a budget protects may be disrupted now. */
export const disruptionMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<PodDisruptionBudget> } },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    failed: of(({ failure }) => failure !== undefined),
    noPods: of(({ noPods }) => noPods),
    sufficient: of(({ status }) => (status.disruptionsAllowed ?? 0) > 0),
  },
  actions: {
    report: of(report),
    complain: of(complain),
    unmark: ({ context }) => unmark(context.facts!, context.now),
    lookAgain: of(({ again }): readonly Effect[] => (again === undefined ? [] : [requeueAfter(again)])),
  },
}).createMachine({
  id: 'disruption',
  context: ({ input: { view } }) => ({ facts: budgetFacts(view), now: view.now }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'failed', target: 'failed' },
        { guard: 'noPods', target: 'idle' },
        { guard: 'sufficient', target: 'sufficient' },
        { target: 'insufficient' },
      ],
    },
    gone: {},
    failed: { entry: ['unmark', 'complain', 'report', 'lookAgain'] },
    idle: { entry: ['complain', 'report', 'lookAgain'] },
    sufficient: { entry: ['unmark', 'report', 'lookAgain'] },
    insufficient: { entry: ['unmark', 'report', 'lookAgain'] },
  },
});
