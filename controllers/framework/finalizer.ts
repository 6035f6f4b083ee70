import type { KubeObject } from '@trimtab/machinery';
import { change } from './change.js';
import type { ControllerDefinition } from './controller.js';
import type { Decide } from './decide.js';
import { isDeleting } from './owners.js';

/** The finalizer of a controller that cleans up. */
export const finalizerOf = (definition: Pick<ControllerDefinition, 'name' | 'finalizer'>): string =>
  definition.finalizer ?? `cleanup.trimtab.dev/${definition.name}`;

/**
 * Puts the finalizer on before anything else is done for an object, calls `cleanup` instead of the decision once it is being
 * deleted, and takes the finalizer off only when `cleanup` says `done()` and every effect before that has succeeded. A
 * cleanup that fails, or waits, keeps the object: it is never let go by an error.
 */
export function withFinalizer(definition: ControllerDefinition, decide: Decide): Decide {
  const { cleanup, for: type } = definition;
  if (!cleanup) return decide;
  const finalizer = finalizerOf(definition);
  return (view, observed) => {
    const { object } = view;
    // All that was to be done for it has been done before it was let go.
    if (!object) return { effects: [] };
    const present = object.metadata.finalizers?.includes(finalizer) ?? false;
    if (!isDeleting(object)) {
      const decision = decide(view, observed);
      if (present) return decision;
      const add = change<KubeObject>(type, { metadata: object.metadata }, (draft) => {
        draft.metadata.finalizers = [...(draft.metadata.finalizers ?? []), finalizer];
      });
      return { ...decision, effects: [...add, ...decision.effects] };
    }
    if (!present) return { effects: [], state: 'deleting' };
    const effects = cleanup(view, observed);
    const finished = effects.some((effect) => effect.type === 'done');
    const rest = effects.filter((effect) => effect.type !== 'done');
    if (!finished) return { effects: rest, state: 'cleaningUp' };
    const release = change<KubeObject>(type, { metadata: object.metadata }, (draft) => {
      draft.metadata.finalizers = (draft.metadata.finalizers ?? []).filter((name) => name !== finalizer);
    });
    return { effects: [...rest, ...release], state: 'cleanedUp' };
  };
}
