import type { View } from '@trimtab/framework';
import { type Node, type Pod, Pods } from '@trimtab/machinery';
import { setup } from 'xstate';
import { evict, lookAgain, markPodsNotReady, markUnknown, removeStranded, taint, tellSilence } from './effects.js';
import type { Existence } from './existence.js';
import { type Listening, type NodeFacts, nodeFacts } from './facts.js';

interface Context {
  readonly facts: NodeFacts | undefined;
  /** Pods of a node that is certain not to exist. */
  readonly stranded: readonly Pod[];
  readonly now: number;
}

const given =
  <R>(decide: (facts: NodeFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/**
 * How a node is doing and what that means for its pods (kubernetes: pkg/controller/nodelifecycle, tainteviction). One step
 * an evaluation: what is known of a silent node is marked unknown, then it is tainted, then pods leave that do not tolerate
 * its taints (any longer); every step changes the node or its pods, whose change leads to the next.
 */
export const nodeMachine = (listening: Listening) =>
  setup({
    types: { context: {} as Context, input: {} as { readonly view: View<Node>; readonly observed: Existence } },
    guards: {
      strands: ({ context }) => context.stranded.length > 0,
      gone: ({ context }) => context.facts === undefined,
      unmarked: given(({ silent, markedUnknown, readyPods }) => silent && (!markedUnknown || readyPods.length > 0)),
      mistainted: given(({ taints }) => taints !== undefined),
      due: given(({ due }) => due.length > 0),
      tainted: given((facts) => facts.tainted),
    },
    actions: {
      removeStranded: ({ context }) => removeStranded(context.stranded, context.now),
      markUnknown: given(markUnknown),
      markPodsNotReady: given(markPodsNotReady),
      tellSilence: given(tellSilence),
      taint: given(taint),
      evict: given(evict),
      lookAgain: given(lookAgain),
    },
  }).createMachine({
    id: 'node',
    context: ({ input: { view, observed } }) => ({
      facts: nodeFacts(view, listening),
      stranded: view.object === undefined && observed === 'absent' ? view.byIndex(Pods, 'node', view.key.name) : [],
      now: view.now,
    }),
    initial: 'deciding',
    states: {
      deciding: {
        always: [
          { guard: 'strands', target: 'stranding' },
          { guard: 'gone', target: 'gone' },
          { guard: 'unmarked', target: 'silent' },
          { guard: 'mistainted', target: 'tainting' },
          { guard: 'due', target: 'evicting' },
          { guard: 'tainted', target: 'tainted' },
          { target: 'ready' },
        ],
      },
      stranding: { entry: 'removeStranded' },
      gone: {},
      silent: { entry: ['markUnknown', 'markPodsNotReady', 'tellSilence', 'lookAgain'] },
      tainting: { entry: ['taint', 'lookAgain'] },
      evicting: { entry: ['evict', 'lookAgain'] },
      tainted: { entry: 'lookAgain' },
      ready: { entry: 'lookAgain' },
    },
  });
