/**
 * JSONPath as kubectl and CRD printer columns use it: `.spec.replicas`, `['a']`, `[0]`, `[-1]`, `[a:b:c]`, `[*]`, `..name`,
 * `[?(@.type=="Ready")]`, unions `[0,2]`, wrapped in `{…}` or not. A parsed path is immutable and can be evaluated any
 * number of times; evaluation never throws and never follows prototypes.
 */

export type JsonPathStep =
  | { readonly type: 'field'; readonly name: string }
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'slice'; readonly start?: number; readonly end?: number; readonly step: number }
  | { readonly type: 'wildcard' }
  | { readonly type: 'recursive' }
  | { readonly type: 'union'; readonly steps: readonly JsonPathStep[] }
  | {
      readonly type: 'filter';
      readonly left: FilterOperand;
      readonly operator: FilterOperator;
      readonly right?: FilterOperand;
    };

export type FilterOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'exists';
export type FilterOperand =
  | { readonly path: readonly JsonPathStep[] }
  | { readonly value: string | number | boolean | null };

export interface JsonPath {
  readonly text: string;
  readonly steps: readonly JsonPathStep[];
}

/** Thrown for text that is no path of the supported subset; the message names the place. */
export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
}

/** Reads a path. Surrounding braces and a leading `$` or missing leading dot are accepted, as kubectl accepts them. */
export function parseJsonPath(text: string): JsonPath {
  const trimmed = text.trim();
  const inner = trimmed.startsWith('{') && trimmed.endsWith('}') ? trimmed.slice(1, -1).trim() : trimmed;
  const scanner = new Scanner(inner, text);
  const steps = parseSteps(scanner, true);
  if (!scanner.done) throw scanner.error('unexpected character');
  return { text, steps };
}

/** All values the path leads to, in document order; a missing field leads nowhere. */
export function evaluateJsonPath(path: JsonPath, root: unknown): readonly unknown[] {
  return walk(path.steps, root);
}

class Scanner {
  #position = 0;
  readonly #text: string;
  readonly #whole: string;

  constructor(text: string, whole: string) {
    this.#text = text;
    this.#whole = whole;
  }

  get done(): boolean {
    return this.#position >= this.#text.length;
  }

  peek(): string {
    return this.#text[this.#position] ?? '';
  }

  /** Takes `literal` if it comes next. */
  take(literal: string): boolean {
    if (!this.#text.startsWith(literal, this.#position)) return false;
    this.#position += literal.length;
    return true;
  }

  /** Takes what the sticky pattern matches here. */
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#text);
    if (!found) return undefined;
    this.#position += found[0].length;
    return found[0];
  }

  spaces(): void {
    this.match(/\s*/y);
  }

  expect(literal: string): void {
    this.spaces();
    if (!this.take(literal)) throw this.error(`expected ${JSON.stringify(literal)}`);
  }

  error(why: string): JsonPathError {
    return new JsonPathError(`invalid JSONPath ${JSON.stringify(this.#whole)}: ${why} at position ${this.#position}`);
  }
}

const NAME = /(?:\\.|[^.[\]{}()\s,'"?@=!<>\\*])+/y;
const NUMBER = /-?\d+/y;

function parseSteps(scanner: Scanner, atStart: boolean): JsonPathStep[] {
  const steps: JsonPathStep[] = [];
  if (atStart) scanner.take('$');
  let first = atStart;
  for (;;) {
    if (scanner.take('..')) {
      steps.push({ type: 'recursive' });
      if (scanner.peek() !== '[') steps.push(parseName(scanner));
    } else if (scanner.take('.')) {
      // A lone dot is the object itself.
      if (scanner.done) return steps;
      if (scanner.peek() !== '[') steps.push(parseName(scanner));
    } else if (scanner.take('[')) {
      steps.push(parseBracket(scanner));
    } else if (first && !scanner.done) {
      steps.push(parseName(scanner));
    } else {
      return steps;
    }
    first = false;
  }
}

function parseName(scanner: Scanner): JsonPathStep {
  if (scanner.take('*')) return { type: 'wildcard' };
  const name = scanner.match(NAME);
  if (name === undefined) throw scanner.error('expected a field name');
  return { type: 'field', name: name.replace(/\\(.)/g, '$1') };
}

function parseBracket(scanner: Scanner): JsonPathStep {
  scanner.spaces();
  if (scanner.take('?')) return parseFilter(scanner);
  const steps: JsonPathStep[] = [];
  do {
    scanner.spaces();
    steps.push(parseSelector(scanner));
    scanner.spaces();
  } while (scanner.take(','));
  scanner.expect(']');
  return steps.length === 1 ? steps[0]! : { type: 'union', steps };
}

function parseSelector(scanner: Scanner): JsonPathStep {
  if (scanner.take('*')) return { type: 'wildcard' };
  const name = parseString(scanner);
  if (name !== undefined) return { type: 'field', name };
  const start = scanner.match(NUMBER);
  if (!scanner.take(':')) {
    if (start === undefined) throw scanner.error('expected a number, a quoted name or *');
    return { type: 'index', index: Number(start) };
  }
  const end = scanner.match(NUMBER);
  const step = scanner.take(':') ? Number(scanner.match(NUMBER) ?? '1') : 1;
  if (step < 1) throw scanner.error('the step must be at least 1');
  return {
    type: 'slice',
    step,
    ...(start === undefined ? {} : { start: Number(start) }),
    ...(end === undefined ? {} : { end: Number(end) }),
  };
}

function parseString(scanner: Scanner): string | undefined {
  const quotedText = scanner.match(/'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"/y);
  return quotedText?.slice(1, -1).replace(/\\(.)/g, '$1');
}

function parseFilter(scanner: Scanner): JsonPathStep {
  scanner.expect('(');
  const left = parseOperand(scanner);
  scanner.spaces();
  const operator = scanner.match(/==|!=|<=|>=|<|>/y) as FilterOperator | undefined;
  const right = operator === undefined ? undefined : parseOperand(scanner);
  scanner.expect(')');
  scanner.expect(']');
  return { type: 'filter', left, operator: operator ?? 'exists', ...(right ? { right } : {}) };
}

function parseOperand(scanner: Scanner): FilterOperand {
  scanner.spaces();
  if (scanner.take('@')) return { path: parseSteps(scanner, false) };
  const text = parseString(scanner);
  if (text !== undefined) return { value: text };
  const word = scanner.match(/true|false|null|-?\d+(?:\.\d+)?/y);
  if (word === undefined) throw scanner.error('expected @, a quoted text, a number, true, false or null');
  return { value: JSON.parse(word) as number | boolean | null };
}

function walk(steps: readonly JsonPathStep[], root: unknown): unknown[] {
  let values: unknown[] = [root];
  for (const step of steps) values = values.flatMap((value) => take(step, value));
  return values;
}

function take(step: JsonPathStep, value: unknown): unknown[] {
  switch (step.type) {
    case 'field':
      return isRecord(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case 'index': {
      if (!Array.isArray(value)) return [];
      const at = step.index < 0 ? value.length + step.index : step.index;
      return at >= 0 && at < value.length ? [value[at]] : [];
    }
    case 'slice':
      return Array.isArray(value)
        ? value.slice(step.start ?? 0, step.end ?? value.length).filter((_, i) => i % step.step === 0)
        : [];
    case 'wildcard':
      return childrenOf(value);
    case 'recursive':
      return descendants(value);
    case 'union':
      return step.steps.flatMap((each) => take(each, value));
    case 'filter':
      return childrenOf(value).filter((child) => passes(step, child));
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function childrenOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return isRecord(value) ? Object.values(value) : [];
}

function descendants(value: unknown): unknown[] {
  const children = childrenOf(value).filter((child) => typeof child === 'object' && child !== null);
  return typeof value === 'object' && value !== null ? [value, ...children.flatMap(descendants)] : [];
}

function passes(step: Extract<JsonPathStep, { type: 'filter' }>, child: unknown): boolean {
  const values = (operand: FilterOperand): unknown[] =>
    'path' in operand ? walk(operand.path, child) : [operand.value];
  const left = values(step.left);
  if (step.operator === 'exists' || !step.right) return left.length > 0;
  const right = values(step.right);
  if (left.length === 0 || right.length === 0) return false;
  return compare(step.operator, left[0], right[0]);
}

function compare(operator: FilterOperator, left: unknown, right: unknown): boolean {
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  const comparable =
    (typeof left === 'number' && typeof right === 'number') || (typeof left === 'string' && typeof right === 'string');
  if (!comparable) return false;
  if (operator === '<') return left < right;
  if (operator === '<=') return left <= right;
  if (operator === '>') return left > right;
  return left >= right;
}
