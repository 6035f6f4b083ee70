import { CelSyntaxError } from './syntax.js';
import { CelUint, type CelValue } from './values.js';

export interface Token {
  readonly kind: 'ident' | 'quoted-ident' | 'literal' | 'op' | 'end';
  readonly text: string;
  readonly pos: number;
  readonly value?: CelValue;
}

const OPERATORS = ['==', '!=', '<=', '>=', '&&', '||', ...'<>+-*/%!?:.,()[]{}'];
const NUMBER = /0x[0-9a-fA-F]+[uU]?|\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?|\d+[uU]?/y;
const IDENT = /[A-Za-z_][A-Za-z0-9_]*/y;
const QUOTED = /`[A-Za-z0-9_.\-/ ]+`/y;
const STRING = /([rR]?[bB]?|[bB][rR])("""|'''|"|')/y;
const SPACE = /(?:[ \t\r\n\f]|\/\/[^\n]*)*/y;

const MAX_INT = 2n ** 63n;

/** All tokens of an expression, with an `end` token last. */
export function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = [];
  let pos = 0;
  const at = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = pos;
    return pattern.exec(source);
  };
  for (;;) {
    pos += at(SPACE)![0].length;
    if (pos >= source.length) return [...tokens, { kind: 'end', text: '<EOF>', pos: source.length }];
    const string = at(STRING);
    if (string) {
      const token = readString(source, pos, string[1]!.toLowerCase(), string[2]!, string[0].length);
      tokens.push(token);
      pos += token.text.length;
      continue;
    }
    const number = at(NUMBER);
    if (number) {
      tokens.push({ kind: 'literal', text: number[0], pos, value: readNumber(number[0], pos) });
      pos += number[0].length;
      continue;
    }
    const ident = at(IDENT) ?? at(QUOTED);
    if (ident) {
      const quoted = ident[0].startsWith('`');
      const text = quoted ? ident[0].slice(1, -1) : ident[0];
      tokens.push({ kind: quoted ? 'quoted-ident' : 'ident', text, pos });
      pos += ident[0].length;
      continue;
    }
    const operator = OPERATORS.find((op) => source.startsWith(op, pos));
    if (operator === undefined)
      throw new CelSyntaxError(
        pos,
        `Syntax error: token recognition error at: '${String.fromCodePoint(source.codePointAt(pos)!)}'`,
      );
    tokens.push({ kind: 'op', text: operator, pos });
    pos += operator.length;
  }
}

function readNumber(text: string, pos: number): CelValue {
  if (/[uU]$/.test(text)) {
    const value = BigInt(text.slice(0, -1));
    if (value >= 2n ** 64n) throw new CelSyntaxError(pos, 'invalid uint literal');
    return new CelUint(value);
  }
  if (!/^0x/.test(text) && /[.eE]/.test(text)) return Number(text);
  const value = BigInt(text);
  // One more than fits is let through for the minus sign that may stand before it; the parser looks.
  if (value > MAX_INT) throw new CelSyntaxError(pos, 'invalid int literal');
  return value;
}

function readString(source: string, pos: number, prefix: string, quote: string, opened: number): Token {
  const raw = prefix.includes('r');
  let end = pos + opened;
  for (;;) {
    if (end >= source.length || (quote.length === 1 && /[\r\n]/.test(source[end]!)))
      throw new CelSyntaxError(pos, `Syntax error: token recognition error at: '${source.slice(pos)}'`);
    if (source.startsWith(quote, end)) break;
    end += source[end] === '\\' && !raw ? 2 : 1;
  }
  const text = source.slice(pos, end + quote.length);
  const body = source.slice(pos + opened, end).replaceAll('\r\n', '\n');
  if (prefix.includes('b')) return { kind: 'literal', text, pos, value: bytesOf(body, raw, pos) };
  return {
    kind: 'literal',
    text,
    pos,
    value: raw ? body : unescapeText(body, pos, (code) => String.fromCodePoint(code)),
  };
}

function bytesOf(body: string, raw: boolean, pos: number): Uint8Array {
  if (raw) return Buffer.from(body, 'utf8');
  const parts: Buffer[] = [];
  let last = 0;
  for (const match of body.matchAll(ESCAPE)) {
    parts.push(Buffer.from(body.slice(last, match.index), 'utf8'));
    if (/^\\[uU]/.test(match[0])) throw new CelSyntaxError(pos, 'invalid bytes literal: unable to unescape string');
    parts.push(Buffer.from([escaped(match[0], pos)]));
    last = match.index + match[0].length;
  }
  return Buffer.concat([...parts, Buffer.from(body.slice(last), 'utf8')]);
}

const ESCAPE = /\\(?:[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)/gs;
const SINGLE: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  '?': 63,
  '"': 34,
  "'": 39,
  '`': 96,
};

const unescapeText = (body: string, pos: number, made: (code: number) => string): string =>
  body.replaceAll(ESCAPE, (text) => made(escaped(text, pos)));

function escaped(text: string, pos: number): number {
  const [first, rest] = [text[1]!, text.slice(2)];
  if (rest !== '') {
    const code = /[0-3]/.test(first) ? Number.parseInt(first + rest, 8) : Number.parseInt(rest, 16);
    if (code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)) return code;
  } else if (Object.hasOwn(SINGLE, first)) return SINGLE[first]!;
  throw new CelSyntaxError(pos, 'invalid string literal: unable to unescape string');
}
