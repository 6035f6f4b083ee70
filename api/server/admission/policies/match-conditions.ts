import type { MatchCondition } from '@trimtab/machinery';
import type { Authorizer } from '../../contracts.js';
import type { ConditionMatcher } from '../dynamic/conditions.js';
import { bindingsOf, variablesOf } from './environment.js';
import { compile, compileConditions, matchAll, type NamedExpression } from './expressions.js';

/** Match conditions of webhooks: no parameters and no namespace. Compiled once for as long as the configuration stands. */
export function celConditions(authorizer: Authorizer): ConditionMatcher {
  const compiled = new WeakMap<readonly MatchCondition[], readonly NamedExpression[]>();
  return {
    match(conditions, attributes, view) {
      let programs = compiled.get(conditions);
      if (!programs) {
        programs = compileConditions(conditions, variablesOf({}));
        compiled.set(conditions, programs);
      }
      return matchAll(
        programs,
        bindingsOf(attributes, view, authorizer, () => undefined),
      );
    },
  };
}

/** What is wrong with a match condition of a webhook. */
export const conditionProblem = (expression: string): string | undefined =>
  compile(expression, variablesOf({}), 'bool').problem;
