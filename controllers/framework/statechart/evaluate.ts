import {
  type AnyEventObject,
  type AnyStateNode,
  type AnyTransitionDefinition,
  assign,
  cancel,
  emit,
  type MachineContext,
  raise,
} from 'xstate';
import type { Configuration, Step, Steps } from './steps.js';

/** Where a machine stands. */
export interface Standing {
  readonly configuration: Configuration;
  readonly context: MachineContext;
  /** A final state of the machine itself has been entered: nothing changes any more. */
  readonly ended: boolean;
}

/** What a step wants done, in order. */
export type Wish =
  | { readonly type: 'emit'; readonly event: AnyEventObject }
  | { readonly type: 'arm'; readonly id: string; readonly ms: number; readonly event: AnyEventObject }
  | { readonly type: 'disarm'; readonly id: string }
  /** An action that is a function of the machine's author. */
  | { readonly type: 'run'; readonly run: (() => unknown) | undefined; readonly name: string };

/** An action as xstate keeps it: a function with what it was made of as its properties. */
interface Action {
  (args: unknown, params: unknown): unknown;
  readonly type?: string;
  readonly resolve?: unknown;
  readonly assignment?: unknown;
  readonly event?: unknown;
  readonly id?: string;
  readonly delay?: unknown;
  readonly sendId?: unknown;
  readonly collect?: (args: object, params: unknown) => void;
}
type ActionReference = string | Action | { readonly type: string; readonly params?: unknown };
type Guard =
  | string
  | ((args: object, params: unknown) => boolean)
  | { readonly type: string; readonly params?: unknown };

/** Enters a machine anew. Pure but for what the machine's own functions do; throws what they throw. */
export function enter(steps: Steps, input: unknown, wishes: Wish[]): Standing {
  const { config } = steps.machine;
  const event = { type: 'xstate.init', input };
  const given = config.context as MachineContext | ((args: { readonly input: unknown }) => MachineContext) | undefined;
  const context = typeof given === 'function' ? given({ input }) : (given ?? {});
  const run = new Run(steps, context, wishes);
  run.take(steps.start, [], event);
  return run.settle(event);
}

/** What comes of an event. The same object where nothing does. */
export function step(steps: Steps, standing: Standing, event: AnyEventObject, wishes: Wish[]): Standing {
  if (standing.ended) return standing;
  const run = new Run(steps, standing.context, wishes, standing);
  const selected = run.selected(event);
  if (selected.length === 0) return standing;
  run.follow(selected, event);
  return run.settle(event);
}

/** One macrostep (SCXML): an event, and all that follows from it without another. */
class Run {
  readonly #steps: Steps;
  readonly #wishes: Wish[];
  readonly #raised: AnyEventObject[] = [];
  #configuration: Configuration | undefined;
  #context: MachineContext;
  #ended = false;

  constructor(steps: Steps, context: MachineContext, wishes: Wish[], from?: Standing) {
    this.#steps = steps;
    this.#wishes = wishes;
    this.#context = context;
    this.#configuration = from?.configuration;
  }

  /** The transitions an event enables, or, without one, those that wait for none. */
  selected(event: AnyEventObject, type = event.type): readonly AnyTransitionDefinition[] {
    const from = this.#configuration!;
    if (from.leaves.length === 1) {
      for (const candidate of this.#steps.candidates(from, type))
        if (this.#passes(candidate.guard as Guard | undefined, event)) return [candidate];
      return [];
    }
    const enabled =
      type === ''
        ? from.leaves.flatMap((leaf) => this.#firstUpwards(leaf, event))
        : this.#inside(this.#steps.machine.root, type, event);
    return enabled.length > 1 ? this.#steps.compatible(from, enabled) : enabled;
  }

  /** Transitions that wait for nothing, and events raised by them, until there is nothing left to do. */
  settle(event: AnyEventObject): Standing {
    let current = event;
    while (!this.#ended) {
      const eventless = this.selected(current, '');
      if (eventless.length > 0) this.follow(eventless, current);
      else {
        const next = this.#raised.shift();
        if (!next) break;
        current = next;
        this.follow(this.selected(current), current);
      }
    }
    return { configuration: this.#configuration!, context: this.#context, ended: this.#ended };
  }

  follow(transitions: readonly AnyTransitionDefinition[], event: AnyEventObject): void {
    if (transitions.length > 0) this.take(this.#steps.take(this.#configuration!, transitions), transitions, event);
  }

  take(taken: Step, transitions: readonly AnyTransitionDefinition[], event: AnyEventObject): void {
    for (const node of taken.left) this.#all(node.exit as readonly ActionReference[], event);
    for (const { actions } of transitions) this.#all(actions as readonly ActionReference[], event);
    for (const node of taken.entered) {
      this.#all(node.entry as readonly ActionReference[], event);
      for (const id of taken.done.get(node) ?? [])
        this.#raised.push({ type: `xstate.done.state.${id}`, output: undefined });
    }
    this.#configuration = taken.to;
    if (!taken.ends) return;
    this.#ended = true;
    for (const node of [...taken.to.nodes].reverse()) this.#all(node.exit as readonly ActionReference[], event);
  }

  #inside(node: AnyStateNode, type: string, event: AnyEventObject): readonly AnyTransitionDefinition[] {
    const inner = (this.#configuration!.below.get(node) ?? []).flatMap((child) => this.#inside(child, type, event));
    return inner.length > 0 ? inner : this.#first(node, type, event);
  }

  #firstUpwards(leaf: AnyStateNode, event: AnyEventObject): readonly AnyTransitionDefinition[] {
    for (let node: AnyStateNode | undefined = leaf; node; node = node.parent) {
      const found = this.#first(node, '', event);
      if (found.length > 0) return found;
    }
    return [];
  }

  #first(node: AnyStateNode, type: string, event: AnyEventObject): readonly AnyTransitionDefinition[] {
    const found = this.#steps.own(node, type).find(({ guard }) => this.#passes(guard as Guard | undefined, event));
    return found ? [found] : [];
  }

  #passes(guard: Guard | undefined, event: AnyEventObject): boolean {
    if (guard === undefined) return true;
    const args = { context: this.#context, event };
    if (typeof guard === 'function' && !('check' in guard)) return guard(args, undefined);
    const { guards } = this.#steps.machine.implementations;
    const known = typeof guard === 'function' ? guard : guards[typeof guard === 'string' ? guard : guard.type];
    if (typeof known !== 'function' || 'check' in known)
      throw new Error(`the guard ${JSON.stringify(guard)} of ${this.#steps.machine.id} is not a function`);
    return (known as (args: object, params: unknown) => boolean)(args, this.#paramsOf(guard, args));
  }

  #paramsOf(reference: unknown, args: { readonly context: MachineContext; readonly event: AnyEventObject }): unknown {
    if (typeof reference !== 'object' || reference === null || !('params' in reference)) return undefined;
    const { params } = reference;
    return typeof params === 'function' ? params(args) : params;
  }

  #all(actions: readonly ActionReference[], event: AnyEventObject): void {
    for (const action of actions) this.#act(action, event);
  }

  #act(reference: ActionReference, event: AnyEventObject): void {
    const { machine } = this.#steps;
    const args = { context: this.#context, event };
    const name = typeof reference === 'string' ? reference : (reference.type ?? '');
    const action = (typeof reference === 'function' ? reference : machine.implementations.actions[name]) as
      | Action
      | undefined;
    const params = this.#paramsOf(reference, args);
    if (!action || !('resolve' in action)) {
      const run = action && (() => action({ ...args, self: undefined, system: undefined }, params));
      this.#wishes.push({ type: 'run', run, name });
      return;
    }
    switch (action.type) {
      case 'xstate.assign':
        this.#context = { ...this.#context, ...assigned(action.assignment, args, params) };
        return;
      case 'xstate.emit':
        this.#wishes.push({ type: 'emit', event: called(action.event, args, params) as AnyEventObject });
        return;
      case 'xstate.raise':
        this.#raise(action, args, params);
        return;
      case 'xstate.cancel':
        this.#wishes.push({ type: 'disarm', id: called(action.sendId, args, params) as string });
        return;
      case 'xstate.enqueueActions':
        this.#all(this.#collected(action, args, params), event);
        return;
      default:
        throw new Error(`machine ${machine.id} uses ${action.type}; machines evaluated here have no actors`);
    }
  }

  #raise(action: Action, args: object, params: unknown): void {
    const { delays } = this.#steps.machine.implementations;
    const named = typeof action.delay === 'string' ? delays[action.delay] : action.delay;
    const ms = called(named, args, params);
    const event = called(action.event, args, params) as AnyEventObject;
    if (typeof ms !== 'number') this.#raised.push(event);
    else this.#wishes.push({ type: 'arm', id: action.id ?? event.type, ms, event });
  }

  #collected(action: Action, args: { readonly event: AnyEventObject }, params: unknown): readonly ActionReference[] {
    const actions: ActionReference[] = [];
    const making =
      <A extends readonly never[]>(make: (...given: A) => unknown) =>
      (...given: A): void =>
        void actions.push(make(...given) as Action);
    const enqueue = Object.assign((one: ActionReference) => void actions.push(one), {
      assign: making(assign as never),
      emit: making(emit as never),
      raise: making(raise as never),
      cancel: making(cancel as never),
    });
    const check = (guard: Guard) => this.#passes(guard, args.event);
    action.collect!({ ...args, enqueue, check }, params);
    return actions;
  }
}

const called = (value: unknown, args: object, params: unknown): unknown =>
  typeof value === 'function' ? value(args, params) : value;

function assigned(assignment: unknown, args: object, params: unknown): object {
  if (typeof assignment === 'function') return assignment(args, params);
  const change: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(assignment as object)) change[key] = called(value, args, params);
  return change;
}
