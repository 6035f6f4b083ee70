import { RE2JS } from 're2js';
import { type Definition, matching } from '../overload.js';
import { CelError, NativeList } from '../values.js';

const KEPT = 1000;
const compiled = new Map<string, RE2JS>();

/** A user's pattern, compiled once; RE2 syntax, so matching takes linear time. Throws what re2js throws. */
export function regexOf(pattern: string): RE2JS {
  let regex = compiled.get(pattern);
  if (regex === undefined) {
    regex = RE2JS.compile(pattern);
    if (compiled.size >= KEPT) compiled.clear();
    compiled.set(pattern, regex);
  }
  return regex;
}

export const formatRegexError = (_pattern: string, error: unknown): string =>
  error instanceof Error ? error.message : String(error);

function finds(text: string, pattern: string, limit: number): readonly string[] {
  const found: string[] = [];
  try {
    const matcher = regexOf(pattern).matcher(text);
    while (found.length < limit && matcher.find()) found.push(matcher.group() ?? '');
  } catch (error) {
    throw new CelError(`Illegal regex: ${formatRegexError(pattern, error)}`);
  }
  return found;
}

/** kubernetes/apiserver pkg/cel/library regex. */
export const regex: readonly Definition[] = [
  ['string.find(string): string', (s: string, p: string) => finds(s, p, 1)[0] ?? '', { cost: matching }],
  [
    'string.findAll(string): list<string>',
    (s: string, p: string) => new NativeList(finds(s, p, Number.POSITIVE_INFINITY)),
    { cost: matching },
  ],
  [
    'string.findAll(string, int): list<string>',
    (s: string, p: string, n: bigint) => new NativeList(finds(s, p, n < 0n ? Number.POSITIVE_INFINITY : Number(n))),
    { cost: matching },
  ],
];
