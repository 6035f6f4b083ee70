import { type Definition, times, traverse } from '../overload.js';
import { formatDuration, formatTimestamp } from '../time.js';
import {
  CelDuration,
  CelError,
  CelList,
  CelMap,
  CelTimestamp,
  CelTypeName,
  CelUint,
  type CelValue,
  kindOf,
  NativeList,
} from '../values.js';

/** Positions count code points, as cel-go's do. */
const runes = (text: string): readonly string[] => [...text];

function place(at: bigint, size: number): number {
  if (at < 0n || at > BigInt(size)) throw new CelError(`index out of range: ${at}`);
  return Number(at);
}

function indexOf(text: string, part: string, from = 0n): bigint {
  const all = runes(text);
  const start = place(from, all.length);
  if (part === '') return from;
  const prefix = all.slice(0, start).join('').length;
  const found = text.indexOf(part, prefix);
  return found < 0 ? -1n : BigInt(runes(text.slice(0, found)).length);
}

function lastIndexOf(text: string, part: string, from?: bigint): bigint {
  const all = runes(text);
  const start = from === undefined ? all.length : place(from, all.length);
  if (part === '') return BigInt(start);
  const found = text.lastIndexOf(part, all.slice(0, start).join('').length);
  return found < 0 ? -1n : BigInt(runes(text.slice(0, found)).length);
}

function substring(text: string, start: bigint, end?: bigint): string {
  const all = runes(text);
  const to = end === undefined ? all.length : place(end, all.length);
  const from = place(start, all.length);
  if (from > to) throw new CelError(`invalid substring range. start: ${from}, end: ${to}`);
  return all.slice(from, to).join('');
}

function charAt(text: string, at: bigint): string {
  const all = runes(text);
  return all[place(at, all.length)] ?? '';
}

function replace(text: string, old: string, by: string, limit = -1n): string {
  if (limit === 0n || text.length * Math.max(1, by.length) > 64 * 1024 * 1024) return limit === 0n ? text : tooLarge();
  if (limit < 0n) return text.replaceAll(old, () => by);
  let [out, rest, left] = ['', text, limit];
  for (let at = rest.indexOf(old); at >= 0 && left > 0n; at = rest.indexOf(old), left--) {
    const keep = old === '' ? (runes(rest)[0] ?? '') : '';
    out += rest.slice(0, at) + by + keep;
    rest = rest.slice(at + old.length + keep.length);
    if (old === '' && rest === '') break;
  }
  return out + rest;
}
const tooLarge = (): never => {
  throw new CelError('replacement is too large');
};

function split(text: string, separator: string, limit = -1n): NativeList {
  if (limit === 0n) return new NativeList([]);
  const parts = separator === '' ? runes(text) : text.split(separator);
  if (limit < 0n || BigInt(parts.length) <= limit) return new NativeList(parts);
  const keep = Number(limit) - 1;
  return new NativeList([...parts.slice(0, keep), parts.slice(keep).join(separator)]);
}

const ascii = (text: string, change: (part: string) => string): string => text.replaceAll(/[A-Za-z]+/g, change);
/** White space as Unicode and cel-go know it. */
const trim = (text: string): string => text.replace(/^[\s\u0085]+|[\s\u0085]+$/gu, '').replace(/^\uFEFF|\uFEFF$/g, '');

const ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};
const quote = (text: string): string => `"${[...text].map((char) => ESCAPES[char] ?? char).join('')}"`;

/** `"%s has %d".format([a, b])` with the clauses %s %d %f %e %b %x %X %o and %%. */
function format(template: string, args: CelList): string {
  let next = 0;
  return template.replaceAll(
    /%(?:%|(?:\.(\d+))?([a-zA-Z]))/g,
    (clause, precision: string | undefined, verb?: string) => {
      if (clause === '%%') return '%';
      if (next >= args.size) throw new CelError(`index ${next} out of range`);
      return clauseOf(verb!, precision === undefined ? undefined : Number(precision), args.at(next++));
    },
  );
}

function clauseOf(verb: string, precision: number | undefined, value: CelValue): string {
  const bad = (what: string): never => {
    throw new CelError(`error during formatting: ${what} was given ${kindOf(value)}`);
  };
  const whole = (): bigint | undefined =>
    typeof value === 'bigint' ? value : value instanceof CelUint ? value.value : undefined;
  switch (verb) {
    case 's':
      return shown(value);
    case 'd':
      if (typeof value === 'number' && !Number.isFinite(value)) return shown(value);
      return whole()?.toString() ?? bad('decimal clause can only be used on integers, was');
    case 'f':
    case 'e': {
      const number = typeof value === 'number' ? value : bad('fixed-point clause can only be used on doubles, was');
      if (!Number.isFinite(number)) return shown(number);
      if (verb === 'f') return number.toFixed(Math.min(precision ?? 6, 100));
      return number.toExponential(Math.min(precision ?? 6, 100)).replace(/e([+-])(\d)$/, 'e$10$2');
    }
    case 'b':
      if (typeof value === 'boolean') return value ? '1' : '0';
      return whole()?.toString(2) ?? bad('only integers and bools can be formatted as binary, was');
    case 'o':
      return whole()?.toString(8) ?? bad('octal clause can only be used on integers, was');
    case 'x':
    case 'X': {
      const hex =
        typeof value === 'string'
          ? Buffer.from(value).toString('hex')
          : value instanceof Uint8Array
            ? Buffer.from(value).toString('hex')
            : (whole()?.toString(16) ?? bad('only integers, byte buffers, and strings can be formatted as hex, was'));
      return verb === 'X' ? hex.toUpperCase() : hex;
    }
    default:
      throw new CelError(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
  }
}

/** A value as `%s` writes it. */
function shown(value: CelValue): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number')
    return Number.isNaN(value) ? 'NaN' : Number.isFinite(value) ? String(value) : value > 0 ? 'Infinity' : '-Infinity';
  if (value instanceof CelUint) return String(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (value instanceof CelTimestamp) return formatTimestamp(value);
  if (value instanceof CelDuration) return formatDuration(value);
  if (value instanceof CelTypeName) return value.text;
  if (value instanceof CelList) return `[${[...value].map(shown).join(', ')}]`;
  if (value instanceof CelMap)
    return `{${[...value.keys()]
      .map((key) => `${shown(key)}: ${shown(value.get(key)!)}`)
      .sort()
      .join(', ')}}`;
  return value === null || typeof value !== 'object' ? String(value) : kindOf(value);
}

const read = { cost: traverse };
const search = { cost: (s: number, p: number) => times(traverse(s), Math.max(1, traverse(p))) };
const replaced = {
  cost: (s: number, old: number, by: number) =>
    times(traverse(s), 1) + times(traverse(s), Math.max(1, traverse(by))) * (old === 0 ? 2 : 1),
  size: (s: number, _old: number, by: number) => s + times(s, by),
};

/** cel-go's extended strings, version 2, as Kubernetes enables them. */
export const strings: readonly Definition[] = [
  ['string.charAt(int): string', charAt, { cost: traverse, size: () => 4 }],
  ['string.indexOf(string): int', indexOf, search],
  ['string.indexOf(string, int): int', indexOf, search],
  ['string.lastIndexOf(string): int', lastIndexOf, search],
  ['string.lastIndexOf(string, int): int', lastIndexOf, search],
  ['string.lowerAscii(): string', (s: string) => ascii(s, (part) => part.toLowerCase()), read],
  ['string.upperAscii(): string', (s: string) => ascii(s, (part) => part.toUpperCase()), read],
  ['string.replace(string, string): string', replace, replaced],
  ['string.replace(string, string, int): string', replace, replaced],
  ['string.split(string): list<string>', split, { cost: traverse }],
  ['string.split(string, int): list<string>', split, { cost: traverse }],
  ['string.substring(int): string', substring, read],
  ['string.substring(int, int): string', substring, read],
  ['string.trim(): string', trim, read],
  ['string.reverse(): string', (s: string) => runes(s).toReversed().join(''), read],
  [
    'list<string>.join(): string',
    (list: CelList) => [...list].join(''),
    { cost: (size) => size!, size: () => Number.POSITIVE_INFINITY },
  ],
  [
    'list<string>.join(string): string',
    (list: CelList, by: string) => [...list].join(by),
    { cost: (size, by) => size! + times(size!, traverse(by!)), size: () => Number.POSITIVE_INFINITY },
  ],
  [
    'string.format(list<dyn>): string',
    format,
    { cost: (s, n) => traverse(s!) + n!, size: () => Number.POSITIVE_INFINITY },
  ],
  ['strings.quote(string): string', quote, { cost: traverse, size: (s) => s! * 2 + 2 }],
];
