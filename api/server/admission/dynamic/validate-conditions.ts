import { causes, type MatchCondition } from '@trimtab/machinery';
import { type Causes, qualifiedName } from '../../registry/strategies/checks.js';

const most = 64;

/** What is wrong with an expression, or undefined: `compilation failed: …`, `must evaluate to bool`. */
export type ExpressionCheck = (expression: string) => string | undefined;

/** Named CEL conditions (kubernetes: admissionregistration/validation validateMatchConditions). */
export function validateConditions(
  conditions: readonly MatchCondition[] | undefined,
  at: string,
  check: ExpressionCheck,
  out: Causes,
): void {
  if ((conditions?.length ?? 0) > most) out.push(causes.tooMany(at, conditions!.length, most));
  const seen = new Set<string>();
  for (const [i, { name, expression }] of (conditions ?? []).entries()) {
    const path = `${at}[${i}]`;
    if (!expression?.trim()) out.push(causes.required(`${path}.expression`));
    else {
      const problem = check(expression.trim());
      if (problem !== undefined) out.push(causes.invalid(`${path}.expression`, expression, problem));
    }
    if (!name) out.push(causes.required(`${path}.name`));
    else {
      qualifiedName(name, `${path}.name`, out);
      if (seen.has(name)) out.push(causes.duplicate(`${path}.name`, name));
      seen.add(name);
    }
  }
}
