import {
  type AnyActorScope,
  type AnyEventObject,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
} from 'xstate';
import type { Effect } from './effects.js';

/** What one pure step of a machine gives. */
export interface MachineStep {
  readonly snapshot: AnyMachineSnapshot;
  readonly effects: readonly Effect[];
  /** Timers to arm and to cancel, in order. */
  readonly timers: readonly TimerChange[];
}

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
  readonly #scope: AnyActorScope;
  #actions: RecordedAction[] = [];

  constructor(machine: AnyStateMachine) {
    this.#machine = machine;
    const self = createActor(machine, { input: {} });
    this.#scope = {
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
  }

  enter(input: unknown): MachineStep {
    return this.#collect(() => this.#machine.getInitialSnapshot(this.#scope, input));
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
