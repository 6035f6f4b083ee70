import {
  type AnyActorScope,
  type AnyEventObject,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyStateNode,
  createActor,
} from 'xstate';
import type { Effect } from './effects.js';
import { enter, type Wish } from './statechart/evaluate.js';
import { Steps } from './statechart/steps.js';

/** What one pure step of a machine gives. */
export interface MachineStep {
  readonly snapshot: AnyMachineSnapshot;
  readonly effects: readonly Effect[];
  /** Timers to arm and to cancel, in order. */
  readonly timers: readonly TimerChange[];
}

/** Where a machine stands, as far as it is shown. */
export interface Place {
  readonly value: unknown;
  /** The active states, outer ones first. */
  readonly nodes: readonly AnyStateNode[];
}

export const placeOf = (snapshot: AnyMachineSnapshot): Place => ({
  value: snapshot.value,
  nodes: (snapshot as unknown as { readonly _nodes: readonly AnyStateNode[] })._nodes,
});

/** `running`, and of nested or parallel states their JSON. */
export const stateName = ({ value }: Pick<Place, 'value'>): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

export type TimerChange =
  | { readonly type: 'arm'; readonly id: string; readonly ms: number; readonly event: AnyEventObject }
  | { readonly type: 'cancel'; readonly id: string };

interface RecordedAction {
  readonly type: string;
  readonly info: unknown;
  readonly params: unknown;
  readonly exec?: ((info: never, params: never) => unknown) | undefined;
}

/**
 * Evaluates xstate machines as pure functions. xstate's own `transition()` builds an actor a call; one inert scope a
 * machine gives the same steps for a quarter of the time.
 */
export class MachineEvaluator {
  readonly #machine: AnyStateMachine;
  #inert: AnyActorScope | undefined;
  readonly #steps: Steps | undefined;
  #actions: RecordedAction[] = [];

  constructor(machine: AnyStateMachine) {
    this.#machine = machine;
    this.#steps = Steps.of(machine);
  }

  /** Made when it is first needed: most machines are followed without. */
  get #scope(): AnyActorScope {
    if (this.#inert) return this.#inert;
    const self = createActor(this.#machine, { input: {} });
    this.#inert = {
      self,
      system: self.system,
      id: '',
      sessionId: '',
      logger: () => {},
      defer: () => {},
      emit: () => {},
      stopChild: () => {},
      actionExecutor: (action) => void this.#actions.push(action as RecordedAction),
    };
    return this.#inert;
  }

  enter(input: unknown): MachineStep {
    return this.#collect(() => this.#machine.getInitialSnapshot(this.#scope, input));
  }

  /** What {@link enter} gives, for those who go on from nowhere: without a snapshot where the machine allows it. */
  place(input: unknown): Omit<MachineStep, 'snapshot'> & { readonly place: Place } {
    if (!this.#steps) {
      const { snapshot, ...rest } = this.enter(input);
      return { ...rest, place: placeOf(snapshot) };
    }
    const wishes: Wish[] = [];
    const { value, nodes } = enter(this.#steps, input, wishes).configuration;
    const effects: Effect[] = [];
    const timers: TimerChange[] = [];
    for (const wish of wishes) {
      if (wish.type === 'arm') timers.push(wish);
      else if (wish.type === 'disarm') timers.push({ type: 'cancel', id: wish.id });
      else if (wish.type === 'run') collect(effects, wish.run?.());
    }
    return { effects, timers, place: { value, nodes } };
  }

  step(snapshot: AnyMachineSnapshot, event: AnyEventObject): MachineStep {
    return this.#collect(() => this.#machine.transition(snapshot, event, this.#scope));
  }

  /** A snapshot from what was kept of one. Throws when the machine no longer has that state. */
  restore(kept: { readonly value: unknown; readonly context: unknown }): AnyMachineSnapshot {
    return this.#machine.resolveState({ value: kept.value as string, context: kept.context });
  }

  #collect(run: () => AnyMachineSnapshot): MachineStep {
    this.#actions = [];
    const snapshot = run();
    const actions = this.#actions;
    this.#actions = [];
    if (snapshot.status === 'error') throw snapshot.error;
    const effects: Effect[] = [];
    const timers: TimerChange[] = [];
    for (const action of actions) {
      if (action.type === 'xstate.raise') timers.push(armed(action.params));
      else if (action.type === 'xstate.cancel') timers.push(cancelled(action.params));
      else if (action.type.startsWith('xstate.'))
        throw new Error(`machine ${this.#machine.id} uses ${action.type}; controllers' machines have no actors`);
      else collect(effects, action.exec?.(action.info as never, action.params as never));
    }
    return { snapshot, effects, timers };
  }
}

function armed(params: unknown): TimerChange {
  const { id, delay, event } = params as { id?: string; delay?: number; event: AnyEventObject };
  return { type: 'arm', id: id ?? event.type, ms: delay ?? 0, event };
}

function collect(into: Effect[], result: unknown): void {
  if (Array.isArray(result)) into.push(...(result as readonly Effect[]));
  else if (result !== null && typeof result === 'object' && 'type' in result) into.push(result as Effect);
}

const cancelled = (params: unknown): TimerChange => ({
  type: 'cancel',
  id: (params as { readonly sendId: string }).sendId,
});
