import type { Definition } from '../overload.js';
import { CelError, type CelList, CelUint, type CelValue, celCompare } from '../values.js';
import { int } from './standard.js';

const NUMBERS = ['int', 'uint', 'double'] as const;

function best(sign: number) {
  return (...values: readonly CelValue[]): CelValue =>
    values.reduce((found, value) => (celCompare(value, found) * sign > 0 ? value : found));
}

function bestOf(sign: number) {
  return (list: CelList): CelValue => {
    if (list.size === 0) throw new CelError('math.@min(list) argument must not be empty');
    return best(sign)(...list);
  };
}

const absolute = (value: CelValue): CelValue =>
  typeof value === 'bigint' ? int(value < 0n ? -value : value) : typeof value === 'number' ? Math.abs(value) : value;
const sign = (value: CelValue): CelValue => {
  if (typeof value === 'bigint') return value > 0n ? 1n : value < 0n ? -1n : 0n;
  return typeof value === 'number' ? Math.sign(value) : new CelUint((value as CelUint).value > 0n ? 1n : 0n);
};
/** Halves go away from zero, as Go rounds. */
const round = (value: number): number => Math.sign(value) * Math.round(Math.abs(value));

/** cel-go's math. */
export const math: readonly Definition[] = [
  ...(['greatest', 'least'] as const).flatMap((name): Definition[] => {
    const direction = name === 'greatest' ? 1 : -1;
    return [
      ...NUMBERS.map(
        (type): Definition => [`math.${name}(list<${type}>): ${type}`, bestOf(direction), { cost: (n) => n! }],
      ),
      ...NUMBERS.flatMap((type): Definition[] => [
        [`math.${name}(${type}): ${type}`, best(direction)],
        [`math.${name}(${type}, ${type}): ${type}`, best(direction)],
        [`math.${name}(${type}, ${type}, ${type}): ${type}`, best(direction)],
        [`math.${name}(${type}, ${type}, ${type}, ${type}): ${type}`, best(direction)],
      ]),
    ];
  }),
  ['math.ceil(double): double', (value: number) => Math.ceil(value)],
  ['math.floor(double): double', (value: number) => Math.floor(value)],
  ['math.trunc(double): double', (value: number) => Math.trunc(value)],
  ['math.round(double): double', round],
  ['math.isNaN(double): bool', (value: number) => Number.isNaN(value)],
  ['math.isInf(double): bool', (value: number) => Math.abs(value) === Number.POSITIVE_INFINITY],
  ['math.isFinite(double): bool', (value: number) => Number.isFinite(value)],
  ...NUMBERS.flatMap((type): Definition[] => [
    [`math.abs(${type}): ${type}`, absolute],
    [`math.sign(${type}): ${type}`, sign],
  ]),
  ['math.bitAnd(int, int): int', (a: bigint, b: bigint) => a & b],
  ['math.bitOr(int, int): int', (a: bigint, b: bigint) => a | b],
  ['math.bitXor(int, int): int', (a: bigint, b: bigint) => a ^ b],
  ['math.bitNot(int): int', (a: bigint) => ~a],
];
