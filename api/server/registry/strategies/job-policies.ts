import { causes, type JobSpec } from '@trimtab/machinery';
import { type Causes, nonNegative, oneOf, qualifiedName, required } from './checks.js';

/** When a Job has failed, and when it has succeeded before all is done (KEP-3329, KEP-3998). */

const most = 20;

type FailureRule = NonNullable<JobSpec['podFailurePolicy']>['rules'][number];
type ExitCodes = NonNullable<FailureRule['onExitCodes']>;

/** One of a few; a missing one is told which there are. */
function named(value: string | undefined, allowed: readonly string[], at: string, out: Causes): void {
  if (!value) out.push(causes.required(at, `valid values: [${allowed.map((v) => JSON.stringify(v)).join(' ')}]`));
  else oneOf(value, allowed, at, out);
}

export function validateFailurePolicy(spec: JobSpec, at: string, out: Causes): void {
  const rules = spec.podFailurePolicy?.rules ?? [];
  const path = `${at}.podFailurePolicy.rules`;
  if (rules.length > most) out.push(causes.tooMany(path, rules.length, most));
  const pod = spec.template?.spec;
  const containers = new Set([...(pod?.initContainers ?? []), ...(pod?.containers ?? [])].map((c) => c.name));
  for (const [i, rule] of rules.entries()) {
    const here = `${path}[${i}]`;
    if (rule.action === 'FailIndex' && spec.backoffLimitPerIndex === undefined)
      out.push(causes.invalid(`${here}.action`, rule.action, 'requires the backoffLimitPerIndex to be set'));
    else named(rule.action, ['Count', 'FailIndex', 'FailJob', 'Ignore'], `${here}.action`, out);
    if (rule.onExitCodes) validateExitCodes(rule.onExitCodes, containers, `${here}.onExitCodes`, out);
    const conditions = rule.onPodConditions ?? [];
    if (conditions.length > most) out.push(causes.tooMany(`${here}.onPodConditions`, conditions.length, most));
    for (const [j, condition] of conditions.entries()) {
      qualifiedName(condition.type, `${here}.onPodConditions[${j}].type`, out);
      named(condition.status, ['False', 'True', 'Unknown'], `${here}.onPodConditions[${j}].status`, out);
    }
    if (rule.onExitCodes && conditions.length > 0)
      out.push(causes.invalidHere(here, 'specifying both OnExitCodes and OnPodConditions is not supported'));
    if (!rule.onExitCodes && conditions.length === 0)
      out.push(causes.invalidHere(here, 'specifying one of OnExitCodes and OnPodConditions is required'));
  }
}

function validateExitCodes(
  { operator, containerName, values = [] }: ExitCodes,
  containers: ReadonlySet<string>,
  at: string,
  out: Causes,
): void {
  named(operator, ['In', 'NotIn'], `${at}.operator`, out);
  if (containerName !== undefined && !containers.has(containerName))
    out.push(
      causes.invalid(
        `${at}.containerName`,
        containerName,
        'must be one of the container or initContainer names in the pod template',
      ),
    );
  if (values.length === 0) out.push(causes.invalid(`${at}.values`, values, 'at least one value is required'));
  if (values.length > 255) out.push(causes.tooMany(`${at}.values`, values.length, 255));
  for (const [i, code] of values.entries()) {
    if (operator === 'In' && code === 0)
      out.push(causes.invalid(`${at}.values[${i}]`, code, 'must not be 0 for the In operator'));
    if (values.indexOf(code) < i) out.push(causes.duplicate(`${at}.values[${i}]`, code));
  }
  if (values.some((code, i) => i > 0 && (values[i - 1] ?? code) > code))
    out.push(causes.invalid(`${at}.values`, values, 'must be ordered'));
}

export function validateSuccessPolicy(spec: JobSpec, at: string, out: Causes): void {
  const policy = spec.successPolicy;
  if (spec.completionMode !== 'Indexed') {
    out.push(causes.invalid(`${at}.successPolicy`, policy, 'requires indexed completion mode'));
    return;
  }
  const rules = policy?.rules ?? [];
  const path = `${at}.successPolicy.rules`;
  required(rules, path, out, 'at least one rules must be specified when the successPolicy is specified');
  if (rules.length > most) out.push(causes.tooMany(path, rules.length, most));
  const completions = spec.completions ?? 0;
  for (const [i, { succeededIndexes, succeededCount }] of rules.entries()) {
    const here = `${path}[${i}]`;
    if (succeededIndexes === undefined && succeededCount === undefined)
      out.push(causes.required(here, 'at least one of succeededCount or succeededIndexes must be specified'));
    let total = 0;
    if (succeededIndexes !== undefined) {
      if (succeededIndexes.length > 64 * 1024) out.push(causes.tooLong(`${here}.succeededIndexes`, 64 * 1024));
      const counted = countIndexes(succeededIndexes, completions);
      if (typeof counted === 'number') total = counted;
      else
        out.push(
          causes.invalid(
            `${here}.succeededIndexes`,
            succeededIndexes,
            `error parsing succeededIndexes: ${counted.problem}`,
          ),
        );
    }
    if (succeededCount === undefined) continue;
    const field = `${here}.succeededCount`;
    nonNegative(succeededCount, field, out);
    const bound = (limit: number, what: string) => {
      if (succeededCount > limit)
        out.push(
          causes.invalid(field, succeededCount, `must be less than or equal to ${limit} (the number of ${what})`),
        );
    };
    bound(completions, 'specified completions');
    if (succeededIndexes !== undefined) bound(total, 'indexes in the specified succeededIndexes field');
  }
}

/** How many indexes `1,3-5` names, each below `completions` and each greater than the one before. */
function countIndexes(text: string, completions: number): number | { readonly problem: string } {
  if (text === '') return 0;
  let last: number | undefined;
  let total = 0;
  for (const interval of text.split(',')) {
    const ends = interval.split('-');
    if (ends.length > 2)
      return {
        problem: `the fragment ${JSON.stringify(interval)} violates the requirement that an index interval can have at most two parts separated by '-'`,
      };
    let first: number | undefined;
    for (const end of ends) {
      if (!/^[+-]?\d+$/.test(end))
        return { problem: `cannot convert string to integer for index: ${JSON.stringify(end)}` };
      const index = Number(end);
      if (index >= completions) return { problem: `too large index: ${JSON.stringify(end)}` };
      if (last !== undefined && index <= last)
        return { problem: `non-increasing order, previous: ${last}, current: ${index}` };
      total += first === undefined ? 1 : index - first;
      first = index;
      last = index;
    }
  }
  return total;
}
