import { isDeleting, type View } from '@trimtab/framework';
import type { Namespace } from '@trimtab/machinery';
import { setup } from 'xstate';
import type { Content } from './content.js';
import { close, deletePods, deleteRest, finalize, lookAgain, report } from './effects.js';
import { isClosed, isClosingDown, type NamespaceFacts, namespaceFacts, untold } from './facts.js';

interface Context {
  readonly facts: NamespaceFacts | undefined;
}

const given =
  <R>(decide: (facts: NamespaceFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/**
 * How far the deletion of a namespace has come: closed to newcomers, then pods, then everything else only when they are
 * gone (KEP-5080), so that what protects or feeds them is there to their end. What was refused is told before it is tried
 * again.
 */
export const namespaceMachine = setup({
  types: {
    context: {} as Context,
    input: {} as { readonly view: View<Namespace>; readonly observed: Content | undefined },
  },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    active: given(({ namespace }) => !isDeleting(namespace)),
    released: given(({ namespace }) => !isClosingDown(namespace)),
    open: given(({ namespace }) => !isClosed(namespace)),
    failed: given(({ failed, pods, rest }) => failed && untold([...pods, ...rest]).length > 0),
    hasPods: given(({ pods }) => pods.length > 0),
    hasUntoldPods: given(({ pods }) => untold(pods).length > 0),
    hasRest: given(({ rest }) => rest.length > 0),
    hasUntoldRest: given(({ rest }) => untold(rest).length > 0),
    unknown: given(({ complete }) => !complete),
  },
  actions: {
    close: given(close),
    deletePods: given(deletePods),
    deleteRest: given(deleteRest),
    report: given(report),
    finalize: given(finalize),
    lookAgain: given(lookAgain),
  },
}).createMachine({
  id: 'namespace',
  context: ({ input }) => ({ facts: namespaceFacts(input.view, input.observed) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'active', target: 'active' },
        { guard: 'released', target: 'released' },
        { guard: 'open', target: 'closing' },
        { guard: 'failed', target: 'failing' },
        { guard: 'hasUntoldPods', target: 'emptyingPods' },
        { guard: 'hasPods', target: 'awaitingPods' },
        { guard: 'hasUntoldRest', target: 'emptyingRest' },
        { guard: 'hasRest', target: 'awaitingRest' },
        { guard: 'unknown', target: 'blocked' },
        { target: 'finalizing' },
      ],
    },
    gone: {},
    active: {},
    /** Nothing more is ours to do; others' finalizers hold it. */
    released: {},
    closing: { entry: 'close' },
    failing: { entry: ['report', 'deletePods', 'deleteRest', 'lookAgain'] },
    emptyingPods: { entry: ['deletePods', 'lookAgain'] },
    awaitingPods: { entry: ['report', 'lookAgain'] },
    emptyingRest: { entry: ['deleteRest', 'lookAgain'] },
    awaitingRest: { entry: ['report', 'lookAgain'] },
    /** All that could be listed is gone. */
    blocked: { entry: ['report', 'lookAgain'] },
    finalizing: { entry: ['report', 'finalize'] },
  },
});
