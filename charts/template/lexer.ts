import { TemplateError } from './errors.js';

/**
 * Go's text/template lexical grammar. Text outside `{{ }}` is one token; `{{-` and `-}}` trim white space of the text on
 * their side; comments vanish.
 */
export type Token =
  | { readonly type: 'text'; readonly value: string; readonly line: number }
  | { readonly type: 'open' | 'close' | 'end-of-file'; readonly line: number }
  | { readonly type: 'string'; readonly value: string; readonly line: number }
  | { readonly type: 'number'; readonly value: number | bigint; readonly line: number }
  /** `name` is an identifier, `field` `.name`, `variable` `$name`; `symbol` is one of `| ( ) , = := .` */
  | { readonly type: 'name' | 'field' | 'variable' | 'symbol'; readonly value: string; readonly line: number }
  /** White space matters inside an action only where it ends an argument. */
  | { readonly type: 'space'; readonly line: number };

const INSIDE: readonly [RegExp, (text: string) => Omit<Token, 'line'>][] = [
  [/^\s+/, () => ({ type: 'space' })],
  [/^"(?:[^"\\\n]|\\.)*"/, (t) => ({ type: 'string', value: unquote(t) })],
  [/^`[^`]*`/, (t) => ({ type: 'string', value: t.slice(1, -1) })],
  [/^'(?:[^'\\]|\\.)'/, (t) => ({ type: 'number', value: BigInt(unquote(t).codePointAt(0)!) })],
  [/^[+-]?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)/, (t) => ({ type: 'number', value: Number(t) })],
  [/^[+-]?(?:0[xX][\da-fA-F]+|\d+)/, (t) => ({ type: 'number', value: integer(t) })],
  [/^\.[A-Za-z_]\w*/, (t) => ({ type: 'field', value: t.slice(1) })],
  [/^\$\w*/, (t) => ({ type: 'variable', value: t })],
  [/^[A-Za-z_]\w*/, (t) => ({ type: 'name', value: t })],
  [/^(?::=|[|(),=.])/, (t) => ({ type: 'symbol', value: t })],
];

export function lex(file: string, source: string): Token[] {
  const tokens: Token[] = [];
  let rest = source;
  let line = 1;
  let trimNext = false;
  const take = (length: number): string => {
    const text = rest.slice(0, length);
    rest = rest.slice(length);
    line += text.split('\n').length - 1;
    return text;
  };
  while (rest !== '') {
    const open = rest.indexOf('{{');
    const start = line;
    let text = take(open < 0 ? rest.length : open);
    if (trimNext) text = text.trimStart();
    const trims = /^\{\{-\s/.test(rest);
    if (trims) text = text.trimEnd();
    if (text !== '') tokens.push({ type: 'text', value: text, line: start });
    if (open < 0) break;
    take(trims ? 3 : 2);
    const comment = /^\s*\/\*[\s\S]*?\*\/\s*?(-?)\}\}/.exec(rest);
    if (comment) {
      trimNext = comment[1] === '-';
      take(comment[0].length);
      continue;
    }
    tokens.push({ type: 'open', line });
    for (;;) {
      const close = /^(?:\s-)?\}\}/.exec(rest);
      if (close) {
        trimNext = close[0].includes('-');
        tokens.push({ type: 'close', line });
        take(close[0].length);
        break;
      }
      const found = INSIDE.map(([pattern, make]) => [pattern.exec(rest)?.[0], make] as const).find(
        ([t]) => t !== undefined,
      );
      if (rest === '') throw new TemplateError(file, line, 'unclosed action');
      if (!found) throw new TemplateError(file, line, `unexpected ${JSON.stringify(rest[0])} in an action`);
      tokens.push({ ...found[1](found[0]!), line } as Token);
      take(found[0]!.length);
    }
  }
  tokens.push({ type: 'end-of-file', line });
  return tokens;
}

function integer(text: string): bigint {
  const negative = text.startsWith('-');
  const digits = text.replace(/^[+-]/, '');
  const value = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return negative ? -value : value;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };

function unquote(text: string): string {
  return text
    .slice(1, -1)
    .replace(/\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|(.))/g, (_, x, u, U, c: string) =>
      c === undefined ? String.fromCodePoint(Number.parseInt(x ?? u ?? U, 16)) : (ESCAPES[c] ?? c),
    );
}
