import { changeStatus, concurrently, type Effect, put, removeAll, requeueAfter } from '@trimtab/framework';
import { Namespaces } from '@trimtab/machinery';
import { deletionConditions, mergeConditions } from './conditions.js';
import type { HeldKind } from './content.js';
import { FINALIZER, type NamespaceFacts, TERMINATING, untold } from './facts.js';

/** From here on the server lets nothing new in. */
export const close = ({ namespace }: NamespaceFacts): readonly Effect[] =>
  changeStatus(Namespaces, namespace, (draft) => {
    draft.status = { ...draft.status, phase: TERMINATING };
  });

export const deletePods = ({ namespace, pods }: NamespaceFacts): readonly Effect[] =>
  deleteHeld(namespace.metadata.name!, pods);

export const deleteRest = ({ namespace, rest }: NamespaceFacts): readonly Effect[] =>
  deleteHeld(namespace.metadata.name!, rest);

const deleteHeld = (namespace: string, held: readonly HeldKind[]): readonly Effect[] =>
  concurrently(untold(held).map(({ type }) => removeAll(type, namespace, { propagationPolicy: 'Background' })));

export const report = ({ namespace, remainder, now }: NamespaceFacts): readonly Effect[] =>
  changeStatus(Namespaces, namespace, (draft) => {
    const before = namespace.status?.conditions ?? [];
    const conditions = mergeConditions(before, deletionConditions(remainder, now));
    draft.status = { ...draft.status, conditions: [...conditions] };
  });

export const finalize = ({ namespace }: NamespaceFacts): readonly Effect[] => {
  const finalizers = namespace.spec?.finalizers?.filter((finalizer) => finalizer !== FINALIZER) ?? [];
  return [put(Namespaces, { ...namespace, spec: { ...namespace.spec, finalizers } } as typeof namespace, 'finalize')];
};

export const lookAgain = ({ lookAgainInMs }: NamespaceFacts): readonly Effect[] => [requeueAfter(lookAgainInMs)];
