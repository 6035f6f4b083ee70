import {
  CEL_LIMITS,
  causes,
  type FieldPath,
  isCompileError,
  type JSONSchemaProps,
  parseJsonPath,
  type StatusCause,
} from '@trimtab/machinery';
import { type CompiledRule, cardinalityOf, compileRules, isSchema, type RuleNode } from './rules.js';

const REASONS = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];
const ADVICE =
  '(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)';

interface Totals {
  cost: number;
  /** The rules that are a good part of the whole. */
  readonly costly: { readonly at: FieldPath; readonly cost: number }[];
}

/** What is wrong with the rules of a schema: syntax, types, messages, and what they may cost (apiextensions validation). */
export function validateRules(props: JSONSchemaProps, at: FieldPath): readonly StatusCause[] {
  const node = compileRules(props);
  if (node === undefined) return [];
  const found: StatusCause[] = [];
  const totals: Totals = { cost: 0, costly: [] };
  visit(node, at, { cardinality: 1, uncorrelated: undefined }, found, totals);
  if (totals.cost > CEL_LIMITS.staticSchema) {
    for (const { at: where, cost } of totals.costly)
      if (cost >= CEL_LIMITS.staticSchema / 100)
        found.push(
          causes.forbidden(
            where,
            'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema',
          ),
        );
    found.push(
      causes.forbidden(
        at,
        excess(
          'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema',
          totals.cost,
          CEL_LIMITS.staticSchema,
        ),
      ),
    );
  }
  return found;
}

interface Place {
  /** How many values of the place there can be; Infinity where a list or map above has no bound. */
  readonly cardinality: number;
  /** The list above whose elements have no past. */
  readonly uncorrelated: FieldPath | undefined;
}

function visit(node: RuleNode, at: FieldPath, place: Place, found: StatusCause[], totals: Totals): void {
  const times = Math.min(place.cardinality, cardinalityOf(node.props));
  for (const rule of node.rules)
    checkRule(rule, node, at.child('x-kubernetes-validations').index(rule.index), times, place, found, totals);
  for (const [name, child] of node.properties) visit(child, at.child('properties').key(name), place, found, totals);
  const { maxItems, maxProperties } = node.props;
  if (node.items) {
    const items = at.child('items');
    const keyed = node.props['x-kubernetes-list-type'] === 'map';
    visit(
      node.items,
      items,
      {
        cardinality: place.cardinality * (maxItems ?? Number.POSITIVE_INFINITY),
        uncorrelated: place.uncorrelated ?? (keyed ? undefined : items),
      },
      found,
      totals,
    );
  }
  if (node.values)
    visit(
      node.values,
      at.child('additionalProperties'),
      { ...place, cardinality: place.cardinality * (maxProperties ?? Number.POSITIVE_INFINITY) },
      found,
      totals,
    );
}

function checkRule(
  { rule, program, message, transition }: CompiledRule,
  node: RuleNode,
  at: FieldPath,
  times: number,
  { uncorrelated }: Place,
  found: StatusCause[],
  totals: Totals,
): void {
  const source = rule.rule?.trim() ?? '';
  if (source === '') {
    found.push(causes.required(at.child('rule'), 'rule is not specified'));
    return;
  }
  checkTexts(rule, source, node.props, at, found);
  if (isCompileError(program))
    found.push(
      causes.invalid(
        at.child('rule'),
        rule.rule,
        program.wrongType ? 'cel expression must evaluate to a bool' : program.error,
      ),
    );
  else {
    const cost = program.estimatedCost * times;
    totals.cost += cost;
    totals.costly.push({ at: at.child('rule'), cost });
    if (cost > CEL_LIMITS.staticRule)
      found.push(causes.forbidden(at.child('rule'), excess('estimated rule cost', cost, CEL_LIMITS.staticRule)));
    if (transition && uncorrelated !== undefined)
      found.push(
        causes.invalid(
          at.child('rule'),
          rule.rule,
          `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelated}`,
        ),
      );
    if (rule.optionalOldSelf && !transition)
      found.push(causes.invalid(at.child('optionalOldSelf'), true, 'may not be set if oldSelf is not used in rule'));
  }
  if (message === undefined) return;
  const where = at.child('messageExpression');
  if (isCompileError(message))
    found.push(
      causes.invalid(
        where,
        rule.messageExpression,
        message.wrongType ? 'messageExpression must evaluate to a string' : `messageExpression ${message.error}`,
      ),
    );
  else {
    const cost = message.estimatedCost * times;
    totals.cost += cost;
    totals.costly.push({ at: where, cost });
    if (cost > CEL_LIMITS.staticRule)
      found.push(causes.forbidden(where, excess('estimated messageExpression cost', cost, CEL_LIMITS.staticRule)));
  }
}

function checkTexts(
  { message, messageExpression, reason, fieldPath }: CompiledRule['rule'],
  source: string,
  props: JSONSchemaProps,
  at: FieldPath,
  found: StatusCause[],
): void {
  const text = message?.trim() ?? '';
  if (message && text === '')
    found.push(causes.invalid(at.child('message'), message, 'message must be non-empty if specified'));
  else if (text.includes('\n'))
    found.push(causes.invalid(at.child('message'), message, 'message must not contain line breaks'));
  else if (source.includes('\n') && text === '')
    found.push(causes.required(at.child('message'), 'message must be specified if rule contains line breaks'));
  if (messageExpression && messageExpression.trim() === '')
    found.push(causes.required(at.child('messageExpression'), 'messageExpression must be non-empty if specified'));
  if (reason !== undefined && !REASONS.includes(reason))
    found.push(causes.notSupported(at.child('reason'), reason, REASONS));
  if (!fieldPath) return;
  const wrong = pathProblem(fieldPath, props);
  if (wrong !== undefined) found.push(causes.invalid(at.child('fieldPath'), fieldPath, wrong));
}

/** A path may step through fields and map keys of the schema, not into lists. */
function pathProblem(fieldPath: string, props: JSONSchemaProps): string | undefined {
  if (fieldPath.trim() === '') return 'fieldPath must be non-empty if specified';
  if (fieldPath.includes('\n')) return 'fieldPath must not contain line breaks';
  const wrong = (why: string) => `fieldPath must be a valid path: ${why}`;
  if (!fieldPath.startsWith('.') && !fieldPath.startsWith('[')) return wrong(`expected [ or . but got: ${fieldPath}`);
  try {
    parseJsonPath(fieldPath);
  } catch (error) {
    return wrong((error as Error).message);
  }
  const steps = [...fieldPath.matchAll(/\.([^.[\]]+)|\['((?:[^'\\]|\\.)*)'\]/g)];
  if (steps.map(([step]) => step).join('') !== fieldPath) return wrong('only fields and map keys can be named');
  let schema: JSONSchemaProps = props;
  for (const [, field, key] of steps) {
    const name = (field ?? key)!.replaceAll('\\', '');
    const next: unknown = schema.properties?.[name] ?? schema.additionalProperties;
    if (!isSchema(next)) return wrong(`does not refer to a valid field`);
    schema = next;
  }
  return undefined;
}

function excess(what: string, cost: number, limit: number): string {
  const factor = cost / limit;
  const text = factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${text} ${ADVICE}`;
}
