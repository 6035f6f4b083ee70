import { rounds } from './access.js';
import type { Checked, Frame, Run, Scope } from './frame.js';
import { times } from './overload.js';
import type { CallNode, CelNode } from './syntax.js';
import { BOOL, type CelType, DYN, formatType, INT, maxSize } from './types.js';
import {
  CelCostError,
  CelError,
  CelList,
  CelMap,
  CelOptional,
  type CelValue,
  kindOf,
  NativeList,
  NativeMap,
} from './values.js';

/** What macros need of the compiler. */
export interface MacroHost {
  compile(node: CelNode, scope: Scope | undefined): Checked;
  problem(pos: number, message: string): Checked;
  local(name: string, type: CelType, outer: Scope | undefined): Scope;
}

const COMPREHENSIONS: Readonly<Record<string, readonly number[]>> = {
  all: [2, 3],
  exists: [2, 3],
  exists_one: [2, 3],
  existsOne: [2, 3],
  map: [2, 3],
  filter: [2],
  transformList: [3, 4],
  transformMap: [3, 4],
  transformMapEntry: [3, 4],
};

/**
 * What each round of a macro costs beyond its own expressions: cel-go's expansions spelled out (reading the accumulator,
 * testing it, making a list of one and appending it).
 */
const ROUND: Readonly<Record<string, number>> = {
  all: 3,
  exists: 4,
  exists_one: 2,
  existsOne: 2,
  map: 12,
  filter: 13,
  transformList: 12,
  transformMap: 3,
  transformMapEntry: 2,
};

/** Makes `list.all(x, …)` and its relatives; undefined where the call is no macro. */
export function comprehensionOf(host: MacroHost, call: CallNode, scope: Scope | undefined): Checked | undefined {
  const { function: name, target, args, pos } = call;
  if (target === undefined || !COMPREHENSIONS[name]?.includes(args.length)) return undefined;
  const [first, second] = args as [CelNode, CelNode];
  if (first.kind !== 'ident') return host.problem(first.pos, 'argument must be a simple name');
  // `map` with three arguments has a filter; the others with as many have a second variable.
  const two = args.length >= 3 && name !== 'map';
  if (two && second.kind !== 'ident') return host.problem(second.pos, 'argument must be a simple name');
  const range = host.compile(target, scope);
  const types = elementTypes(range.type, two);
  if (types === undefined)
    return host.problem(
      target.pos,
      `expression of type '${formatType(range.type)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
    );
  let inner = host.local(first.name, types[0], scope);
  const slots = [inner.slot];
  if (two && second.kind === 'ident') {
    inner = host.local(second.name, types[1], inner);
    slots.push(inner.slot);
  }
  const rest = args.slice(slots.length);
  const last = host.compile(rest.at(-1)!, inner);
  const filter = rest.length === 2 ? host.compile(rest[0]!, inner) : undefined;
  const tested = name.startsWith('transform') || name === 'map' ? filter : last;
  if (tested !== undefined && tested.type.kind !== 'bool' && tested.type.kind !== 'dyn') {
    const operator = name === 'all' ? '_&&_' : name === 'exists' ? '_||_' : '_?_:_';
    const types = operator === '_?_:_' ? `${formatType(tested.type)}, int, int` : `bool, ${formatType(tested.type)}`;
    return host.problem(pos, `found no matching overload for '${operator}' applied to '(${types})'`);
  }
  const each = ROUND[name]!;
  const cost = range.cost + 2 + times(rounds(range), each + last.cost + (filter?.cost ?? 0));
  const result = resultType(name, range, types, last);
  return { type: result, cost, run: loop(name, range.run, slots, each, last.run, filter?.run) };
}

function elementTypes(type: CelType, two: boolean): readonly [CelType, CelType] | undefined {
  switch (type.kind) {
    case 'list':
      return two ? [INT, type.element] : [type.element, DYN];
    case 'map':
      return [type.key, type.value];
    case 'dyn':
    case 'param':
      return [DYN, DYN];
    default:
      return undefined;
  }
}

function resultType(name: string, range: Checked, [key, value]: readonly [CelType, CelType], last: Checked): CelType {
  const max = maxSize(range.type);
  switch (name) {
    case 'map':
    case 'transformList':
      return { kind: 'list', element: last.type, max };
    case 'filter':
      return range.type.kind === 'list' ? range.type : { kind: 'list', element: key, max };
    case 'transformMap':
      return { kind: 'map', key, value: last.type, max };
    case 'transformMapEntry':
      return last.type.kind === 'map' ? { ...last.type, max } : { kind: 'map', key: DYN, value, max };
    default:
      return BOOL;
  }
}

/** Every element (one variable), or index and element, key and value (two). */
function* walk(whole: CelValue, two: boolean): Iterable<readonly [CelValue, CelValue]> {
  if (whole instanceof CelList) {
    for (let i = 0; i < whole.size; i++) yield two ? [BigInt(i), whole.at(i)] : [whole.at(i), null];
  } else if (whole instanceof CelMap) for (const key of whole.keys()) yield two ? [key, whole.get(key)!] : [key, null];
  else throw new CelError(`got '${kindOf(whole)}', expected iterable type`);
}

const truth = (value: CelValue): boolean => {
  if (typeof value === 'boolean') return value;
  throw new CelError('no such overload');
};

function loop(
  name: string,
  range: Run,
  slots: readonly number[],
  each: number,
  last: Run,
  filter: Run | undefined,
): Run {
  const [first, second] = slots as [number, number | undefined];
  function* rounds(frame: Frame): Iterable<CelValue> {
    const whole = range(frame);
    frame.charge(1);
    for (const [a, b] of walk(whole, second !== undefined)) {
      frame.slots[first] = a;
      if (second !== undefined) frame.slots[second] = b;
      if (filter !== undefined && !truth(filter(frame))) {
        frame.charge(1);
        continue;
      }
      frame.charge(each);
      yield a;
    }
  }
  switch (name) {
    case 'all':
      return (frame) => quantified(rounds(frame), frame, last, false);
    case 'exists':
      return (frame) => quantified(rounds(frame), frame, last, true);
    case 'filter':
      return (frame) => {
        const kept: CelValue[] = [];
        for (const value of rounds(frame)) if (truth(last(frame))) kept.push(value);
        return new NativeList(kept);
      };
    case 'map':
    case 'transformList':
      return (frame) => {
        const made: CelValue[] = [];
        for (const _ of rounds(frame)) made.push(last(frame));
        return new NativeList(made);
      };
    case 'transformMap':
      return (frame) => {
        const made: [CelValue, CelValue][] = [];
        for (const key of rounds(frame)) made.push([key, last(frame)]);
        return new NativeMap(made);
      };
    case 'transformMapEntry':
      return (frame) => {
        const made: [CelValue, CelValue][] = [];
        for (const _ of rounds(frame)) {
          const entry = last(frame);
          if (!(entry instanceof CelMap)) throw new CelError('no such overload');
          for (const key of entry.keys()) made.push([key, entry.get(key)!]);
        }
        return new NativeMap(made);
      };
    default:
      return (frame) => {
        let count = 0;
        for (const _ of rounds(frame)) if (truth(last(frame))) count++;
        return count === 1;
      };
  }
}

/** An error in one round does not count where another decides. */
function quantified(rounds: Iterable<CelValue>, frame: Frame, test: Run, decisive: boolean): boolean {
  let failure: unknown;
  for (const _ of rounds) {
    try {
      if (truth(test(frame)) === decisive) return decisive;
    } catch (error) {
      if (error instanceof CelCostError) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return !decisive;
}

/** `opt.optMap(v, …)`, `opt.optFlatMap(v, …)`, `cel.bind(v, …, …)`; undefined where the call is none of them. */
export function bindingOf(host: MacroHost, call: CallNode, scope: Scope | undefined): Checked | undefined {
  const { function: name, target, args } = call;
  const bind = name === 'bind' && args.length === 3 && target?.kind === 'ident' && target.name === 'cel';
  const optional = (name === 'optMap' || name === 'optFlatMap') && args.length === 2 && target !== undefined;
  if (!bind && !optional) return undefined;
  const [variable] = args as [CelNode];
  if (variable.kind !== 'ident') return host.problem(variable.pos, 'argument must be a simple name');
  const bound = host.compile(bind ? args[1]! : target!, scope);
  const type = bound.type.kind === 'optional' ? bound.type.of : DYN;
  const inner = host.local(variable.name, bind ? bound.type : type, scope);
  const body = host.compile(args.at(-1)!, inner);
  const { slot } = inner;
  const cost = bound.cost + body.cost + 2;
  if (bind)
    return {
      type: body.type,
      cost,
      run: (frame) => {
        frame.slots[slot] = bound.run(frame);
        return body.run(frame);
      },
    };
  const flat = name === 'optFlatMap';
  return {
    type: flat ? body.type : { kind: 'optional', of: body.type },
    cost,
    run: (frame) => {
      const value = bound.run(frame);
      frame.charge(2);
      if (!(value instanceof CelOptional)) throw new CelError('no such overload');
      if (value.value === undefined) return CelOptional.none;
      frame.slots[slot] = value.value;
      const made = body.run(frame);
      return flat ? made : new CelOptional(made);
    },
  };
}
