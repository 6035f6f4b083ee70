import type { Informers } from '@trimtab/client';
import { type ControllerDefinition, controller, watch } from '@trimtab/framework';
import { CustomResourceDefinitions, type Namespace, Namespaces, Pods } from '@trimtab/machinery';
import { type Content, observeContent } from './content.js';
import { namespaceMachine } from './machine.js';

/**
 * Empties namespaces that are being deleted and then finalizes them (kubernetes: pkg/controller/namespace). What remains
 * is told in the conditions. `informers` only spare lists: nothing is finalized on their word.
 */
export const namespaceController = ({ informers }: { readonly informers: Informers }): ControllerDefinition =>
  controller<Namespace, Content | undefined>({
    name: 'namespace-controller',
    for: Namespaces,
    watches: [
      watch(
        Pods,
        ({ metadata }, reader) => {
          const key = { name: metadata.namespace! };
          return reader.get(Namespaces, key)?.metadata.deletionTimestamp ? [key] : [];
        },
        { on: ['deleted'] },
      ),
    ],
    reads: [CustomResourceDefinitions],
    backoff: { baseMs: 5, capMs: 60_000 },
    observe: observeContent(informers),
    machine: namespaceMachine,
  });
