import type { View } from '@trimtab/framework';
import type { HorizontalPodAutoscaler } from '@trimtab/machinery';
import { setup } from 'xstate';
import { complain, lookAgain, remember, report, scale } from './effects.js';
import { type AutoscalerFacts, autoscalerFacts } from './facts.js';
import type { Observed } from './readings.js';

interface Context {
  readonly facts: AutoscalerFacts | undefined;
}

const given =
  <R>(decide: (facts: AutoscalerFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

const stands = (standing: AutoscalerFacts['standing']) => given((facts) => facts.standing === standing);

/** Where an autoscaler stands. What it is about to do is written down before it is done, and told afterwards. */
export const autoscalerMachine = setup({
  types: {
    context: {} as Context,
    input: {} as { readonly view: View<HorizontalPodAutoscaler>; readonly observed: Observed | undefined },
  },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    unknownTarget: stands('unknownTarget'),
    inactive: stands('inactive'),
    disabled: stands('disabled'),
    failing: given(({ failed }) => failed),
    scaling: stands('scaling'),
    limited: stands('limited'),
  },
  actions: {
    remember: given(remember),
    scale: given(scale),
    complain: given(complain),
    report: given(report),
    lookAgain,
  },
}).createMachine({
  id: 'horizontalpodautoscaler',
  context: ({ input }) => ({ facts: autoscalerFacts(input.view, input.observed) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'unknownTarget', target: 'unknownTarget' },
        { guard: 'inactive', target: 'inactive' },
        { guard: 'disabled', target: 'disabled' },
        { guard: 'failing', target: 'failing' },
        { guard: 'scaling', target: 'scaling' },
        { guard: 'limited', target: 'limited' },
        { target: 'steady' },
      ],
    },
    gone: {},
    unknownTarget: { entry: ['complain', 'report', 'lookAgain'] },
    inactive: { entry: ['complain', 'report', 'lookAgain'] },
    disabled: { entry: ['report', 'lookAgain'] },
    failing: { entry: ['report', 'remember', 'scale', 'lookAgain'] },
    scaling: { entry: ['complain', 'remember', 'scale', 'report', 'lookAgain'] },
    limited: { entry: ['complain', 'remember', 'report', 'lookAgain'] },
    steady: { entry: ['complain', 'remember', 'report', 'lookAgain'] },
  },
});
