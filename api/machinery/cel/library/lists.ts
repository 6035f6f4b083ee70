import { type Definition, times } from '../overload.js';
import { durationOf } from '../time.js';
import { CelDuration, CelError, type CelList, CelUint, type CelValue, celCompare, celEquals } from '../values.js';
import { int, uint } from './standard.js';

const ORDERED = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes'] as const;
const SUMMED: Readonly<Record<string, CelValue>> = {
  int: 0n,
  uint: new CelUint(0n),
  double: 0,
  duration: new CelDuration(0n),
};

function isSorted(list: CelList): boolean {
  for (let i = 1; i < list.size; i++) if (celCompare(list.at(i - 1), list.at(i)) > 0) return false;
  return true;
}

function extreme(name: 'min' | 'max', sign: number) {
  return (list: CelList): CelValue => {
    if (list.size === 0) throw new CelError(`${name} called on empty list`);
    let best = list.at(0);
    for (let i = 1; i < list.size; i++) if (celCompare(list.at(i), best) * sign > 0) best = list.at(i);
    return best;
  };
}

function sum(list: CelList, zero: CelValue): CelValue {
  let total = zero;
  for (const value of list) {
    if (typeof total === 'bigint') total = int(total + (value as bigint));
    else if (typeof total === 'number') total += value as number;
    else if (total instanceof CelUint) total = uint(total.value + (value as CelUint).value);
    else total = durationOf((total as CelDuration).nano + (value as CelDuration).nano);
  }
  return total;
}

function indexOf(list: CelList, value: CelValue): bigint {
  for (let i = 0; i < list.size; i++) if (celEquals(list.at(i), value)) return BigInt(i);
  return -1n;
}

function lastIndexOf(list: CelList, value: CelValue): bigint {
  for (let i = list.size - 1; i >= 0; i--) if (celEquals(list.at(i), value)) return BigInt(i);
  return -1n;
}

const whole = { cost: (size: number) => Math.max(1, size) };

/** kubernetes/apiserver pkg/cel/library lists. */
export const lists: readonly Definition[] = [
  ...ORDERED.flatMap((type): Definition[] => [
    [`list<${type}>.isSorted(): bool`, isSorted, whole],
    [`list<${type}>.min(): ${type}`, extreme('min', -1), { ...whole, size: () => Number.POSITIVE_INFINITY }],
    [`list<${type}>.max(): ${type}`, extreme('max', 1), { ...whole, size: () => Number.POSITIVE_INFINITY }],
  ]),
  ...Object.entries(SUMMED).map(
    ([type, zero]): Definition => [`list<${type}>.sum(): ${type}`, (list: CelList) => sum(list, zero), whole],
  ),
  ['list<A>.indexOf(A): int', indexOf, whole],
  ['list<A>.lastIndexOf(A): int', lastIndexOf, whole],
];

const has = (list: CelList, value: CelValue): boolean => indexOf(list, value) >= 0n;
const subset = (list: CelList, other: CelList): boolean => {
  for (const value of other) if (!has(list, value)) return false;
  return true;
};
const pairs = { cost: (a: number, b: number) => 1 + times(a, b) };

/** cel-go's sets. */
export const sets: readonly Definition[] = [
  ['sets.contains(list<A>, list<A>): bool', subset, pairs],
  [
    'sets.equivalent(list<A>, list<A>): bool',
    (a: CelList, b: CelList) => subset(a, b) && subset(b, a),
    { cost: (a, b) => 1 + 2 * times(a!, b!) },
  ],
  ['sets.intersects(list<A>, list<A>): bool', (a: CelList, b: CelList) => [...a].some((value) => has(b, value)), pairs],
];
