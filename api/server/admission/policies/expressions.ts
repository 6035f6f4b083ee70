import {
  CEL_LIMITS,
  CelBudget,
  type CelEnvironment,
  CelError,
  type CelProgram,
  type CelResult,
  type CelType,
  type CelValue,
  compileCel,
  isCompileError,
  type MatchCondition,
} from '@trimtab/machinery';
import type { ConditionOutcome } from '../dynamic/conditions.js';

/** A compiled expression, or what is wrong with it. */
export type Expression =
  | { readonly source: string; readonly program: CelProgram; readonly problem?: undefined }
  | { readonly source: string; readonly program?: undefined; readonly problem: string };

/** What is absent is compiled as nothing, which is wrong too; that it is required is said elsewhere. */
export function compile(
  text: string | undefined,
  variables: Readonly<Record<string, CelType>>,
  expected?: string | readonly string[],
  structs?: CelEnvironment['structs'],
): Expression {
  const source = (text ?? '').trim();
  const made = compileCel(source, { variables, ...(structs ? { structs } : {}) }, expected);
  return isCompileError(made) ? { source, problem: made.error } : { source, program: made };
}

export type Bindings = Readonly<Record<string, unknown>>;

/** An evaluation that gave an error, in the words of messages; `budget`: there is nothing left to evaluate more with. */
export interface Failed {
  readonly error: string;
  readonly budget: boolean;
}
export type Outcome = { readonly value: CelValue } | Failed;

export const isFailed = (outcome: Outcome): outcome is Failed => 'error' in outcome;

export function evaluate({ source, program, problem }: Expression, bindings: Bindings, budget: CelBudget): Outcome {
  if (!program) return { error: `compilation error: ${problem}`, budget: false };
  const result: CelResult = program.evaluate(bindings, budget);
  if (result.error === undefined) return { value: result.value };
  if (result.exceeded === 'budget') return { error: result.error, budget: true };
  return { error: `expression '${source}' resulted in error: ${result.error}`, budget: false };
}

export interface NamedExpression {
  readonly name: string;
  readonly expression: Expression;
}

/**
 * All conditions must hold: one that is false decides, whatever the others are; otherwise one that cannot be evaluated makes
 * the whole an error. They share a budget of their own.
 */
export function matchAll(conditions: readonly NamedExpression[], bindings: Bindings): ConditionOutcome {
  const budget = new CelBudget(CEL_LIMITS.matchConditions);
  const errors: string[] = [];
  for (const { expression } of conditions) {
    const outcome = evaluate(expression, bindings, budget);
    if (isFailed(outcome)) {
      errors.push(outcome.error);
      if (outcome.budget) break;
    } else if (outcome.value !== true) return { matches: false };
  }
  if (errors.length === 0) return { matches: true };
  return { matches: false, error: errors.length === 1 ? errors[0]! : `[${errors.join(', ')}]` };
}

export const compileConditions = (
  conditions: readonly MatchCondition[] | undefined,
  variables: Readonly<Record<string, CelType>>,
): readonly NamedExpression[] =>
  (conditions ?? []).map(({ name, expression }) => ({ name, expression: compile(expression, variables, 'bool') }));

/**
 * The value of `variables`: each is evaluated when it is first read, once a request, from what it costs to the reader's
 * budget.
 */
export function lazyVariables(
  declared: readonly NamedExpression[],
  bindings: Bindings,
  budget: CelBudget,
): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  const scope = { ...bindings, variables: values };
  for (const { name, expression } of declared) {
    let known: Outcome | undefined;
    Object.defineProperty(values, name, {
      enumerable: true,
      get() {
        known ??= evaluate(expression, scope, budget);
        if (isFailed(known))
          throw new CelError(`composited variable ${JSON.stringify(name)} fails to evaluate: ${known.error}`);
        return known.value;
      },
    });
  }
  return values;
}
