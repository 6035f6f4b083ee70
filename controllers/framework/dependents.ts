import type { KubeObject, ResourceType } from '@trimtab/machinery';
import { type AnyStateMachine, createMachine } from 'xstate';
import { apply, type Effect, remove } from './effects.js';
import { owned } from './owned.js';
import { isDeleting } from './owners.js';
import type { View } from './view.js';

/** One kind of thing an object is made of, and how it hangs together with the others. */
export interface Dependent<T extends KubeObject, O extends KubeObject = KubeObject> {
  readonly name: string;
  readonly type: ResourceType<O>;
  /**
   * What there should be: one object, several (bulk: what is owned beyond them goes), or none. Left out for something
   * others make and this only waits for (read-only).
   */
  readonly desired?: (object: T, view: View<T>) => O | readonly O[] | undefined;
  /** Of a read-only one: which objects are meant. Default those the object owns. */
  readonly present?: (object: T, view: View<T>) => readonly O[];
  /** Conditional: while this is false there should be none, and what is owned goes. */
  readonly when?: (object: T, view: View<T>) => boolean;
  /** What must be ready before this is begun; and this goes before they do. */
  readonly after?: readonly string[];
  /** Default: all that is desired is there. */
  readonly ready?: (objects: readonly O[], object: T) => boolean;
}

export interface DependentsResult {
  readonly effects: readonly Effect[];
  /** All that should be there is there and ready, and nothing is there that should not. */
  readonly ready: boolean;
  /** Names of those not ready yet, of those that wait for others first. */
  readonly waitingFor: readonly string[];
}

export const dependent = <T extends KubeObject, O extends KubeObject>(definition: Dependent<T, O>): Dependent<T> =>
  definition as unknown as Dependent<T>;

/**
 * What to do next about all that an object is made of, in the order of what needs what: made as soon as what it needs is
 * ready, taken away only when nothing that needs it is left. Pure; levels are as good as edges.
 *
 * @throws Error for a name that is not there, or that needs itself.
 */
export function dependents<T extends KubeObject>(
  type: ResourceType<T>,
  view: View<T>,
  definitions: readonly Dependent<T>[],
): DependentsResult {
  const parts = judged(type, view, definitions);
  return {
    effects: parts.flatMap(({ effects }) => effects),
    ready: parts.every(({ phase }) => phase === 'ready'),
    waitingFor: parts.filter(({ behind }) => behind).map(({ name }) => name),
  };
}

/** Where one of them stands. */
interface Judged {
  readonly name: string;
  /** `waiting` for others, being `made`, `ready`, or there is more than there should be, which is `leaving`. */
  readonly phase: 'waiting' | 'making' | 'ready' | 'leaving';
  readonly behind: boolean;
  readonly effects: readonly Effect[];
}

function judged<T extends KubeObject>(
  type: ResourceType<T>,
  view: View<T>,
  definitions: readonly Dependent<T>[],
): readonly Judged[] {
  const { object } = view;
  if (!object) return [];
  const order = inOrder(definitions);
  const states = new Map(order.map((each) => [each.name, stateOf(type, view, object, each)]));
  const needed = (name: string) =>
    order.some((each) => each.after?.includes(name) && states.get(each.name)!.surplus.length > 0);
  return order.map(({ name, after = [], type: kind }) => {
    const { ready, surplus, wanted } = states.get(name)!;
    const begun = after.every((before) => states.get(before)!.ready);
    const leaving = needed(name) ? [] : surplus.filter((extra) => !isDeleting(extra));
    return {
      name,
      phase: !ready ? (begun ? 'making' : 'waiting') : surplus.length > 0 ? 'leaving' : 'ready',
      behind: !ready,
      effects: [
        ...(begun ? wanted.map((each) => apply(kind, each)) : []),
        ...leaving.map((extra) => remove(kind, extra)),
      ],
    };
  });
}

/**
 * {@link dependents} as the machine of a controller: one region for each, which waits, makes, is ready or takes away. So where
 * each part of an object stands is shown where states are shown, and drawn where machines are drawn.
 */
export function dependentsMachine<T extends KubeObject>(
  type: ResourceType<T>,
  definitions: readonly Dependent<T>[],
): AnyStateMachine {
  type Context = { readonly parts: ReadonlyMap<string, Judged> };
  const regionOf = ({ name, after = [] }: Dependent<T>) => {
    const act = ({ context }: { readonly context: Context }) => context.parts.get(name)?.effects ?? [];
    const is =
      (phase: Judged['phase']) =>
      ({ context }: { readonly context: Context }) =>
        (context.parts.get(name)?.phase ?? 'ready') === phase;
    const phases = ['waiting', 'making', 'leaving', 'ready'] as const;
    const states = Object.fromEntries(phases.map((phase) => [phase, { entry: act }]));
    const waiting = after.length > 0 ? { description: `Waits for ${after.join(', ')}` } : {};
    return {
      initial: 'looking',
      states: {
        ...states,
        waiting: { ...states.waiting, ...waiting },
        looking: { always: phases.map((phase) => ({ guard: is(phase), target: phase })) },
      },
    };
  };
  return createMachine({
    type: 'parallel',
    context: ({ input }) => {
      const { view } = input as { readonly view: View<T> };
      return { parts: new Map(judged(type, view, definitions).map((part) => [part.name, part])) };
    },
    states: Object.fromEntries(definitions.map((each) => [each.name, regionOf(each)])),
  } as Parameters<typeof createMachine>[0]) as AnyStateMachine;
}

interface State {
  readonly wanted: readonly KubeObject[];
  readonly surplus: readonly KubeObject[];
  readonly ready: boolean;
}

function stateOf<T extends KubeObject>(type: ResourceType<T>, view: View<T>, object: T, each: Dependent<T>): State {
  const { type: kind, desired, present, when, ready } = each;
  const there = present ? present(object, view) : view.owned(kind);
  if (!desired) return { wanted: [], surplus: [], ready: ready ? ready(there, object) : there.length > 0 };
  const result = when && !when(object, view) ? [] : desired(object, view);
  const list =
    result === undefined ? [] : Array.isArray(result) ? (result as readonly KubeObject[]) : [result as KubeObject];
  const wanted = list.map((one) => owned(type as unknown as ResourceType, object, one));
  const names = new Set(wanted.map(({ metadata }) => metadata.name));
  const kept = there.filter(({ metadata }) => names.has(metadata.name!));
  return {
    wanted,
    surplus: there.filter(({ metadata }) => !names.has(metadata.name!)),
    ready: kept.length === names.size && (names.size === 0 || (ready?.(kept, object) ?? true)),
  };
}

function inOrder<T extends KubeObject>(definitions: readonly Dependent<T>[]): readonly Dependent<T>[] {
  const placed: Dependent<T>[] = [];
  const visit = (each: Dependent<T>, path: readonly string[]) => {
    if (placed.includes(each)) return;
    if (path.includes(each.name)) throw new Error(`dependents need each other: ${[...path, each.name].join(' → ')}`);
    for (const name of each.after ?? []) {
      const before = definitions.find((other) => other.name === name);
      if (!before) throw new Error(`dependent ${each.name} is after ${name}, which there is not`);
      visit(before, [...path, each.name]);
    }
    placed.push(each);
  };
  for (const each of definitions) visit(each, []);
  return placed;
}
