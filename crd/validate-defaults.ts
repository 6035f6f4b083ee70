import {
  causes,
  decodeStructural,
  type FieldPath,
  type JSONSchemaProps,
  type StatusCause,
  validateValue,
} from '@trimtab/machinery';
import { evaluateRules } from './evaluate-rules.js';
import { compileRules, isSchema } from './rules.js';
import { toSchema } from './structural-schema.js';

/** Every default must be a value its own schema takes: known fields, right types, rules kept. */
export function validateDefaults(props: JSONSchemaProps, at: FieldPath, found: StatusCause[], root = true): void {
  if (props.default !== undefined) {
    if (root) found.push(causes.forbidden(at.child('default'), 'must not be set at the root'));
    else found.push(...ofDefault(props, props.default, at.child('default')));
  }
  for (const [name, child] of Object.entries(props.properties ?? {}))
    validateDefaults(child, at.child('properties').key(name), found, false);
  if (isSchema(props.items)) validateDefaults(props.items, at.child('items'), found, false);
  if (isSchema(props.additionalProperties))
    validateDefaults(props.additionalProperties, at.child('additionalProperties'), found, false);
}

function ofDefault(props: JSONSchemaProps, value: unknown, at: FieldPath): readonly StatusCause[] {
  const wrong = validateValue(props, value, at);
  if (wrong.length > 0) return wrong;
  if (typeof value === 'object' && value !== null) {
    const wrapped = { type: 'object', properties: { value: toSchema(props) } } as const;
    const { unknown } = decodeStructural(wrapped, { value }, { defaults: false });
    if (unknown.length > 0) return [causes.invalid(at, value, 'must not have unknown fields')];
  }
  const rules = compileRules(props, false);
  if (rules === undefined) return [];
  return evaluateRules(rules, value, undefined).map((cause) => ({
    ...cause,
    field: cause.field ? `${at}.${cause.field}` : String(at),
  }));
}
