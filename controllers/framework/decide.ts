import type { KubeObject } from '@trimtab/machinery';
import type { AnyEventObject, AnyMachineSnapshot } from 'xstate';
import { change } from './change.js';
import type { ControllerDefinition } from './controller.js';
import { type Effect, requeueAfter } from './effects.js';
import { withFinalizer } from './finalizer.js';
import { MachineEvaluator, placeOf, stateName, type TimerChange } from './machine.js';
import { published, tagsOf } from './publish.js';
import type { View } from './view.js';

/** What an evaluation gives: effects in order and, for machines, the state the object is in. */
export interface DecisionResult {
  readonly effects: readonly Effect[];
  readonly state?: string;
}

/** `observed` is what the controller's `observe` found, if it has one. */
export type Decide = (view: View, observed?: unknown) => DecisionResult;

/** The pure decision of a controller, whichever way it was written. */
export const decideOf = (definition: ControllerDefinition): Decide =>
  withFinalizer(definition, plainDecide(definition));

function plainDecide(definition: ControllerDefinition): Decide {
  const { reconcile, machine, name } = definition;
  if (reconcile) return (view, observed) => ({ effects: reconcile(view, observed) });
  const evaluator = new MachineEvaluator(machine!);
  const tags = tagsOf(machine!);
  if (definition.durable) return (view, observed) => decideDurably({ evaluator, definition, tags }, { view, observed });
  return (view, observed) => {
    const { place, effects, timers } = evaluator.place({ view, observed });
    if (timers.length > 0) throw new Error(`machine of ${name} uses delays; only durable machines can keep them`);
    return {
      effects: published(definition, tags, view.object, place, effects, view.now),
      state: stateName(place),
    };
  };
}

interface Durable {
  readonly evaluator: MachineEvaluator;
  readonly definition: ControllerDefinition;
  readonly tags: readonly string[];
}

/** A durable machine's state as it stands in the object's annotation; `due` in milliseconds since the epoch. */
interface Kept {
  readonly value: unknown;
  readonly context: unknown;
  readonly due: readonly DueEvent[];
}

interface DueEvent {
  readonly id: string;
  readonly at: number;
  readonly event: AnyEventObject;
}

const ANNOTATION_PREFIX = 'state.trimtab.dev/';

interface Input {
  readonly view: View;
  readonly observed: unknown;
}

function decideDurably({ evaluator, definition, tags }: Durable, input: Input): DecisionResult {
  const { for: type, name } = definition;
  const { object, now } = input.view;
  if (!object) return { effects: [] };
  const annotation = ANNOTATION_PREFIX + name;
  const kept = readKept(object.metadata.annotations?.[annotation]);
  const effects: Effect[] = [];
  let due: readonly DueEvent[] = kept?.due ?? [];
  let snapshot: AnyMachineSnapshot | undefined;
  const take = (step: ReturnType<MachineEvaluator['enter']>) => {
    effects.push(...step.effects);
    due = withTimers(due, step.timers, now);
    snapshot = step.snapshot;
  };
  // A state this version of the machine does not know any more is observed anew.
  snapshot = kept && tryRestore(evaluator, kept);
  if (!snapshot) {
    due = [];
    take(evaluator.enter(input));
  }
  for (let next = earliest(due); next && next.at <= now; next = earliest(due)) {
    const fired = next;
    due = due.filter((d) => d !== fired);
    take(evaluator.step(snapshot!, { ...fired.event, ...input }));
  }
  take(evaluator.step(snapshot!, { type: 'OBSERVED', ...input }));
  const keep = JSON.stringify({ value: snapshot!.value, context: snapshot!.context, due } satisfies Kept);
  const next = earliest(due);
  return {
    state: stateName(snapshot!),
    effects: [
      ...published(definition, tags, object, placeOf(snapshot!), effects, now),
      ...change<KubeObject>(
        type,
        { metadata: object.metadata },
        (draft) => {
          draft.metadata.annotations = { ...draft.metadata.annotations, [annotation]: keep };
        },
        { guarded: false },
      ),
      ...(next ? [requeueAfter(next.at - now)] : []),
    ],
  };
}

function readKept(text: string | undefined): Kept | undefined {
  if (text === undefined) return undefined;
  try {
    const kept = JSON.parse(text) as Partial<Kept>;
    return kept.value === undefined ? undefined : { value: kept.value, context: kept.context, due: kept.due ?? [] };
  } catch {
    return undefined;
  }
}

function tryRestore(evaluator: MachineEvaluator, kept: Kept): AnyMachineSnapshot | undefined {
  try {
    return evaluator.restore(kept);
  } catch {
    return undefined;
  }
}

function withTimers(due: readonly DueEvent[], changes: readonly TimerChange[], now: number): readonly DueEvent[] {
  let next = due;
  for (const timer of changes) {
    next = next.filter((d) => d.id !== timer.id);
    if (timer.type === 'arm') next = [...next, { id: timer.id, at: now + timer.ms, event: timer.event }];
  }
  return next;
}

const earliest = (due: readonly DueEvent[]): DueEvent | undefined =>
  due.reduce<DueEvent | undefined>((first, d) => (!first || d.at < first.at ? d : first), undefined);
