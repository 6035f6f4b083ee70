import { type Token, tokenize } from './lexer.js';
import { type CelNode, CelSyntaxError } from './syntax.js';
import type { CelValue } from './values.js';

/** The limits of cel-go's parser: how deep expressions nest. */
const MAX_DEPTH = 250;
/** Expressions longer than this are refused before anything is made of them. */
const MAX_CODE_POINTS = 100_000;

const RESERVED = new Set(
  'as break const continue else false for function if import in let loop null package namespace return true var void while'.split(
    ' ',
  ),
);
const STARTS =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/** Precedence of binary operators, loosest first; all are left-associative. */
const LEVELS: readonly Readonly<Record<string, string>>[] = [
  { '||': '_||_' },
  { '&&': '_&&_' },
  { '==': '_==_', '!=': '_!=_', '<': '_<_', '<=': '_<=_', '>': '_>_', '>=': '_>=_', in: '@in' },
  { '+': '_+_', '-': '_-_' },
  { '*': '_*_', '/': '_/_', '%': '_%_' },
];

/** Reads an expression. Throws a {@link CelSyntaxError} in the words of cel-go's grammar. */
export function parseExpression(source: string): CelNode {
  if (source.length > MAX_CODE_POINTS)
    throw new CelSyntaxError(
      0,
      `expression code point size exceeds limit: size: ${source.length}, limit ${MAX_CODE_POINTS}`,
    );
  const parser = new Parser(tokenize(source));
  const node = parser.expression();
  parser.end();
  return node;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get #token(): Token {
    return this.#tokens[this.#at]!;
  }

  end(): void {
    if (this.#token.kind !== 'end') throw this.#unexpected('extraneous input', '<EOF>');
  }

  expression(): CelNode {
    if (++this.#depth > MAX_DEPTH)
      throw new CelSyntaxError(this.#token.pos, `expression recursion limit exceeded: ${MAX_DEPTH}`);
    const condition = this.#binary(0);
    const { pos } = this.#token;
    let node = condition;
    if (this.#accept('?')) {
      const yes = this.#binary(0);
      this.#expect(':');
      node = { kind: 'call', pos, function: '_?_:_', args: [condition, yes, this.expression()] };
    }
    this.#depth--;
    return node;
  }

  #binary(level: number): CelNode {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const { kind, text, pos } = this.#token;
      const name = kind === 'op' || text === 'in' ? operators[text] : undefined;
      if (name === undefined || !Object.hasOwn(operators, text)) return left;
      this.#at++;
      left = { kind: 'call', pos, function: name, args: [left, this.#binary(level + 1)] };
    }
  }

  #unary(): CelNode {
    const { pos, kind, text } = this.#token;
    if (kind !== 'op' || (text !== '!' && text !== '-')) return this.#member();
    let count = 0;
    while (this.#accept(text)) count++;
    const { kind: next, value } = this.#token;
    if (text === '-' && count === 1 && next === 'literal' && (typeof value === 'bigint' || typeof value === 'number')) {
      this.#at++;
      return this.#postfix({ kind: 'literal', pos, value: -value });
    }
    const operand = text === '-' && this.#token.text === '!' ? this.#unary() : this.#member();
    return count % 2 === 0 ? operand : { kind: 'call', pos, function: text === '!' ? '!_' : '-_', args: [operand] };
  }

  #member(): CelNode {
    return this.#postfix(this.#primary());
  }

  #postfix(start: CelNode): CelNode {
    let node = start;
    for (let steps = 0; ; steps++) {
      if (steps > MAX_DEPTH)
        throw new CelSyntaxError(this.#token.pos, `expression recursion limit exceeded: ${MAX_DEPTH}`);
      const { pos } = this.#token;
      if (this.#accept('.')) {
        const optional = this.#accept('?');
        const name = this.#identifier();
        const open = this.#token.pos;
        if (!optional && this.#accept('('))
          node = { kind: 'call', pos: open, function: name, target: node, args: this.#arguments(')') };
        else node = { kind: 'select', pos, operand: node, field: name, optional };
      } else if (this.#accept('[')) {
        const optional = this.#accept('?');
        const index = this.expression();
        this.#expect(']');
        node = { kind: 'index', pos, operand: node, index, optional };
      } else if (this.#token.text === '{' && this.#token.kind === 'op' && typeName(node) !== undefined) {
        this.#at++;
        node = { kind: 'struct', pos, type: typeName(node)!, fields: this.#fields() };
      } else return node;
    }
  }

  #primary(): CelNode {
    const { kind, text, pos, value } = this.#token;
    if (kind === 'literal') {
      this.#at++;
      if (value === 2n ** 63n) throw new CelSyntaxError(pos, 'invalid int literal');
      return { kind: 'literal', pos, value: value as CelValue };
    }
    if (kind === 'ident' || (text === '.' && this.#tokens[this.#at + 1]?.kind === 'ident')) {
      this.#accept('.');
      return this.#named();
    }
    if (this.#accept('(')) {
      const node = this.expression();
      this.#expect(')');
      return node;
    }
    if (this.#accept('[')) {
      const elements: { value: CelNode; optional: boolean }[] = [];
      while (!this.#accept(']')) {
        const optional = this.#accept('?');
        elements.push({ optional, value: this.expression() });
        if (!this.#accept(',')) {
          this.#expect(']');
          break;
        }
      }
      return { kind: 'list', pos, elements };
    }
    if (this.#accept('{')) return { kind: 'map', pos, entries: this.#entries() };
    throw this.#unexpected('mismatched input', STARTS);
  }

  #named(): CelNode {
    const { text, pos } = this.#token;
    this.#at++;
    if (text === 'true' || text === 'false') return { kind: 'literal', pos, value: text === 'true' };
    if (text === 'null') return { kind: 'literal', pos, value: null };
    if (text === 'in') {
      this.#at--;
      throw this.#unexpected('mismatched input', STARTS);
    }
    if (RESERVED.has(text)) throw new CelSyntaxError(pos, `reserved identifier: ${text}`);
    const open = this.#token.pos;
    if (this.#accept('(')) return { kind: 'call', pos: open, function: text, args: this.#arguments(')') };
    return { kind: 'ident', pos, name: text };
  }

  #arguments(close: string): readonly CelNode[] {
    const args: CelNode[] = [];
    if (this.#accept(close)) return args;
    do args.push(this.expression());
    while (this.#accept(','));
    this.#expect(close);
    return args;
  }

  #entries(): readonly { key: CelNode; value: CelNode; optional: boolean }[] {
    const entries: { key: CelNode; value: CelNode; optional: boolean }[] = [];
    while (!this.#accept('}')) {
      const optional = this.#accept('?');
      const key = this.expression();
      this.#expect(':');
      entries.push({ optional, key, value: this.expression() });
      if (!this.#accept(',')) {
        this.#expect('}');
        break;
      }
    }
    return entries;
  }

  #fields(): readonly { name: string; pos: number; value: CelNode; optional: boolean }[] {
    const fields: { name: string; pos: number; value: CelNode; optional: boolean }[] = [];
    while (!this.#accept('}')) {
      const optional = this.#accept('?');
      const name = this.#identifier();
      const { pos } = this.#token;
      this.#expect(':');
      fields.push({ name, pos, optional, value: this.expression() });
      if (!this.#accept(',')) {
        this.#expect('}');
        break;
      }
    }
    return fields;
  }

  #identifier(): string {
    const { kind, text } = this.#token;
    if (kind !== 'ident' && kind !== 'quoted-ident') throw this.#unexpected('mismatched input', 'IDENTIFIER');
    if (kind === 'ident' && (text === 'in' || text === 'true' || text === 'false' || text === 'null'))
      throw this.#unexpected('no viable alternative at input', `'.${text}'`, true);
    this.#at++;
    return text;
  }

  #accept(text: string): boolean {
    const token = this.#token;
    if (token.kind !== 'op' || token.text !== text) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (this.#accept(text)) return;
    const { pos, text: found } = this.#token;
    throw new CelSyntaxError(pos, `Syntax error: mismatched input '${found}' expecting '${text}'`);
  }

  #unexpected(what: string, expected: string, whole = false): CelSyntaxError {
    const { pos, text } = this.#token;
    return new CelSyntaxError(
      pos,
      whole ? `Syntax error: ${what} ${expected}` : `Syntax error: ${what} '${text}' expecting ${expected}`,
    );
  }
}

/** `Object.spec` before a brace names a message type. */
export function typeName(node: CelNode): string | undefined {
  if (node.kind === 'ident') return node.name;
  if (node.kind !== 'select' || node.optional) return undefined;
  const operand = typeName(node.operand);
  return operand === undefined ? undefined : `${operand}.${node.field}`;
}
