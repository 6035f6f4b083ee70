import { type Failure, isDeleting, type View } from '@trimtab/framework';
import type { Namespace, ResourceType } from '@trimtab/machinery';
import { typeId } from '../collectable.js';
import type { Remainder } from './conditions.js';
import type { Content, HeldKind } from './content.js';

export const FINALIZER = 'kubernetes';
export const TERMINATING = 'Terminating';

/**
 * How soon a namespace that still holds something is looked at again: a quarter of the time it has been going. Times of
 * deletion are whole seconds, rounded down.
 */
const AGAIN = { share: 0.25, roundingMs: 1_000, leastMs: 10, mostMs: 2_000 };

/** All that the deletion of a namespace depends on. */
export interface NamespaceFacts {
  readonly namespace: Namespace;
  /** Pods; nothing else is touched while there are any (KEP-5080). */
  readonly pods: readonly HeldKind[];
  readonly rest: readonly HeldKind[];
  readonly remainder: Remainder;
  /** Every kind whose turn it was has been listed. */
  readonly complete: boolean;
  /** The last attempt to delete something failed. */
  readonly failed: boolean;
  readonly lookAgainInMs: number;
  readonly now: number;
}

/** True while this namespace is ours to empty. */
export const isClosingDown = (namespace: Namespace | undefined): namespace is Namespace =>
  namespace !== undefined && isDeleting(namespace) && namespace.spec?.finalizers?.includes(FINALIZER) === true;

/** …and nothing new can come into it. */
export const isClosed = (namespace: Namespace | undefined): namespace is Namespace =>
  isClosingDown(namespace) && namespace.status?.phase === TERMINATING;

export function namespaceFacts(view: View<Namespace>, content: Content | undefined): NamespaceFacts | undefined {
  const { object: namespace, now, failure } = view;
  if (namespace === undefined) return undefined;
  const held = content?.held ?? [];
  const failures = new Map([...(content?.failures ?? [])].map(([type, why]) => [typeId(type), why]));
  const refused = refusals(failure);
  for (const [id, why] of refused) failures.set(id, why);
  const going = now - (Date.parse(namespace.metadata.deletionTimestamp ?? '') || now);
  const share = (going - AGAIN.roundingMs) * AGAIN.share;
  return {
    namespace,
    pods: held.filter(({ type }) => isPods(type)),
    rest: held.filter(({ type }) => !isPods(type)),
    complete: content !== undefined && content.failures.size === 0,
    remainder: { content: counts(held), finalizers: finalizers(held), failures },
    failed: refused.size > 0,
    lookAgainInMs: Math.max(AGAIN.leastMs, Math.min(share, AGAIN.mostMs)),
    now,
  };
}

/** Kinds of which something has not been told to go yet. */
export const untold = (held: readonly HeldKind[]): readonly HeldKind[] =>
  held.filter(({ objects }) => objects.some((object) => !isDeleting(object)));

function refusals(failure: Failure | undefined): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { effect, error } of failure ? [failure, ...(failure.beside ?? [])] : [])
    if (effect?.type === 'deleteAll') found.set(typeId(effect.resource), error.message);
  return found;
}

const counts = (held: readonly HeldKind[]): ReadonlyMap<string, number> =>
  new Map(held.map(({ type, objects }) => [typeId(type), objects.length] as const).sort(byName));

function finalizers(held: readonly HeldKind[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { objects } of held)
    for (const finalizer of objects.flatMap(({ metadata }) => metadata.finalizers ?? []))
      found.set(finalizer, (found.get(finalizer) ?? 0) + 1);
  return new Map([...found].sort(byName));
}

export const isPods = ({ group, resource }: ResourceType): boolean => group === '' && resource === 'pods';

/** So that what is told does not depend on which answer came first. */
const byName = ([a]: readonly [string, number], [b]: readonly [string, number]): number => (a < b ? -1 : 1);
