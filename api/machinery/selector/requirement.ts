import { causes, fieldPath, formatCause } from '../fields/path.js';

/** Selectors over labels as data; parsing, matching and writing are functions beside it. */

export type RequirementOperator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';

/** One condition on one key. `values` is sorted and without duplicates. */
export interface Requirement {
  readonly key: string;
  readonly operator: RequirementOperator;
  readonly values: readonly string[];
}

/** Every requirement must hold; none means everything matches. */
export interface Selector {
  readonly requirements: readonly Requirement[];
  /** Set for the selector that matches no object at all. */
  readonly nothing?: true;
}

/** Thrown for selector text or selector objects that cannot be read; the message is Kubernetes' own. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
}

const NAME_PART = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const NAME_REGEXP = new RegExp(`^${NAME_PART}$`);
const VALUE_REGEXP = new RegExp(`^(${NAME_PART})?$`);
const SUBDOMAIN = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
const SUBDOMAIN_REGEXP = new RegExp(`^${SUBDOMAIN}$`);
const NAME_RULE =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const NAME_REGEX_HINT = `(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${NAME_PART}')`;
const VALUE_RULE = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(${NAME_PART})?')`;
const SUBDOMAIN_RULE = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${SUBDOMAIN}')`;

/** What is wrong with `key` as a label or annotation key (`[prefix/]name`); empty when it is right. */
export function labelKeyProblems(key: string): readonly string[] {
  const parts = key.split('/');
  if (parts.length > 2) {
    return [
      `a valid label key ${NAME_RULE} ${NAME_REGEX_HINT} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const problems: string[] = [];
  const name = parts.at(-1)!;
  if (parts.length === 2) {
    const prefix = parts[0]!;
    if (prefix === '') problems.push('prefix part must be non-empty');
    else {
      if (prefix.length > 253) problems.push('prefix part must be no more than 253 bytes');
      if (!SUBDOMAIN_REGEXP.test(prefix)) problems.push(`prefix part ${SUBDOMAIN_RULE}`);
    }
  }
  if (name === '') problems.push('name part must be non-empty');
  else if (name.length > 63) problems.push('name part must be no more than 63 bytes');
  if (!NAME_REGEXP.test(name)) problems.push(`name part ${NAME_RULE} ${NAME_REGEX_HINT}`);
  return problems;
}

/** What is wrong with `value` as a label's value; empty when it is right. */
export function labelValueProblems(value: string): readonly string[] {
  const problems: string[] = [];
  if (value.length > 63) problems.push('must be no more than 63 bytes');
  if (!VALUE_REGEXP.test(value)) problems.push(VALUE_RULE);
  return problems;
}

/**
 * Makes a checked requirement.
 *
 * @throws SelectorError naming all that is wrong with key, number of values, and values.
 */
export function requirement(key: string, operator: RequirementOperator, values: readonly string[]): Requirement {
  const problems: string[] = [];
  const report = (path: string, value: unknown, detail: string) =>
    problems.push(formatCause(causes.invalid(path, value, detail)));
  const keyProblems = labelKeyProblems(key);
  if (keyProblems.length > 0) report('key', key, keyProblems.join('; '));
  const wrongCount = wrongValueCount(operator, values.length);
  if (wrongCount) report('values', values, wrongCount);
  values.forEach((value, i) => {
    const path = fieldPath('values').index(i);
    if ((operator === 'gt' || operator === 'lt') && !isInteger(value)) {
      report(path.toString(), value, "for 'Gt', 'Lt' operators, the value must be an integer");
    }
    const valueProblems = labelValueProblems(value);
    if (valueProblems.length > 0) report(path.key(key).toString(), value, valueProblems.join('; '));
  });
  if (problems.length > 0) throw new SelectorError(problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`);
  return { key, operator, values: [...new Set(values)].sort(byCodeUnit) };
}

function wrongValueCount(operator: RequirementOperator, count: number): string | undefined {
  switch (operator) {
    case 'in':
    case 'notin':
      return count === 0 ? "for 'in', 'notin' operators, values set can't be empty" : undefined;
    case '=':
    case '==':
    case '!=':
      return count === 1 ? undefined : 'exact-match compatibility requires one single value';
    case 'exists':
    case '!':
      return count === 0 ? undefined : 'values set must be empty for exists and does not exist';
    default:
      return count === 1 ? undefined : "for 'Gt', 'Lt' operators, exactly one value is required";
  }
}

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const isInteger = (text: string): boolean => /^[-+]?\d+$/.test(text);

/** Whether the labels satisfy one requirement. `!=`, `notin` and `!` also hold where the key is absent. */
export function matchesRequirement(
  { key, operator, values }: Requirement,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return value !== undefined && values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    default: {
      if (value === undefined || !isInteger(value)) return false;
      const difference = BigInt(value) - BigInt(values[0]!);
      return operator === 'gt' ? difference > 0n : difference < 0n;
    }
  }
}
