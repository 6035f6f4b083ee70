import type { View } from '@trimtab/framework';
import { type Namespace, ServiceAccounts } from '@trimtab/machinery';
import { setup } from 'xstate';
import { type NamespaceStanding, standingOf } from '../live-namespace.js';
import { createDefault, DEFAULT } from './effects.js';

interface Context {
  readonly namespace: string;
  readonly standing: NamespaceStanding;
  readonly present: boolean;
}

function contextOf(view: View<Namespace>): Context {
  const namespace = view.key.name;
  return {
    namespace,
    standing: standingOf(view),
    present: view.get(ServiceAccounts, { namespace, name: DEFAULT }) !== undefined,
  };
}

/** Whether a namespace has its service account `default`. */
export const serviceAccountMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<Namespace> } },
  guards: {
    gone: ({ context }) => context.standing === 'gone',
    closing: ({ context }) => context.standing === 'closing',
    present: ({ context }) => context.present,
  },
  actions: { create: ({ context }) => createDefault(context.namespace) },
}).createMachine({
  id: 'serviceaccount',
  context: ({ input }) => contextOf(input.view),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'closing', target: 'closing' },
        { guard: 'present', target: 'ready' },
        { target: 'missing' },
      ],
    },
    gone: {},
    closing: {},
    missing: { entry: 'create' },
    ready: {},
  },
});
