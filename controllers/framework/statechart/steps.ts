import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition, StateValue } from 'xstate';

/** A set of states a machine can be in at once, with all that follows from it alone. There is one of each a machine. */
export interface Configuration {
  /** In document order. */
  readonly nodes: readonly AnyStateNode[];
  readonly value: StateValue;
  /** `a`, `a.b`: the paths of its states. */
  readonly paths: ReadonlySet<string>;
  /** What each state with active children has active below it. */
  readonly below: ReadonlyMap<AnyStateNode, readonly AnyStateNode[]>;
  readonly leaves: readonly AnyStateNode[];
}

/** What a set of transitions does to a configuration (SCXML: microstep). */
export interface Step {
  /** In the order in which they are left. */
  readonly left: readonly AnyStateNode[];
  /** In the order in which they are entered. */
  readonly entered: readonly AnyStateNode[];
  readonly to: Configuration;
  /** After the final state at this place of `entered`, these are done. */
  readonly done: ReadonlyMap<AnyStateNode, readonly string[]>;
  /** The machine itself is done. */
  readonly ends: boolean;
}

/**
 * The part of a statechart's meaning that does not depend on its context: which transitions a state may take, and what is left
 * and entered by them. Worked out once, when it is first needed, since a machine has few states and takes few ways through them.
 */
export class Steps {
  readonly machine: AnyStateMachine;
  readonly #configurations = new Map<string, Configuration>();
  readonly #candidates = new Map<Configuration, Map<string, readonly AnyTransitionDefinition[]>>();
  readonly #own = new Map<AnyStateNode, Map<string, readonly AnyTransitionDefinition[]>>();
  readonly #alone = new Map<Configuration, Map<AnyTransitionDefinition, Step>>();
  #start: Step | undefined;

  private constructor(machine: AnyStateMachine) {
    this.machine = machine;
  }

  static readonly #known = new WeakMap<AnyStateMachine, Steps | undefined>();

  /** Undefined for machines with what is not followed here: history, actors, actions of initial transitions, outputs. */
  static of(machine: AnyStateMachine): Steps | undefined {
    if (!Steps.#known.has(machine)) Steps.#known.set(machine, isPlain(machine.root) ? new Steps(machine) : undefined);
    return Steps.#known.get(machine);
  }

  /** From nothing into the initial states. */
  get start(): Step {
    if (!this.#start) {
      const entered = new Set<AnyStateNode>();
      enterByDefault(this.machine.root, entered);
      this.#start = this.#step([], new Set(), entered);
    }
    return this.#start;
  }

  /** Transitions on an event, innermost state first, of which the first whose guard passes is taken; with one leaf only. */
  candidates(from: Configuration, eventType: string): readonly AnyTransitionDefinition[] {
    let known = this.#candidates.get(from);
    if (!known) {
      known = new Map();
      this.#candidates.set(from, known);
    }
    let found = known.get(eventType);
    if (!found) {
      found = from.leaves.flatMap((leaf) => ancestry(leaf).flatMap((node) => candidatesOf(node, eventType)));
      known.set(eventType, found);
    }
    return found;
  }

  /** Transitions of one state alone on an event. */
  own(node: AnyStateNode, eventType: string): readonly AnyTransitionDefinition[] {
    let known = this.#own.get(node);
    if (!known) {
      known = new Map();
      this.#own.set(node, known);
    }
    let found = known.get(eventType);
    if (!found) {
      found = candidatesOf(node, eventType);
      known.set(eventType, found);
    }
    return found;
  }

  take(from: Configuration, transitions: readonly AnyTransitionDefinition[]): Step {
    const [only] = transitions;
    if (transitions.length > 1 || !only) return this.#worked(from, transitions);
    let known = this.#alone.get(from);
    if (!known) {
      known = new Map();
      this.#alone.set(from, known);
    }
    let step = known.get(only);
    if (!step) {
      step = this.#worked(from, transitions);
      known.set(only, step);
    }
    return step;
  }

  /** Those left when what an inner state wants excludes what an outer one wants (SCXML: removeConflictingTransitions). */
  compatible(from: Configuration, enabled: readonly AnyTransitionDefinition[]): readonly AnyTransitionDefinition[] {
    const kept = new Set<AnyTransitionDefinition>();
    for (const one of new Set(enabled)) {
      const mine = exitSet(from, one);
      const against = [...kept].filter((other) => exitSet(from, other).some((node) => mine.includes(node)));
      if (against.some((other) => !isBelow(one.source, other.source))) continue;
      for (const other of against) kept.delete(other);
      kept.add(one);
    }
    return [...kept];
  }

  #worked(from: Configuration, transitions: readonly AnyTransitionDefinition[]): Step {
    const left = new Set(transitions.flatMap((transition) => exitSet(from, transition)));
    const entered = new Set<AnyStateNode>();
    for (const transition of transitions) entrySet(transition, entered);
    const staying = from.nodes.filter((node) => !left.has(node));
    return this.#step(
      [...left].sort((a, b) => b.order - a.order),
      new Set(staying),
      entered,
    );
  }

  #step(left: readonly AnyStateNode[], active: Set<AnyStateNode>, entering: ReadonlySet<AnyStateNode>): Step {
    const entered = [...entering].sort((a, b) => a.order - b.order);
    const done = new Map<AnyStateNode, readonly string[]>();
    const completed = new Set<AnyStateNode>();
    let ends = false;
    for (const node of entered) {
      active.add(node);
      if (node.type !== 'final') continue;
      const { parent } = node;
      const events: string[] = [];
      if (parent?.type === 'compound') events.push(parent.id);
      let outer = parent?.type === 'parallel' ? parent : parent?.parent;
      while (outer?.type === 'parallel' && !completed.has(outer) && isFinished(outer, active)) {
        completed.add(outer);
        events.push(outer.id);
        outer = outer.parent;
      }
      done.set(node, events);
      if (!outer) ends = true;
    }
    return { left, entered, to: this.#configuration(active), done, ends };
  }

  #configuration(active: ReadonlySet<AnyStateNode>): Configuration {
    const nodes = [...active].sort((a, b) => a.order - b.order);
    const key = nodes.map(({ order }) => order).join();
    let known = this.#configurations.get(key);
    if (!known) {
      const below = new Map<AnyStateNode, AnyStateNode[]>();
      for (const node of nodes) if (node.parent) below.set(node.parent, [...(below.get(node.parent) ?? []), node]);
      known = {
        nodes,
        below,
        leaves: nodes.filter((node) => !below.has(node)),
        paths: new Set(nodes.map(({ path }) => path.join('.'))),
        value: stateValue(this.machine.root, below),
      };
      this.#configurations.set(key, known);
    }
    return known;
  }
}

function isPlain(node: AnyStateNode): boolean {
  const { config } = node;
  const initial = node.type === 'compound' ? node.initial.actions : [];
  if (node.type === 'history' || config.invoke !== undefined || config.output !== undefined || initial.length > 0)
    return false;
  return Object.values(node.states as Readonly<Record<string, AnyStateNode>>).every(isPlain);
}

const children = (node: AnyStateNode): readonly AnyStateNode[] => Object.values(node.states);

const ancestry = (node: AnyStateNode): readonly AnyStateNode[] =>
  node.parent ? [node, ...ancestry(node.parent)] : [node];

const isBelow = (node: AnyStateNode, above: AnyStateNode | undefined): boolean =>
  above === undefined || ancestry(node).slice(1).includes(above);

/** `''` stands for no event at all. Descriptors with wildcards come after the exact one, longer ones first. */
function candidatesOf(node: AnyStateNode, eventType: string): readonly AnyTransitionDefinition[] {
  if (eventType === '') return (node.always ?? []) as readonly AnyTransitionDefinition[];
  const wild = [...node.transitions.keys()]
    .filter((descriptor) => descriptor !== eventType && isMeant(descriptor, eventType))
    .sort((a, b) => b.length - a.length);
  return [eventType, ...wild].flatMap((descriptor) => node.transitions.get(descriptor) ?? []);
}

function isMeant(descriptor: string, eventType: string): boolean {
  if (descriptor === '*') return true;
  if (!descriptor.endsWith('.*')) return false;
  const start = descriptor.slice(0, -2);
  return eventType === start || eventType.startsWith(`${start}.`);
}

const targetsOf = ({ target }: AnyTransitionDefinition): readonly AnyStateNode[] =>
  (target ?? []) as readonly AnyStateNode[];

/** The innermost state that stays active around a transition; undefined where the root itself is entered anew. */
function domainOf(transition: AnyTransitionDefinition): AnyStateNode | undefined {
  const { source, reenter } = transition;
  const targets = targetsOf(transition);
  if (!reenter && targets.every((target) => target === source || isBelow(target, source))) return source;
  const [head, ...rest] = [...targets, source];
  const around = ancestry(head!)
    .slice(1)
    .find((node) => rest.every((other) => isBelow(other, node)));
  return around ?? (reenter ? undefined : (source.machine.root as AnyStateNode));
}

function exitSet(from: Configuration, transition: AnyTransitionDefinition): readonly AnyStateNode[] {
  if (targetsOf(transition).length === 0) return [];
  const domain = domainOf(transition);
  const itself = transition.reenter && transition.source === domain;
  return from.nodes.filter((node) => isBelow(node, domain) || (itself && node === domain));
}

function entrySet(transition: AnyTransitionDefinition, into: Set<AnyStateNode>): void {
  const { source, reenter } = transition;
  const domain = domainOf(transition);
  for (const target of targetsOf(transition)) {
    const stays = source === target && source === domain && !reenter;
    if (!stays) into.add(target);
    enterBelow(target, into);
  }
  for (const target of targetsOf(transition)) {
    const around = ancestry(target).slice(1);
    const until = domain === undefined ? around : around.slice(0, Math.max(around.indexOf(domain), 0));
    for (const node of until) into.add(node);
    for (const node of domain?.type === 'parallel' ? [...until, domain] : until)
      if (node.type === 'parallel') enterOtherRegions(node, into);
  }
}

function enterByDefault(node: AnyStateNode, into: Set<AnyStateNode>): void {
  into.add(node);
  enterBelow(node, into);
}

function enterBelow(node: AnyStateNode, into: Set<AnyStateNode>): void {
  if (node.type === 'compound') enterByDefault(node.initial.target[0] as AnyStateNode, into);
  else if (node.type === 'parallel') enterOtherRegions(node, into);
}

function enterOtherRegions(node: AnyStateNode, into: Set<AnyStateNode>): void {
  for (const region of children(node))
    if (![...into].some((other) => other === region || isBelow(other, region))) enterByDefault(region, into);
}

function isFinished(node: AnyStateNode, active: ReadonlySet<AnyStateNode>): boolean {
  if (node.type === 'compound') return children(node).some((child) => child.type === 'final' && active.has(child));
  if (node.type === 'parallel') return children(node).every((child) => isFinished(child, active));
  return node.type === 'final';
}

function stateValue(node: AnyStateNode, below: ReadonlyMap<AnyStateNode, readonly AnyStateNode[]>): StateValue {
  const active = below.get(node) ?? [];
  const [only] = active;
  if (node.type === 'compound' && only && !below.has(only)) return only.key;
  return Object.fromEntries(active.map((child) => [child.key, stateValue(child, below)]));
}
