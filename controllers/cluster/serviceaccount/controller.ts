import { type ControllerDefinition, controller, watch } from '@trimtab/framework';
import { Namespaces, ServiceAccounts } from '@trimtab/machinery';
import { DEFAULT } from './effects.js';
import { serviceAccountMachine } from './machine.js';

/** Every live namespace has a service account `default`, also after somebody deleted it. */
export const serviceAccountController: ControllerDefinition = controller({
  name: 'serviceaccount-controller',
  for: Namespaces,
  watches: [
    watch(ServiceAccounts, ({ metadata }) => (metadata.name === DEFAULT ? [{ name: metadata.namespace! }] : []), {
      on: ['added', 'deleted'],
    }),
  ],
  machine: serviceAccountMachine,
});
