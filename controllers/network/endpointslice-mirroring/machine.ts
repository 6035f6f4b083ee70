import type { View } from '@trimtab/framework';
import type { Endpoints } from '@trimtab/machinery';
import { setup } from 'xstate';
import { mirror } from './effects.js';
import { type MirrorFacts, mirrorFacts } from './facts.js';

interface Context {
  readonly facts: MirrorFacts | undefined;
}

const given =
  <R>(decide: (facts: MirrorFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/** Whether Endpoints that people write are mirrored in slices. Slices of those that are gone are the garbage collector's. */
export const mirroringMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<Endpoints> } },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    ownBusiness: given(({ mirrored }) => !mirrored),
    behind: given(({ settled }) => !settled),
  },
  actions: { mirror: given(mirror) },
}).createMachine({
  id: 'endpointslicemirroring',
  context: ({ input }) => ({ facts: mirrorFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'ownBusiness', target: 'unmirrored' },
        { guard: 'behind', target: 'mirroring' },
        { target: 'mirrored' },
      ],
    },
    gone: {},
    unmirrored: { entry: 'mirror' },
    mirroring: { entry: 'mirror' },
    mirrored: { entry: 'mirror' },
  },
});
