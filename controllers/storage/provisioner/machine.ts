import type { View } from '@trimtab/framework';
import type { PersistentVolumeClaim } from '@trimtab/machinery';
import { setup } from 'xstate';
import { provision, reschedule, resize, tellRefusal } from './effects.js';
import { type ProvisionFacts, provisionFacts } from './facts.js';

interface Context {
  readonly facts: ProvisionFacts | undefined;
}

const given =
  <R>(decide: (facts: ProvisionFacts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/** From a claim handed to the local provisioner to its volume, and to a larger one. */
export const provisionerMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<PersistentVolumeClaim> } },
  guards: {
    outgrown: ({ context }) => context.facts?.outgrown !== undefined,
    idle: ({ context }) => !context.facts?.wanted,
    strayed: given(({ strayed }) => strayed),
    refused: given(({ refusal }) => refusal !== undefined),
  },
  actions: {
    provision: given(provision),
    tellRefusal: given(tellRefusal),
    reschedule: given(reschedule),
    resize: given(resize),
  },
}).createMachine({
  id: 'local-provisioner',
  context: ({ input }) => ({ facts: input.view && provisionFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'outgrown', target: 'resizing' },
        { guard: 'idle', target: 'idle' },
        { guard: 'strayed', target: 'rescheduling' },
        { guard: 'refused', target: 'refused' },
        { target: 'provisioning' },
      ],
    },
    idle: {},
    resizing: { entry: 'resize' },
    rescheduling: { entry: 'reschedule' },
    refused: { entry: 'tellRefusal' },
    provisioning: { entry: 'provision' },
  },
});
