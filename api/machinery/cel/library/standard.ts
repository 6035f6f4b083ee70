import { type Definition, matching, STRING_FACTOR, times, traverse } from '../overload.js';
import {
  type CalendarField,
  calendar,
  durationOf,
  formatDuration,
  formatTimestamp,
  parseDuration,
  parseTimestamp,
  timestampOf,
} from '../time.js';
import {
  CelDuration,
  CelError,
  type CelList,
  type CelMap,
  CelTimestamp,
  CelTypeName,
  CelUint,
  type CelValue,
  celCompare,
  celEquals,
  kindOf,
  NativeList,
  sizeOf,
  textOf,
} from '../values.js';
import { formatRegexError, regexOf } from './regex.js';

const MAX_INT = 2n ** 63n - 1n;
const MIN_INT = -(2n ** 63n);
const MAX_UINT = 2n ** 64n - 1n;

export function int(value: bigint): bigint {
  if (value > MAX_INT || value < MIN_INT) throw new CelError('integer overflow');
  return value;
}
export function uint(value: bigint): CelUint {
  if (value < 0n || value > MAX_UINT) throw new CelError('unsigned integer overflow');
  return new CelUint(value);
}
const divide = (a: bigint, b: bigint): bigint => {
  if (b === 0n) throw new CelError('division by zero');
  return a / b;
};
const modulo = (a: bigint, b: bigint): bigint => {
  if (b === 0n) throw new CelError('modulus by zero');
  return a % b;
};

/** Both operands are read, and a new text or list is made of them. */
const joined = {
  cost: (a: number, b: number) => Math.ceil((a + b) * STRING_FACTOR),
  size: (a: number, b: number) => a + b,
};

const arithmetic: readonly Definition[] = [
  ['_+_(int, int): int', (a: bigint, b: bigint) => int(a + b)],
  ['_+_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(a.value + b.value)],
  ['_+_(double, double): double', (a: number, b: number) => a + b],
  ['_+_(string, string): string', (a: string, b: string) => a + b, joined],
  ['_+_(bytes, bytes): bytes', (a: Uint8Array, b: Uint8Array) => Buffer.concat([a, b]), joined],
  ['_+_(list<A>, list<A>): list<A>', concatenate, { cost: () => 1, size: (a, b) => a! + b! }],
  ['_+_(timestamp, duration): timestamp', (a: CelTimestamp, b: CelDuration) => timestampOf(a.nano + b.nano)],
  ['_+_(duration, timestamp): timestamp', (a: CelDuration, b: CelTimestamp) => timestampOf(a.nano + b.nano)],
  ['_+_(duration, duration): duration', (a: CelDuration, b: CelDuration) => durationOf(a.nano + b.nano)],
  ['_-_(int, int): int', (a: bigint, b: bigint) => int(a - b)],
  ['_-_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(a.value - b.value)],
  ['_-_(double, double): double', (a: number, b: number) => a - b],
  ['_-_(timestamp, timestamp): duration', (a: CelTimestamp, b: CelTimestamp) => durationOf(a.nano - b.nano)],
  ['_-_(timestamp, duration): timestamp', (a: CelTimestamp, b: CelDuration) => timestampOf(a.nano - b.nano)],
  ['_-_(duration, duration): duration', (a: CelDuration, b: CelDuration) => durationOf(a.nano - b.nano)],
  ['_*_(int, int): int', (a: bigint, b: bigint) => int(a * b)],
  ['_*_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(a.value * b.value)],
  ['_*_(double, double): double', (a: number, b: number) => a * b],
  ['_/_(int, int): int', (a: bigint, b: bigint) => int(divide(a, b))],
  ['_/_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(divide(a.value, b.value))],
  ['_/_(double, double): double', (a: number, b: number) => a / b],
  ['_%_(int, int): int', (a: bigint, b: bigint) => modulo(a, b)],
  ['_%_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(modulo(a.value, b.value))],
  ['-_(int): int', (a: bigint) => int(-a)],
  ['-_(double): double', (a: number) => -a],
  ['!_(bool): bool', (a: boolean) => !a],
];

const NUMBERS = ['int', 'uint', 'double'] as const;
const ORDERED = ['bool', 'string', 'bytes', 'timestamp', 'duration'] as const;
const ORDERS: Readonly<Record<string, (order: number) => boolean>> = {
  '_<_': (order) => order < 0,
  '_<=_': (order) => order <= 0,
  '_>_': (order) => order > 0,
  '_>=_': (order) => order >= 0,
};
/** Comparing texts ends with the shorter one. */
const shorter = { cost: (a: number, b: number) => traverse(Math.min(a, b)) };
const orders: readonly Definition[] = Object.entries(ORDERS).flatMap(([name, holds]): Definition[] => {
  const run = (a: CelValue, b: CelValue) => holds(celCompare(a, b));
  return [
    ...NUMBERS.flatMap((a) => NUMBERS.map((b): Definition => [`${name}(${a}, ${b}): bool`, run])),
    ...ORDERED.map(
      (type): Definition => [
        `${name}(${type}, ${type}): bool`,
        run,
        type === 'string' || type === 'bytes' ? shorter : {},
      ],
    ),
  ];
});

const equality: readonly Definition[] = [
  ['_==_(A, A): bool', celEquals, shorter],
  ['_!=_(A, A): bool', (a: CelValue, b: CelValue) => !celEquals(a, b), shorter],
  ['@in(A, list<A>): bool', contains, { cost: (_, size) => size! }],
  ['@in(A, map<A, B>): bool', (key: CelValue, map: CelMap) => map.get(key) !== undefined],
];

/** As a list's type says: sets are united, maps merged by their keys, anything else strung together. */
function concatenate(a: CelList, b: CelList): CelValue {
  const typed = a.listType !== 'atomic' ? a : b;
  if (typed.listType === 'atomic') return new NativeList([...a, ...b]);
  const later = new Map([...b].map((element) => [typed.identity(element), element]));
  const seen = new Set<string>();
  const merged = [...a].map((element) => {
    const id = typed.identity(element);
    seen.add(id);
    return later.get(id) ?? element;
  });
  return new NativeList([...merged, ...[...b].filter((element) => !seen.has(typed.identity(element)))]);
}

function contains(value: CelValue, list: CelList): boolean {
  for (let i = 0; i < list.size; i++) if (celEquals(list.at(i), value)) return true;
  return false;
}

const none = { cost: () => 1 };
const sizes: readonly Definition[] = ['string', 'bytes', 'list<A>', 'map<A, B>'].flatMap((type): Definition[] => [
  [`size(${type}): int`, (value: CelValue) => BigInt(sizeOf(value)), none],
  [`${type}.size(): int`, (value: CelValue) => BigInt(sizeOf(value)), none],
]);

const texts: readonly Definition[] = [
  ['string.startsWith(string): bool', (s: string, p: string) => s.startsWith(p), { cost: (_, p) => traverse(p!) }],
  ['string.endsWith(string): bool', (s: string, p: string) => s.endsWith(p), { cost: (_, p) => traverse(p!) }],
  [
    'string.contains(string): bool',
    (s: string, p: string) => s.includes(p),
    { cost: (s, p) => times(traverse(s!), traverse(p!)) },
  ],
  ['string.matches(string): bool', matches, { cost: matching }],
  ['matches(string, string): bool', matches, { cost: matching }],
];

function matches(text: string, pattern: string): boolean {
  try {
    return regexOf(pattern).matcher(text).find();
  } catch (error) {
    throw new CelError(formatRegexError(pattern, error));
  }
}

const wrong = (text: string): never => {
  throw new CelError(text);
};
function toInt(value: CelValue): CelValue {
  if (typeof value === 'bigint') return value;
  if (value instanceof CelUint) return int(value.value);
  if (typeof value === 'number')
    return Math.abs(value) < 2 ** 63 ? BigInt(Math.trunc(value)) : wrong('integer overflow');
  if (value instanceof CelTimestamp) {
    const seconds = value.nano / 1_000_000_000n;
    return value.nano < 0n && value.nano % 1_000_000_000n !== 0n ? seconds - 1n : seconds;
  }
  if (value instanceof CelDuration) return value.nano;
  const text = value as string;
  if (!/^[+-]?\d+$/.test(text)) return wrong(`type conversion error from 'string' to 'int'`);
  return int(BigInt(text));
}
function toUint(value: CelValue): CelValue {
  if (value instanceof CelUint) return value;
  if (typeof value === 'bigint') return uint(value);
  if (typeof value === 'number')
    return value >= 0 && value < 2 ** 64 ? uint(BigInt(Math.trunc(value))) : wrong('unsigned integer overflow');
  return /^\d+$/.test(value as string)
    ? uint(BigInt(value as string))
    : wrong(`type conversion error from 'string' to 'uint'`);
}
function toDouble(value: CelValue): CelValue {
  if (typeof value !== 'string') return Number(value instanceof CelUint ? value.value : value);
  const number = /^[+-]?inf(inity)?$/i.test(value)
    ? (value.startsWith('-') ? -1 : 1) * Number.POSITIVE_INFINITY
    : Number(value);
  const isNan = /^nan$/i.test(value);
  if (value.trim() === '' || (Number.isNaN(number) && !isNan))
    return wrong(`type conversion error from 'string' to 'double'`);
  return number;
}
function toText(value: CelValue): CelValue {
  if (value instanceof CelTimestamp) return formatTimestamp(value);
  if (value instanceof CelDuration) return formatDuration(value);
  if (value instanceof Uint8Array) {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(value);
    } catch {
      return wrong('invalid UTF-8 in bytes, cannot convert to string');
    }
  }
  return textOf(value);
}
function toBool(text: string): CelValue {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return wrong(`type conversion error from 'string' to 'bool'`);
}

const read = { cost: traverse };
/** Numbers, times and truth values as text are never longer. */
const short = { size: () => 64 };
const rulesOf = (name: string, type: string): Definition[2] =>
  name !== 'string' || type === 'string' ? {} : type === 'bytes' ? read : short;
const from = (name: string, types: readonly string[], run: Definition[1]): readonly Definition[] =>
  types.map((type): Definition => [`${name}(${type}): ${name}`, run, rulesOf(name, type)]);
const conversions: readonly Definition[] = [
  ...from('int', ['int', 'uint', 'double', 'string', 'timestamp', 'duration'], toInt),
  ...from('uint', ['uint', 'int', 'double', 'string'], toUint),
  ...from('double', ['double', 'int', 'uint', 'string'], toDouble),
  ...from('string', ['string', 'bool', 'int', 'uint', 'double', 'bytes', 'timestamp', 'duration'], toText),
  ['bool(bool): bool', (value: boolean) => value],
  ['bool(string): bool', toBool],
  ['bytes(bytes): bytes', (value: Uint8Array) => value],
  ['bytes(string): bytes', (value: string) => Buffer.from(value), read],
  ['dyn(A): dyn', (value: CelValue) => value],
  ['type(A): type', typeOf],
  ['timestamp(timestamp): timestamp', (value: CelTimestamp) => value],
  [
    'timestamp(string): timestamp',
    (text: string) =>
      parseTimestamp(text) ??
      wrong(
        `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(text)} as "2006"`,
      ),
  ],
  ['timestamp(int): timestamp', (seconds: bigint) => timestampOf(seconds * 1_000_000_000n)],
  ['duration(duration): duration', (value: CelDuration) => value],
  [
    'duration(string): duration',
    (text: string) => parseDuration(text) ?? wrong(`time: invalid duration ${JSON.stringify(text)}`),
  ],
  ['duration(int): duration', (nano: bigint) => durationOf(nano)],
];

const KIND_NAMES: Readonly<Record<string, string>> = {
  timestamp: 'google.protobuf.Timestamp',
  duration: 'google.protobuf.Duration',
  null: 'null_type',
  optional: 'optional_type',
};
function typeOf(value: CelValue): CelValue {
  const kind = kindOf(value);
  return new CelTypeName(KIND_NAMES[kind] ?? kind);
}

const CALENDAR: readonly (readonly [string, CalendarField, bigint])[] = [
  ['getFullYear', 'year', 0n],
  ['getMonth', 'month', 0n],
  ['getDate', 'date', 0n],
  ['getDayOfMonth', 'date', -1n],
  ['getDayOfWeek', 'weekday', 0n],
  ['getDayOfYear', 'yearday', 0n],
  ['getHours', 'hour', 0n],
  ['getMinutes', 'minute', 0n],
  ['getSeconds', 'second', 0n],
  ['getMilliseconds', 'milli', 0n],
];
const times_: readonly Definition[] = [
  ...CALENDAR.flatMap(([name, field, shift]): Definition[] => [
    [`timestamp.${name}(): int`, (t: CelTimestamp) => calendar(t, field) + shift],
    [`timestamp.${name}(string): int`, (t: CelTimestamp, zone: string) => calendar(t, field, zone) + shift],
  ]),
  ['duration.getHours(): int', (d: CelDuration) => d.nano / 3_600_000_000_000n],
  ['duration.getMinutes(): int', (d: CelDuration) => d.nano / 60_000_000_000n],
  ['duration.getSeconds(): int', (d: CelDuration) => d.nano / 1_000_000_000n],
  ['duration.getMilliseconds(): int', (d: CelDuration) => (d.nano / 1_000_000n) % 1000n],
];

/** The functions and operators of CEL itself, apart from those that do not evaluate all their arguments. */
export const standard: readonly Definition[] = [
  ...arithmetic,
  ...orders,
  ...equality,
  ...sizes,
  ...texts,
  ...conversions,
  ...times_,
];
