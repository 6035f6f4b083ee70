import type { KubeObject } from '@trimtab/machinery';
import type { AnyStateMachine } from 'xstate';
import { change } from './change.js';
import type { ControllerDefinition } from './controller.js';
import type { Decide } from './decide.js';
import type { Effect } from './effects.js';
import { MachineEvaluator, stateName } from './machine.js';
import { isDeleting } from './owners.js';
import type { View } from './view.js';

/** The finalizer of a controller that cleans up. */
export const finalizerOf = (definition: Pick<ControllerDefinition, 'name' | 'finalizer'>): string =>
  definition.finalizer ?? `cleanup.trimtab.dev/${definition.name}`;

/**
 * Puts the finalizer on before anything else is done for an object, calls `cleanup` instead of the decision once it is being
 * deleted, and takes the finalizer off only when `cleanup` says `done()` and every effect before that has succeeded. A
 * cleanup that fails, or waits, keeps the object: it is never let go by an error. A cleanup that is a statechart is entered anew
 * at each look, so it goes on where the facts say it is; its final states say `done()`.
 */
export function withFinalizer(definition: ControllerDefinition, decide: Decide): Decide {
  const { cleanup, for: type } = definition;
  if (!cleanup) return decide;
  const finalizer = finalizerOf(definition);
  const lastThings = typeof cleanup === 'function' ? plainly(cleanup) : byMachine(definition.name, cleanup);
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
    const { effects, finished, state = 'cleaningUp' } = lastThings(view, observed);
    const rest = effects.filter((effect) => effect.type !== 'done');
    if (!finished) return { effects: rest, state };
    const release = change<KubeObject>(type, { metadata: object.metadata }, (draft) => {
      draft.metadata.finalizers = (draft.metadata.finalizers ?? []).filter((name) => name !== finalizer);
    });
    return { effects: [...rest, ...release], state: 'cleanedUp' };
  };
}

type LastThings = (
  view: View,
  observed: unknown,
) => { readonly effects: readonly Effect[]; readonly finished: boolean; readonly state?: string };

const plainly =
  (cleanup: (view: View, observed: unknown) => readonly Effect[]): LastThings =>
  (view, observed) => {
    const effects = cleanup(view, observed);
    return { effects, finished: effects.some(({ type }) => type === 'done') };
  };

function byMachine(name: string, machine: AnyStateMachine): LastThings {
  const evaluator = new MachineEvaluator(machine);
  return (view, observed) => {
    const { place, effects, timers } = evaluator.place({ view, observed });
    if (timers.length > 0) throw new Error(`the cleanup of ${name} uses delays: requeueAfter is for that`);
    const finished = place.nodes.some(({ type, parent }) => type === 'final' && parent === machine.root);
    return { effects, finished, state: `cleaningUp.${stateName(place)}` };
  };
}
