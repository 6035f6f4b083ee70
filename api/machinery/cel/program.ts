import { Compiler, type Structs } from './compiler.js';
import { Frame } from './frame.js';
import { parseExpression } from './parser.js';
import { CelSyntaxError, formatProblems } from './syntax.js';
import { type CelType, formatType, parseType } from './types.js';
import { CelCostError, CelError, type CelValue } from './values.js';

/** Kubernetes' limits (kubernetes/apiserver pkg/apis/cel/config.go). */
export const CEL_LIMITS = {
  /** Run-time cost of one evaluation. */
  perCall: 1_000_000,
  /** Run-time cost of all rules for one object. */
  perObject: 10_000_000,
  /** Static cost of one rule of a schema, and of all rules of one. */
  staticRule: 10_000_000,
  staticSchema: 100_000_000,
  /** Run-time cost of the match conditions of one webhook or policy. */
  matchConditions: 2_500_000,
} as const;

/** What expressions may name. A type is an object of {@link CelType} or its text: `dyn`, `list<string>`, `kubernetes.URL`. */
export interface CelEnvironment {
  readonly variables: Readonly<Record<string, CelType | string>>;
  /** The message types expressions may make: `Object{…}`; `dyn` for one whose fields are not known. */
  readonly structs?: Structs;
}

export interface CelCompileError {
  /** `compilation failed: ERROR: <input>:1:5: …`, or what the expression must evaluate to. */
  readonly error: string;
  /** The expression is sound but gives the wrong type. */
  readonly wrongType: boolean;
}

export type CelResult =
  | { readonly value: CelValue; readonly cost: number; readonly error?: undefined }
  | {
      /** In cel-go's words: `no such key: a`, `division by zero`, `operation cancelled: actual cost limit exceeded`. */
      readonly error: string;
      /** `call`: one evaluation became too costly; `budget`: all of them together did. Nothing more should be evaluated. */
      readonly exceeded?: 'call' | 'budget';
      readonly cost: number;
    };

export interface CelProgram {
  readonly source: string;
  readonly type: CelType;
  /** The variables it reads. */
  readonly variables: ReadonlySet<string>;
  /** Worst-case cost; Infinity where nothing bounds it. */
  readonly estimatedCost: number;
  /**
   * Bindings are JSON or values of expressions, or functions giving them, called when the variable is first read. Takes what
   * it costs from the budget.
   */
  evaluate(bindings: Readonly<Record<string, unknown>>, budget?: CelBudget): CelResult;
}

/** What evaluations that belong together may cost together. */
export class CelBudget {
  #remaining: number;
  readonly perCall: number;

  constructor(limit: number = CEL_LIMITS.perObject, perCall: number = CEL_LIMITS.perCall) {
    this.#remaining = limit;
    this.perCall = perCall;
  }
  /** Negative once more was spent than there was. */
  get remaining(): number {
    return this.#remaining;
  }
  spend(cost: number): void {
    this.#remaining -= cost;
  }
}

export const BUDGET_EXCEEDED =
  'validation failed due to running out of cost budget, no further validation rules will be run';

/**
 * Compiles an expression for variables of known types. `expected` (`bool`, `string`, …) is the type it must give; `any` of
 * several where it is a list.
 */
export function compileCel(
  source: string,
  environment: CelEnvironment,
  expected?: string | readonly string[],
): CelProgram | CelCompileError {
  const variables: Record<string, CelType> = {};
  for (const [name, type] of Object.entries(environment.variables))
    variables[name] = typeof type === 'string' ? parseType(type) : type;
  const compiler = new Compiler(variables, environment.structs ?? (() => undefined));
  try {
    const { type, cost, run } = compiler.compile(parseExpression(source), undefined);
    if (compiler.problems.length > 0) return failed(source, compiler.problems);
    const wanted = expected === undefined ? [] : typeof expected === 'string' ? [expected] : expected;
    if (wanted.length > 0 && !wanted.includes(formatType(type)))
      return {
        error: wanted.length === 1 ? `must evaluate to ${wanted[0]}` : `must evaluate to one of [${wanted.join(' ')}]`,
        wrongType: true,
      };
    return {
      source,
      type,
      variables: compiler.used,
      estimatedCost: cost,
      evaluate: (bindings, budget) => evaluate(run, bindings, budget),
    };
  } catch (error) {
    if (error instanceof CelSyntaxError) return failed(source, [error]);
    throw error;
  }
}

const failed = (source: string, problems: readonly { pos: number; message: string }[]): CelCompileError => ({
  error: `compilation failed: ${formatProblems(source, problems)}`,
  wrongType: false,
});

function evaluate(
  run: (frame: Frame) => CelValue,
  bindings: Readonly<Record<string, unknown>>,
  budget?: CelBudget,
): CelResult {
  const frame = new Frame(budget?.perCall ?? CEL_LIMITS.perCall, bindings);
  let result: CelResult;
  try {
    const value = run(frame);
    result = { value, cost: frame.cost };
  } catch (error) {
    if (!(error instanceof CelError || error instanceof CelCostError)) throw error;
    const exceeded = error instanceof CelCostError ? { exceeded: 'call' as const } : {};
    result = { error: error.message, cost: frame.cost, ...exceeded };
  }
  budget?.spend(frame.cost);
  if (budget !== undefined && budget.remaining < 0)
    return { error: BUDGET_EXCEEDED, exceeded: 'budget', cost: frame.cost };
  return result;
}

export const isCompileError = (made: CelProgram | CelCompileError): made is CelCompileError => 'wrongType' in made;
