import type { Checked, Frame } from './frame.js';
import { overloadsOf } from './library/index.js';
import type { Overload } from './overload.js';
import { assignable, type Bindings, type CelType, DYN, formatType, join, maxSize, sized, substitute } from './types.js';
import { CelError, CelList, CelMap, CelOptional, type CelValue, kindOf, sizeOf } from './values.js';

/** Finds the signatures a call may mean and makes it; a text where it can mean none. */
export function callOf(name: string, receiver: boolean, args: readonly Checked[]): Checked | string {
  const all = overloadsOf(name).filter((overload) => overload.receiver === receiver);
  if (all.length === 0) return `undeclared reference to '${name}' (in container '')`;
  const fitting: Overload[] = [];
  let type: CelType | undefined;
  for (const overload of all) {
    const bindings: Bindings = new Map();
    if (!fits(overload, args, bindings)) continue;
    fitting.push(overload);
    const result = resultOf(overload, args, bindings);
    type = type === undefined ? result : join(type, result);
  }
  if (type === undefined) {
    const types = args.map((arg) => formatType(arg.type));
    const applied = receiver ? `${types[0]}.(${types.slice(1).join(', ')})` : `(${types.join(', ')})`;
    return `found no matching overload for '${name}' applied to '${applied}'`;
  }
  const sizes = args.map((arg) => maxSize(arg.type));
  const own = Math.max(...fitting.map(({ cost }) => (cost === undefined ? 1 : cost(...sizes))));
  return { type, cost: args.reduce((sum, arg) => sum + arg.cost, own), run: runnerOf(fitting, args) };
}

function fits({ args: wanted, name }: Overload, args: readonly Checked[], bindings: Bindings): boolean {
  if (wanted.length !== args.length) return false;
  if (name === '_==_' || name === '_!=_') {
    const [a, b] = args as [Checked, Checked];
    if ((a.nullable && b.type.kind === 'null') || (b.nullable && a.type.kind === 'null')) return true;
  }
  return wanted.every((type, index) => assignable(type, args[index]!.type, bindings));
}

function resultOf({ result, size }: Overload, args: readonly Checked[], bindings: Bindings): CelType {
  const sizes = args.map((arg) => maxSize(arg.type));
  const type = parts(substitute(result, bindings), args[0]?.type);
  return sized(type, size === undefined ? (sizes[0] ?? Number.POSITIVE_INFINITY) : size(...sizes));
}

/** A list made of a text holds parts of it, none of them larger. */
function parts(type: CelType, whole: CelType | undefined): CelType {
  if (type.kind !== 'list' || type.element.kind !== 'string' || whole?.kind !== 'string') return type;
  return { ...type, element: sized(type.element, maxSize(whole)) };
}

function runnerOf(fitting: readonly Overload[], args: readonly Checked[]): Checked['run'] {
  const certain = fitting.length === 1 && !args.some(({ type }) => hasDyn(type));
  const [only] = fitting;
  const runs = args.map(({ run }) => run);
  if (!certain || only === undefined) {
    return (frame) => {
      const values = runs.map((run) => run(frame));
      const chosen = fitting.find((overload) => overload.args.every((type, i) => matches(type, values[i]!)));
      if (chosen === undefined) throw new CelError('no such overload');
      return invoke(chosen, frame, values);
    };
  }
  const { run, cost } = only;
  const [first, second] = runs;
  if (runs.length === 1 && first !== undefined)
    return (frame) => {
      const value = first(frame);
      frame.charge(cost === undefined ? 1 : cost(sizeOf(value)));
      return run(value);
    };
  if (runs.length === 2 && first !== undefined && second !== undefined)
    return (frame) => {
      const a = first(frame);
      const b = second(frame);
      frame.charge(cost === undefined ? 1 : cost(sizeOf(a), sizeOf(b)));
      return run(a, b);
    };
  return (frame) =>
    invoke(
      only,
      frame,
      runs.map((evaluate) => evaluate(frame)),
    );
}

function invoke({ run, cost }: Overload, frame: Frame, values: readonly CelValue[]): CelValue {
  frame.charge(cost === undefined ? 1 : cost(...values.map(sizeOf)));
  return run(...values);
}

function hasDyn(type: CelType): boolean {
  switch (type.kind) {
    case 'dyn':
    case 'null':
      return true;
    case 'list':
      return hasDyn(type.element);
    case 'map':
      return hasDyn(type.key) || hasDyn(type.value);
    case 'optional':
      return hasDyn(type.of);
    default:
      return false;
  }
}

/** Whether a value is what a signature asks for; of a list's elements the first speaks for all. */
function matches(type: CelType, value: CelValue): boolean {
  switch (type.kind) {
    case 'dyn':
    case 'param':
      return true;
    case 'list':
      return value instanceof CelList && (value.size === 0 || matches(type.element, value.at(0)));
    case 'map':
    case 'object':
      return value instanceof CelMap;
    case 'optional':
      return value instanceof CelOptional;
    case 'opaque':
      return kindOf(value) === type.name;
    default:
      return kindOf(value) === type.kind;
  }
}

/** The type of what is one or the other; undefined where they have nothing in common and neither is dynamic. */
export function unify(a: Checked, b: Checked): CelType | undefined {
  if (a.type.kind === 'dyn' || b.type.kind === 'dyn') return DYN;
  const forth = assignable(a.type, b.type, new Map());
  return forth || assignable(b.type, a.type, new Map()) ? join(a.type, b.type) : undefined;
}
