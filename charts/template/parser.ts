import { TemplateError } from './errors.js';
import { lex, type Token } from './lexer.js';

/** Go's text/template syntax tree. */
export type Node =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'print'; readonly pipe: Pipe; readonly line: number }
  | {
      readonly type: 'if' | 'with';
      readonly pipe: Pipe;
      readonly body: Nodes;
      readonly otherwise: Nodes;
      readonly line: number;
    }
  | {
      readonly type: 'range';
      readonly pipe: Pipe;
      readonly body: Nodes;
      readonly otherwise: Nodes;
      readonly line: number;
    }
  | { readonly type: 'template'; readonly name: string; readonly pipe?: Pipe; readonly line: number }
  | { readonly type: 'break' | 'continue'; readonly line: number };

export type Nodes = readonly Node[];

/** `$a, $b := commands` or `$a = commands` or just commands, each fed the one before as its last argument. */
export interface Pipe {
  readonly variables: readonly string[];
  readonly declares: boolean;
  readonly commands: readonly Command[];
}

/** A function or value with its arguments. */
export type Command = readonly Expression[];

export type Expression =
  | { readonly type: 'literal'; readonly value: unknown }
  | { readonly type: 'dot' }
  | { readonly type: 'function'; readonly name: string; readonly line: number }
  | { readonly type: 'variable'; readonly name: string; readonly line: number }
  | { readonly type: 'pipe'; readonly pipe: Pipe; readonly line: number }
  | { readonly type: 'field'; readonly of: Expression; readonly name: string; readonly line: number };

export interface ParsedTemplate {
  readonly body: Nodes;
  /** What `define` and `block` in the file give a name. */
  readonly defines: ReadonlyMap<string, Nodes>;
}

const DOT: Expression = { type: 'dot' };
const CONSTANTS: Readonly<Record<string, unknown>> = { true: true, false: false, nil: null };

export function parse(file: string, source: string): ParsedTemplate {
  const parser = new Parser(file, lex(file, source));
  const { body, end } = parser.nodes();
  if (end !== 'end-of-file') parser.fail(`unexpected {{${end}}}`);
  return { body, defines: parser.defines };
}

class Parser {
  readonly defines = new Map<string, Nodes>();
  #at = 0;

  constructor(
    readonly file: string,
    readonly tokens: readonly Token[],
  ) {}

  fail(message: string, line = this.#peek().line): never {
    throw new TemplateError(this.file, line, message);
  }

  /** Nodes up to an `end` or `else` (consumed up to what follows the word) or the end of the file. */
  nodes(): { body: Nodes; end: 'end' | 'else' | 'end-of-file' } {
    const body: Node[] = [];
    for (;;) {
      const token = this.#next();
      if (token.type === 'end-of-file') return { body, end: 'end-of-file' };
      if (token.type === 'text') {
        body.push({ type: 'text', text: token.value });
        continue;
      }
      const word = this.#word();
      if (word === 'end' || word === 'else') return { body, end: word };
      const node = this.#action(word, token.line);
      if (node !== undefined) body.push(node);
    }
  }

  /** The keyword an action begins with, consumed; undefined when it begins with anything else. */
  #word(): string | undefined {
    this.#spaces();
    const token = this.#peek();
    const keywords = ['if', 'with', 'range', 'else', 'end', 'define', 'block', 'template', 'break', 'continue'];
    if (token.type !== 'name' || !keywords.includes(token.value)) return undefined;
    this.#at++;
    return token.value;
  }

  #action(word: string | undefined, line: number): Node | undefined {
    switch (word) {
      case undefined: {
        const pipe = this.#pipe();
        this.#close();
        return { type: 'print', pipe, line };
      }
      case 'if':
      case 'with':
      case 'range':
        return this.#branch(word, line);
      case 'define':
        this.defines.set(this.#name(), this.#body());
        return undefined;
      case 'block': {
        const name = this.#name(false);
        const pipe = this.#pipe();
        this.#close();
        this.defines.set(name, this.#body(false));
        return { type: 'template', name, pipe, line };
      }
      case 'template': {
        const name = this.#name(false);
        this.#spaces();
        const pipe = this.#peek().type === 'close' ? undefined : this.#pipe();
        this.#close();
        return { type: 'template', name, line, ...(pipe ? { pipe } : {}) };
      }
      default:
        this.#close();
        return { type: word as 'break' | 'continue', line };
    }
  }

  #branch(type: 'if' | 'with' | 'range', line: number): Node {
    const pipe = this.#pipe();
    this.#close();
    const { body, end } = this.nodes();
    if (end === 'end-of-file') this.fail(`{{${type}}} has no {{end}}`, line);
    if (end === 'end') {
      this.#close();
      return { type, pipe, body, otherwise: [], line };
    }
    const word = this.#word();
    if (word === 'if' || word === 'with') return { type, pipe, body, otherwise: [this.#branch(word, line)], line };
    this.#close();
    return { type, pipe, body, otherwise: this.#body(false), line };
  }

  #body(close = true): Nodes {
    const line = this.#peek().line;
    if (close) this.#close();
    const { body, end } = this.nodes();
    if (end !== 'end') this.fail('missing {{end}}', line);
    this.#close();
    return body;
  }

  #name(strict = true): string {
    this.#spaces();
    const token = this.#next();
    if (token.type !== 'string') this.fail('a template name in quotes is expected', token.line);
    if (strict) this.#spaces();
    return token.value;
  }

  #pipe(): Pipe {
    this.#spaces();
    const { variables, declares } = this.#declaration();
    const commands: Command[] = [];
    do {
      const command: Expression[] = [];
      for (this.#spaces(); this.#startsOperand(); this.#spaces()) command.push(this.#operand());
      if (command.length === 0) this.fail('missing value for command');
      commands.push(command);
    } while (this.#accept('|'));
    return { variables, declares, commands };
  }

  #declaration(): { variables: readonly string[]; declares: boolean } {
    const start = this.#at;
    const variables: string[] = [];
    do {
      this.#spaces();
      const token = this.#next();
      if (token.type !== 'variable') break;
      variables.push(token.value);
      this.#spaces();
    } while (this.#accept(','));
    if (variables.length > 0) {
      if (this.#accept(':=')) return { variables, declares: true };
      if (this.#accept('=')) return { variables, declares: false };
    }
    this.#at = start;
    return { variables: [], declares: false };
  }

  #startsOperand(): boolean {
    const token = this.#peek();
    if (token.type === 'symbol') return token.value === '(' || token.value === '.';
    return ['string', 'number', 'name', 'field', 'variable'].includes(token.type);
  }

  #operand(): Expression {
    const token = this.#next();
    const { line } = token;
    let operand: Expression;
    if (token.type === 'string' || token.type === 'number') operand = { type: 'literal', value: token.value };
    else if (token.type === 'field') operand = { type: 'field', of: DOT, name: token.value, line };
    else if (token.type === 'variable') operand = { type: 'variable', name: token.value, line };
    else if (token.type === 'name')
      operand = Object.hasOwn(CONSTANTS, token.value)
        ? { type: 'literal', value: CONSTANTS[token.value] }
        : { type: 'function', name: token.value, line };
    else if (token.type === 'symbol' && token.value === '.') return DOT;
    else {
      const pipe = this.#pipe();
      if (!this.#accept(')')) this.fail('unclosed parenthesis', line);
      operand = { type: 'pipe', pipe, line };
    }
    for (let next = this.#peek(); next.type === 'field'; next = this.#peek()) {
      this.#at++;
      operand = { type: 'field', of: operand, name: next.value, line: next.line };
    }
    return operand;
  }

  #accept(symbol: string): boolean {
    this.#spaces();
    const token = this.#peek();
    if (token.type !== 'symbol' || token.value !== symbol) return false;
    this.#at++;
    return true;
  }

  #close(): void {
    this.#spaces();
    const token = this.#next();
    if (token.type !== 'close')
      this.fail(`unexpected ${'value' in token ? `"${token.value}"` : token.type}`, token.line);
  }

  #spaces(): void {
    while (this.#peek().type === 'space') this.#at++;
  }

  #peek(): Token {
    return this.tokens[this.#at]!;
  }

  #next(): Token {
    return this.tokens[this.#at === this.tokens.length - 1 ? this.#at : this.#at++]!;
  }
}
