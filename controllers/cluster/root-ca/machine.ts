import type { View } from '@trimtab/framework';
import { type ConfigMap, ConfigMaps, type Namespace } from '@trimtab/machinery';
import { setup } from 'xstate';
import { type NamespaceStanding, standingOf } from '../live-namespace.js';
import { CERTIFICATE, correct, publish, ROOT_CA } from './effects.js';

interface Context {
  readonly namespace: string;
  readonly standing: NamespaceStanding;
  readonly present: ConfigMap | undefined;
}

function contextOf(view: View<Namespace>): Context {
  const namespace = view.key.name;
  return { namespace, standing: standingOf(view), present: view.get(ConfigMaps, { namespace, name: ROOT_CA }) };
}

/** Whether a namespace has the certificate that pods verify the API server by, and the right one. */
export const rootCaMachine = (certificate: string) =>
  setup({
    types: { context: {} as Context, input: {} as { readonly view: View<Namespace> } },
    guards: {
      gone: ({ context }) => context.standing === 'gone',
      closing: ({ context }) => context.standing === 'closing',
      missing: ({ context }) => context.present === undefined,
      wrong: ({ context }) => context.present!.data?.[CERTIFICATE] !== certificate,
    },
    actions: {
      publish: ({ context }) => publish(context.namespace, certificate),
      correct: ({ context }) => correct(context.present!, certificate),
    },
  }).createMachine({
    id: 'rootCa',
    context: ({ input }) => contextOf(input.view),
    initial: 'deciding',
    states: {
      deciding: {
        always: [
          { guard: 'gone', target: 'gone' },
          { guard: 'closing', target: 'closing' },
          { guard: 'missing', target: 'missing' },
          { guard: 'wrong', target: 'wrong' },
          { target: 'published' },
        ],
      },
      gone: {},
      closing: {},
      missing: { entry: 'publish' },
      wrong: { entry: 'correct' },
      published: {},
    },
  });
