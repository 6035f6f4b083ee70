import { type CelType, parseType, splitTop } from './types.js';
import type { CelValue } from './values.js';

/**
 * One signature of a function. `cost` and `size` take the sizes of the arguments (the receiver first): actual ones while a
 * rule runs, the largest possible ones when it is compiled. So the two costs cannot come apart.
 */
export interface Overload {
  readonly name: string;
  readonly receiver: boolean;
  readonly args: readonly CelType[];
  readonly result: CelType;
  readonly run: (...args: readonly CelValue[]) => CelValue;
  /** Absent: 1. */
  readonly cost?: (...sizes: readonly number[]) => number;
  /** The size of the result at worst; absent: as large as the first argument. */
  readonly size?: (...sizes: readonly number[]) => number;
}

type Rules = Pick<Overload, 'cost' | 'size'>;

/** A signature (`string.startsWith(string): bool`, `sets.contains(list<A>, list<A>): bool`) and what it does. */
export type Definition = readonly [
  signature: string,
  // biome-ignore lint/suspicious/noExplicitAny: the signature says which values come; overload resolution guarantees it.
  run: (...args: any[]) => CelValue,
  rules?: Rules,
];

/** Names before a dot that are no receivers. */
export const NAMESPACES: ReadonlySet<string> = new Set([
  'sets',
  'optional',
  'math',
  'strings',
  'format',
  'ip',
  'jsonpatch',
]);

export function overloadOf([signature, run, rules]: Definition): Overload {
  const [, receiver, name, args, result] = /^(?:(.+)\.)?([\w@?:[\]!+\-*/%<>=&|]+)\((.*)\): (.+)$/.exec(signature)!;
  const space = receiver !== undefined && NAMESPACES.has(receiver);
  const types = splitTop(args!).map(parseType);
  return {
    name: space ? `${receiver}.${name}` : name!,
    receiver: receiver !== undefined && !space,
    args: receiver !== undefined && !space ? [parseType(receiver), ...types] : types,
    result: parseType(result!),
    run,
    ...rules,
  };
}

/** The cost factors of cel-go (common/cost.go). */
export const STRING_FACTOR = 0.1;
export const REGEX_FACTOR = 0.25;

/** A product in which nothing times without bound is nothing. */
export const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);
export const traverse = (size: number): number => Math.ceil(size * STRING_FACTOR);
/** For functions that read their first argument once. */
export const readsFirst = (size: number): number => traverse(size);
/** What matching a pattern of one size in a text of another costs. */
export const matching = (text: number, pattern: number): number =>
  times(Math.ceil((1 + text) * STRING_FACTOR), Math.ceil(pattern * REGEX_FACTOR));
