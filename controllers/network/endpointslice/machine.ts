import type { View } from '@trimtab/framework';
import type { Service } from '@trimtab/machinery';
import { setup } from 'xstate';
import { publish } from './effects.js';
import { type SliceFacts, sliceFacts } from './facts.js';

interface Context {
  readonly facts: SliceFacts | undefined;
}

const given =
  <R>(decide: (facts: SliceFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/** Where a Service's endpoints stand. */
export const endpointSliceMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<Service> } },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    unmanaged: given(({ managed }) => !managed),
    behind: given(({ settled }) => !settled),
    empty: given(({ endpoints }) => endpoints === 0),
  },
  actions: { publish: given(publish) },
}).createMachine({
  id: 'endpointslice',
  context: ({ input }) => ({ facts: sliceFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'unmanaged', target: 'unmanaged' },
        { guard: 'behind', target: 'publishing' },
        { guard: 'empty', target: 'withoutEndpoints' },
        { target: 'published' },
      ],
    },
    gone: {},
    unmanaged: { entry: 'publish' },
    publishing: { entry: 'publish' },
    withoutEndpoints: { entry: 'publish' },
    published: { entry: 'publish' },
  },
});
