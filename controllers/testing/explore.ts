import { MachineEvaluator } from '@trimtab/framework';
import type { AnyEventObject, AnyMachineSnapshot, AnyStateMachine } from 'xstate';

export interface ExploreOptions {
  /**
   * What the machine may be shown: inputs to begin with and, as `{ type: 'OBSERVED', ...input }`, events afterwards. One for
   * each case the machine tells apart is enough.
   */
  readonly inputs: readonly object[];
  /** Further events. Delayed ones (`after`) come by themselves. */
  readonly events?: readonly AnyEventObject[];
  /** Where a machine may rest for good; default its final states, and those tagged `Ready`, `Stalled` or `Settled`. */
  readonly settled?: (snapshot: AnyMachineSnapshot) => boolean;
  /** What of the context makes a state another one; default all of it. */
  readonly abstract?: (context: unknown) => unknown;
  /** States after which it is given up; default 10,000. */
  readonly limit?: number;
}

export interface Exploration {
  /** Names of the states that were reached, as `starting` or `rolling.growing`. */
  readonly reached: readonly string[];
  /** States of the machine nothing leads to. */
  readonly unreachable: readonly string[];
  /** States from which no settled one can be reached, with a way into each. */
  readonly trapping: readonly string[];
  /** Steps that threw, with the way there. */
  readonly thrown: readonly string[];
  /** Throws unless everything is reachable, nothing traps and nothing threw. */
  expectLive(): void;
}

interface Armed {
  readonly id: string;
  readonly event: AnyEventObject;
}

interface Node {
  readonly snapshot: AnyMachineSnapshot;
  readonly way: readonly string[];
  readonly next: Set<string>;
  /** Delayed events that are armed. */
  readonly armed: readonly Armed[];
}

const DEFAULT_LIMIT = 10_000;
const RESTING = ['Ready', 'Stalled', 'Settled'];

/** Walks every state of a machine that can be reached by what it may be shown, by pure transitions; carries out nothing. */
export function explore(machine: AnyStateMachine, options: ExploreOptions): Exploration {
  const { inputs, events = [], limit = DEFAULT_LIMIT, abstract = (context) => context } = options;
  const settled = options.settled ?? restsBy;
  const evaluator = new MachineEvaluator(machine);
  const nodes = new Map<string, Node>();
  const thrown: string[] = [];
  const queue: string[] = [];
  const take = (
    way: readonly string[],
    armed: readonly Armed[],
    step: () => ReturnType<MachineEvaluator['enter']>,
  ): string | undefined => {
    try {
      const { snapshot, timers } = step();
      let left = armed;
      for (const timer of timers) {
        left = left.filter(({ id }) => id !== timer.id);
        if (timer.type === 'arm') left = [...left, { id: timer.id, event: timer.event }];
      }
      const id = JSON.stringify([snapshot.value, abstract(snapshot.context), left.map(({ id }) => id).sort()]);
      if (!nodes.has(id)) {
        if (nodes.size >= limit)
          throw new RangeError(`more than ${limit} states; tell what matters of the context with \`abstract\``);
        nodes.set(id, { snapshot, way, next: new Set(), armed: left });
        queue.push(id);
      }
      return id;
    } catch (error) {
      if (error instanceof RangeError) throw error;
      thrown.push(`${way.join(' -> ')}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  for (const [i, input] of inputs.entries()) take([`input ${i}`], [], () => evaluator.enter(input));
  for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
    const node = nodes.get(id)!;
    const onward = (what: string, armed: readonly Armed[], event: AnyEventObject) => {
      const next = take([...node.way, what], armed, () => evaluator.step(node.snapshot, event));
      if (next !== undefined) node.next.add(next);
    };
    if (node.snapshot.status === 'done') continue;
    for (const [i, input] of inputs.entries()) onward(`OBSERVED ${i}`, node.armed, { type: 'OBSERVED', ...input });
    for (const event of events) onward(event.type, node.armed, event);
    for (const due of node.armed)
      for (const [i, input] of inputs.entries()) {
        const others = node.armed.filter((other) => other !== due);
        onward(`${due.id} ${i}`, others, { ...due.event, ...input });
      }
  }
  return result(machine, nodes, settled, thrown);
}

function result(
  machine: AnyStateMachine,
  nodes: ReadonlyMap<string, Node>,
  settled: (snapshot: AnyMachineSnapshot) => boolean,
  thrown: readonly string[],
): Exploration {
  const reached = new Set<string>();
  for (const { snapshot } of nodes.values()) for (const name of namesOf(snapshot.value)) reached.add(name);
  const unreachable = leavesOf(machine.root).filter((name) => !reached.has(name));
  const live = new Set([...nodes].filter(([, { snapshot }]) => settled(snapshot)).map(([id]) => id));
  for (let grew = true; grew; ) {
    grew = false;
    for (const [id, { next }] of nodes)
      if (!live.has(id) && [...next].some((other) => live.has(other))) {
        live.add(id);
        grew = true;
      }
  }
  const trapped = new Map<string, string>();
  for (const [id, { snapshot, way }] of nodes) {
    const name = namesOf(snapshot.value).join(', ');
    if (!live.has(id) && !trapped.has(name)) trapped.set(name, `${name}: ${way.join(' -> ')}`);
  }
  const trapping = [...trapped.values()];
  return {
    reached: [...reached].sort(),
    unreachable,
    trapping,
    thrown,
    expectLive() {
      const wrong = [
        ...unreachable.map((name) => `nothing leads to ${name}`),
        ...trapping.map((way) => `never settles from ${way}`),
        ...thrown.map((way) => `threw on ${way}`),
      ];
      if (wrong.length > 0) throw new Error(`machine ${machine.id}:\n  ${wrong.join('\n  ')}`);
    },
  };
}

const restsBy = (snapshot: AnyMachineSnapshot): boolean =>
  snapshot.status === 'done' || RESTING.some((tag) => snapshot.hasTag(tag));

function namesOf(value: unknown, above = ''): readonly string[] {
  if (typeof value === 'string') return [above + value];
  return Object.entries(value as Record<string, unknown>).flatMap(([name, inner]) =>
    Object.keys(Object(inner)).length === 0 && typeof inner !== 'string'
      ? [above + name]
      : namesOf(inner, `${above}${name}.`),
  );
}

interface StateNode {
  readonly type: string;
  readonly states: Readonly<Record<string, StateNode>>;
}

/** Every state without inner ones; those that only pass on at once (`always` from all) are never stood in. */
function leavesOf(node: StateNode, above = ''): readonly string[] {
  return Object.entries(node.states).flatMap(([name, inner]) => {
    const passing = (inner as unknown as { readonly always?: readonly { readonly guard?: unknown }[] }).always;
    if (passing?.some(({ guard }) => guard === undefined)) return [];
    return Object.keys(inner.states).length === 0 ? [above + name] : leavesOf(inner, `${above}${name}.`);
  });
}
