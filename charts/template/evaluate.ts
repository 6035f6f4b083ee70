import { TemplateError } from './errors.js';
import { format, isMap, truth } from './go-values.js';
import type { Command, Expression, Node, Nodes, ParsedTemplate, Pipe } from './parser.js';

export type TemplateFunction = (...args: readonly unknown[]) => unknown;

/** Output is bounded: a template that recurses or repeats without end is an error, not a full memory. */
const MAX_OUTPUT = 16 * 1024 * 1024;
const MAX_DEPTH = 250;

/** All templates of a chart, able to call each other. */
export class TemplateSet {
  readonly #named = new Map<string, { file: string; body: Nodes }>();

  constructor(readonly functions: Readonly<Record<string, TemplateFunction>>) {}

  add(file: string, { body, defines }: ParsedTemplate): void {
    this.#named.set(file, { file, body });
    for (const [name, nodes] of defines) this.#named.set(name, { file, body: nodes });
  }

  has(name: string): boolean {
    return this.#named.has(name);
  }

  /** Runs a template by name with `data` as dot and as `$`. Throws TemplateError. */
  execute(name: string, data: unknown, depth = 0): string {
    const template = this.#named.get(name);
    if (template === undefined) throw new Error(`template: no template "${name}"`);
    if (depth > MAX_DEPTH) throw new TemplateError(template.file, 0, `template "${name}" calls itself without end`);
    const run = new Run(this, template.file, depth);
    run.nodes(template.body, { dot: data, variables: new Scope(undefined, new Map([['$', data]])) });
    return run.output;
  }
}

class Scope {
  constructor(
    readonly parent: Scope | undefined,
    readonly own = new Map<string, unknown>(),
  ) {}

  find(name: string): Scope | undefined {
    return this.own.has(name) ? this : this.parent?.find(name);
  }
}

interface Context {
  readonly dot: unknown;
  readonly variables: Scope;
}

class LoopSignal extends Error {
  constructor(readonly kind: 'break' | 'continue') {
    super(kind);
  }
}

class Run {
  output = '';

  constructor(
    readonly set: TemplateSet,
    readonly file: string,
    readonly depth: number,
  ) {}

  nodes(nodes: Nodes, context: Context): void {
    for (const node of nodes) {
      if (node.type === 'text') this.output += node.text;
      else this.#located(node.line, () => this.#node(node, context));
      if (this.output.length > MAX_OUTPUT) throw new TemplateError(this.file, 0, 'the output exceeds 16 MiB');
    }
  }

  #node(node: Exclude<Node, { type: 'text' }>, context: Context): void {
    switch (node.type) {
      case 'print': {
        const value = this.#pipe(node.pipe, context);
        if (node.pipe.variables.length === 0) this.output += value === undefined || value === null ? '' : format(value);
        return;
      }
      case 'if':
      case 'with': {
        const inner: Context = { dot: context.dot, variables: new Scope(context.variables) };
        const value = this.#pipe(node.pipe, inner);
        const dot = node.type === 'with' && truth(value) ? value : context.dot;
        this.nodes(truth(value) ? node.body : node.otherwise, { ...inner, dot });
        return;
      }
      case 'range':
        this.#range(node, context);
        return;
      case 'template':
        this.output += this.set.execute(
          node.name,
          node.pipe ? this.#pipe(node.pipe, context) : undefined,
          this.depth + 1,
        );
        return;
      default:
        throw new LoopSignal(node.type);
    }
  }

  #range(node: Extract<Node, { type: 'range' }>, context: Context): void {
    const { variables, ...bare } = node.pipe;
    const items = entries(this.#pipe({ ...bare, variables: [] }, context));
    if (items.length === 0) this.nodes(node.otherwise, context);
    for (const [key, value] of items) {
      const scope = new Scope(context.variables);
      if (variables.length === 1) scope.own.set(variables[0]!, value);
      if (variables.length === 2) scope.own.set(variables[0]!, key).set(variables[1]!, value);
      try {
        this.nodes(node.body, { dot: value, variables: scope });
      } catch (signal) {
        if (!(signal instanceof LoopSignal)) throw signal;
        if (signal.kind === 'break') return;
      }
    }
  }

  #pipe(pipe: Pipe, context: Context): unknown {
    let value: unknown;
    for (const [index, command] of pipe.commands.entries())
      value = this.#command(command, context, index === 0 ? [] : [value]);
    for (const name of pipe.variables) {
      if (pipe.declares) context.variables.own.set(name, value);
      else {
        const scope = context.variables.find(name);
        if (scope === undefined) throw new Error(`undefined variable "${name}"`);
        scope.own.set(name, value);
      }
    }
    return value;
  }

  #command([first, ...rest]: Command, context: Context, piped: readonly unknown[]): unknown {
    if (first!.type === 'function') return this.#call(first!.name, rest, context, piped);
    const args = [...rest.map((e) => this.#value(e, context)), ...piped];
    const value = this.#value(first!, context, args);
    if (args.length > 0 && !(first!.type === 'field' && isMethod(first!, this.#value(first!.of, context))))
      throw new Error('a value that is not a function has arguments');
    return value;
  }

  #call(name: string, rest: readonly Expression[], context: Context, piped: readonly unknown[]): unknown {
    // These two are the language's own: their later arguments are evaluated only when needed.
    if (name === 'and' || name === 'or') {
      let value: unknown;
      for (const argument of [...rest.map((e) => () => this.#value(e, context)), ...piped.map((p) => () => p)]) {
        value = argument();
        if (truth(value) === (name === 'or')) return value;
      }
      return value;
    }
    const args = [...rest.map((e) => this.#value(e, context)), ...piped];
    if (name === 'include') return this.set.execute(String(args[0]), args[1], this.depth + 1);
    if (name === 'tpl') throw new Error('tpl is not supported: write the text in a template and include it');
    const fn = Object.hasOwn(this.set.functions, name) ? this.set.functions[name] : undefined;
    if (fn === undefined) throw new Error(`function "${name}" not defined`);
    return fn(...args);
  }

  #value(expression: Expression, context: Context, args: readonly unknown[] = []): unknown {
    switch (expression.type) {
      case 'literal':
        return expression.value;
      case 'dot':
        return context.dot;
      case 'pipe':
        return this.#pipe(expression.pipe, context);
      case 'function':
        return this.#call(expression.name, [], context, []);
      case 'variable': {
        const scope = context.variables.find(expression.name);
        if (scope === undefined) throw new Error(`undefined variable "${expression.name}"`);
        return scope.own.get(expression.name);
      }
      default:
        return field(this.#value(expression.of, context), expression.name, args);
    }
  }

  #located(line: number, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (error instanceof TemplateError || error instanceof LoopSignal) throw error;
      throw new TemplateError(this.file, line, error instanceof Error ? error.message : String(error));
    }
  }
}

function field(of: unknown, name: string, args: readonly unknown[]): unknown {
  if (of === null || of === undefined) throw new Error(`nil pointer evaluating interface {}.${name}`);
  if (!isMap(of)) throw new Error(`can't evaluate field ${name} in type ${Array.isArray(of) ? 'list' : typeof of}`);
  const value = Object.hasOwn(of, name) ? of[name] : undefined;
  return typeof value === 'function' ? (value as TemplateFunction)(...args) : value;
}

const isMethod = (expression: Extract<Expression, { type: 'field' }>, of: unknown): boolean =>
  isMap(of) && typeof of[expression.name] === 'function';

function entries(value: unknown): [unknown, unknown][] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((item, index) => [BigInt(index), item]);
  if (typeof value === 'bigint') return Array.from({ length: Number(value) }, (_, i) => [BigInt(i), BigInt(i)]);
  if (isMap(value))
    return Object.keys(value)
      .sort()
      .map((key) => [key, value[key]]);
  throw new Error(`range can't iterate over ${format(value)}`);
}
