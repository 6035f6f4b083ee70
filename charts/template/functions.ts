import { createHash } from 'node:crypto';
import { parse as parseYaml, stringify } from 'yaml';
import type { TemplateFunction } from './evaluate.js';
import { equal, format, type GoMap, isMap, toJson, truth } from './go-values.js';

/**
 * The functions charts use: Go's own, Helm's (`toYaml`, `required`, `fail`…) and the part of Sprig that is a pure function of
 * its arguments. Others are refused by name, among them all that depend on time, randomness or a live cluster.
 */
export const functions: Readonly<Record<string, TemplateFunction>> = {
  not: (value) => !truth(value),
  eq: (first, ...others) => others.some((other) => equal(first, other)),
  ne: (a, b) => !equal(a, b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  len: (value) => BigInt(isMap(value) ? Object.keys(value).length : (value as string | unknown[]).length),
  index: (of, ...keys) =>
    keys.reduce((value, key) => (isMap(value) ? value[String(key)] : (value as unknown[])[Number(key)]), of),
  print: (...args) => args.map(format).join(''),
  printf: (pattern, ...args) => printf(String(pattern), args),
  println: (...args) => `${args.map(format).join(' ')}\n`,

  toYaml: (value) => stringify(toJson(value), { lineWidth: 0 }).replace(/\n$/, ''),
  fromYaml: (text) => parseYaml(String(text)) as unknown,
  toJson: (value) => JSON.stringify(toJson(value)),
  fromJson: (text) => JSON.parse(String(text)) as unknown,
  required: (message, value) => {
    if (value === null || value === undefined || value === '') throw new Error(String(message));
    return value;
  },
  fail: (message) => {
    throw new Error(String(message));
  },

  default: (fallback, value) => (truth(value) ? value : fallback),
  empty: (value) => !truth(value),
  coalesce: (...values) => values.find(truth),
  ternary: (yes, no, condition) => (truth(condition) ? yes : no),
  typeOf: (value) => kindOf(value),
  kindOf: (value) => kindOf(value),
  kindIs: (kind, value) => kindOf(value) === kind,

  quote: (...values) =>
    values
      .filter((v) => v !== null && v !== undefined)
      .map((v) => JSON.stringify(format(v)))
      .join(' '),
  squote: (...values) => values.map((v) => `'${format(v)}'`).join(' '),
  upper: (text) => String(text).toUpperCase(),
  lower: (text) => String(text).toLowerCase(),
  title: (text) => String(text).replace(/\b\w/g, (c) => c.toUpperCase()),
  trim: (text) => String(text).trim(),
  trimAll: (cut, text) => trimChars(String(text), String(cut), true, true),
  trimPrefix: (prefix, text) =>
    String(text).startsWith(String(prefix)) ? String(text).slice(String(prefix).length) : text,
  trimSuffix: (suffix, text) =>
    suffix !== '' && String(text).endsWith(String(suffix)) ? String(text).slice(0, -String(suffix).length) : text,
  trunc: (length, text) =>
    Number(length) < 0 ? String(text).slice(Number(length)) : String(text).slice(0, Number(length)),
  replace: (from, to, text) => String(text).split(String(from)).join(String(to)),
  contains: (part, text) => String(text).includes(String(part)),
  hasPrefix: (prefix, text) => String(text).startsWith(String(prefix)),
  hasSuffix: (suffix, text) => String(text).endsWith(String(suffix)),
  repeat: (count, text) => String(text).repeat(Number(count)),
  nospace: (text) => String(text).replace(/\s+/g, ''),
  indent: (width, text) => indent(Number(width), String(text)),
  nindent: (width, text) => `\n${indent(Number(width), String(text))}`,
  splitList: (separator, text) => String(text).split(String(separator)),
  join: (separator, list) => (Array.isArray(list) ? list : [list]).map(format).join(String(separator)),
  toString: (value?: unknown) => format(value),
  toStrings: (list) => (list as unknown[]).map(format),
  b64enc: (text) => Buffer.from(String(text)).toString('base64'),
  b64dec: (text) => Buffer.from(String(text), 'base64').toString('utf8'),
  sha256sum: (text) => createHash('sha256').update(String(text)).digest('hex'),

  int: toInt,
  int64: toInt,
  float64: (value) => Number(value),
  add: (...values) => values.map(toInt).reduce((a, b) => a + b, 0n),
  add1: (value) => toInt(value) + 1n,
  sub: (a, b) => toInt(a) - toInt(b),
  mul: (...values) => values.map(toInt).reduce((a, b) => a * b, 1n),
  div: (a, b) => toInt(a) / toInt(b),
  mod: (a, b) => toInt(a) % toInt(b),
  max: (...values) => values.map(toInt).reduce((a, b) => (a > b ? a : b)),
  min: (...values) => values.map(toInt).reduce((a, b) => (a < b ? a : b)),

  list: (...values) => values,
  first: (list) => (list as unknown[])[0],
  last: (list) => (list as unknown[]).at(-1),
  rest: (list) => (list as unknown[]).slice(1),
  append: (list, value) => [...(list as unknown[]), value],
  prepend: (list, value) => [value, ...(list as unknown[])],
  concat: (...lists) => (lists as unknown[][]).flat(1),
  uniq: (list) => (list as unknown[]).filter((a, i, all) => all.findIndex((b) => equal(a, b)) === i),
  without: (list, ...values) => (list as unknown[]).filter((a) => !values.some((b) => equal(a, b))),
  has: (value, list) => ((list ?? []) as unknown[]).some((item) => equal(item, value)),
  sortAlpha: (list) => (list as unknown[]).map(format).sort(),
  until: (count) => Array.from({ length: Number(count) }, (_, i) => BigInt(i)),

  dict: (...pairs) => Object.fromEntries(chunk(pairs).map(([key, value]) => [String(key), value])),
  get: (map, key) => (map as GoMap)[String(key)] ?? '',
  hasKey: (map, key) => Object.hasOwn((map ?? {}) as GoMap, String(key)),
  keys: (...maps) => (maps as GoMap[]).flatMap((map) => Object.keys(map)),
  values: (map) => Object.values(map as GoMap),
  pick: (map, ...keys) => Object.fromEntries(Object.entries(map as GoMap).filter(([key]) => keys.includes(key))),
  omit: (map, ...keys) => Object.fromEntries(Object.entries(map as GoMap).filter(([key]) => !keys.includes(key))),
  dig: (...args) => dig(args),
  merge: (...maps) => (maps as GoMap[]).reduceRight((below, above) => mergeMaps(below, above), {}),
  mergeOverwrite: (...maps) => (maps as GoMap[]).reduce((below, above) => mergeMaps(below, above), {}),
};

/** Deep merge in which `above` wins; both stay as they are. */
export function mergeMaps(below: GoMap, above: GoMap): GoMap {
  const merged: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const existing = merged[key];
    merged[key] = isMap(existing) && isMap(value) ? mergeMaps(existing, value) : value;
  }
  return merged;
}

function compare(a: unknown, b: unknown): number {
  const number = (v: unknown): v is number | bigint => typeof v === 'number' || typeof v === 'bigint';
  if (number(a) && number(b)) return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw new Error(`incompatible types for comparison: ${kindOf(a)} and ${kindOf(b)}`);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'invalid';
  if (Array.isArray(value)) return 'slice';
  if (isMap(value)) return 'map';
  return (
    { string: 'string', boolean: 'bool', bigint: 'int', number: 'float64' }[typeof value as string] ?? typeof value
  );
}

function toInt(value?: unknown): bigint {
  if (typeof value === 'bigint') return value;
  const number = Math.trunc(Number(value));
  return Number.isFinite(number) ? BigInt(number) : 0n;
}

const indent = (width: number, text: string): string => text.replace(/^/gm, ' '.repeat(width));

function trimChars(text: string, cut: string, start: boolean, end: boolean): string {
  let [from, to] = [0, text.length];
  while (start && from < to && cut.includes(text[from]!)) from++;
  while (end && to > from && cut.includes(text[to - 1]!)) to--;
  return text.slice(from, to);
}

function chunk(values: readonly unknown[]): [unknown, unknown][] {
  return Array.from({ length: Math.ceil(values.length / 2) }, (_, i) => [values[2 * i], values[2 * i + 1] ?? '']);
}

/** `dig "a" "b" fallback map` */
function dig(args: readonly unknown[]): unknown {
  const [fallback, map] = args.slice(-2);
  let value: unknown = map;
  for (const key of args.slice(0, -2)) {
    if (!isMap(value) || !Object.hasOwn(value, String(key))) return fallback;
    value = value[String(key)];
  }
  return value;
}

function printf(pattern: string, args: readonly unknown[]): string {
  let next = 0;
  return pattern.replace(
    /%([-+ 0#]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g,
    (all, flags: string, width, precision, verb: string) => {
      if (verb === '%') return '%';
      const value = args[next++];
      const text = formatVerb(verb, value, precision);
      if (text === undefined) return `%!${all.at(-1)}(${format(value)})`;
      const size = Number(width ?? 0);
      if (flags.includes('-')) return text.padEnd(size);
      return text.padStart(size, flags.includes('0') ? '0' : ' ');
    },
  );
}

function formatVerb(verb: string, value: unknown, precision: string | undefined): string | undefined {
  switch (verb) {
    case 's':
    case 'v':
      return precision === undefined ? format(value) : format(value).slice(0, Number(precision));
    case 'q':
      return JSON.stringify(format(value));
    case 'd':
      return typeof value === 'bigint' || typeof value === 'number' ? toInt(value).toString() : undefined;
    case 'f':
      return Number(value).toFixed(Number(precision ?? 6));
    case 'x':
      return typeof value === 'bigint' ? value.toString(16) : Buffer.from(String(value)).toString('hex');
    case 't':
      return String(Boolean(value));
    default:
      return undefined;
  }
}
