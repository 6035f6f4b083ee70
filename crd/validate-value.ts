import { causes, FieldPath, type JSONSchemaProps, type StatusCause } from '@trimtab/machinery';
import { RE2JS } from 're2js';
import { hasFormat } from './formats.js';

/**
 * Holds a custom object against its schema, in the words of Kubernetes (go-openapi validate). All causes are found, in
 * document order of the schema's checks. Patterns run in linear time.
 */
export function validateValue(props: JSONSchemaProps, value: unknown, at = new FieldPath()): readonly StatusCause[] {
  const found: StatusCause[] = [];
  walk(props, value, at, found);
  return found;
}

type Found = StatusCause[];

function walk(props: JSONSchemaProps, value: unknown, at: FieldPath, found: Found): void {
  if (value === null && (props.nullable || props.type === undefined)) return;
  if (!typeFits(props, value)) {
    const expected = props['x-kubernetes-int-or-string'] ? 'integer,string' : props.type;
    found.push(
      causes.typeInvalid(at, shown(value), `${name(at)} in body must be of type ${expected}: "${typeName(value)}"`),
    );
    return;
  }
  if (props.enum && !props.enum.some((allowed) => same(allowed, value)))
    found.push(
      causes.notSupported(
        at,
        value,
        props.enum.map((v) => (typeof v === 'string' ? v : JSON.stringify(v))),
      ),
    );
  if (typeof value === 'string') checkString(props, value, at, found);
  if (typeof value === 'number') checkNumber(props, value, at, found);
  if (Array.isArray(value)) checkList(props, value, at, found);
  else if (isObject(value)) checkObject(props, value, at, found);
  checkCombinations(props, value, at, found);
}

function typeFits(props: JSONSchemaProps, value: unknown): boolean {
  if (props['x-kubernetes-int-or-string']) return typeof value === 'string' || Number.isInteger(value);
  switch (props.type) {
    case undefined:
      return true;
    case 'integer':
      return Number.isInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    default:
      return typeof value === props.type;
  }
}

function checkString(props: JSONSchemaProps, value: string, at: FieldPath, found: Found): void {
  const length = [...value].length;
  if (props.minLength !== undefined && length < props.minLength)
    found.push(causes.invalid(at, value, `${name(at)} in body should be at least ${props.minLength} chars long`));
  if (props.maxLength !== undefined && length > props.maxLength) found.push(causes.tooLong(at, props.maxLength));
  if (props.pattern !== undefined && !matches(props.pattern, value))
    found.push(causes.invalid(at, value, `${name(at)} in body should match '${props.pattern}'`));
  if (props.format !== undefined && !hasFormat(props.format, value))
    found.push(
      causes.invalid(at, value, `${name(at)} in body must be of type ${props.format}: ${JSON.stringify(value)}`),
    );
}

function checkNumber(props: JSONSchemaProps, value: number, at: FieldPath, found: Found): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, format } = props;
  const bad = (what: string) => found.push(causes.invalid(at, value, `${name(at)} in body should be ${what}`));
  if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum))
    bad(`greater than ${exclusiveMinimum ? '' : 'or equal to '}${minimum}`);
  if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum))
    bad(`less than ${exclusiveMaximum ? '' : 'or equal to '}${maximum}`);
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) bad(`a multiple of ${multipleOf}`);
  if (format === 'int32' && (value < -(2 ** 31) || value > 2 ** 31 - 1))
    found.push(causes.invalid(at, value, `Checked value must be of type integer with format int32`));
}

function checkList(props: JSONSchemaProps, value: readonly unknown[], at: FieldPath, found: Found): void {
  const { minItems, maxItems, items } = props;
  if (minItems !== undefined && value.length < minItems)
    found.push(causes.invalid(at, value.length, `${name(at)} in body should have at least ${minItems} items`));
  if (maxItems !== undefined && value.length > maxItems) found.push(causes.tooMany(at, value.length, maxItems));
  if (props.uniqueItems && new Set(value.map((v) => JSON.stringify(v))).size < value.length)
    found.push(causes.duplicate(at, value));
  const identity = identityOf(props);
  if (identity !== undefined) {
    const seen = new Set<string>();
    value.forEach((item, index) => {
      const id = identity(item);
      if (seen.has(id)) found.push(causes.duplicate(at.index(index), JSON.parse(id)));
      seen.add(id);
    });
  }
  if (isSchema(items)) for (const [index, item] of value.entries()) walk(items, item, at.index(index), found);
}

/** What makes elements of a set or map list the same. */
function identityOf(props: JSONSchemaProps): ((item: unknown) => string) | undefined {
  if (props['x-kubernetes-list-type'] === 'set') return (item) => JSON.stringify(item);
  if (props['x-kubernetes-list-type'] !== 'map') return undefined;
  const keys = props['x-kubernetes-list-map-keys'] ?? [];
  return (item) =>
    JSON.stringify(Object.fromEntries(keys.map((key) => [key, (item as Record<string, unknown>)?.[key]])));
}

function checkObject(props: JSONSchemaProps, value: Record<string, unknown>, at: FieldPath, found: Found): void {
  const { properties = {}, additionalProperties, required = [], minProperties, maxProperties } = props;
  const count = Object.keys(value).length;
  if (minProperties !== undefined && count < minProperties)
    found.push(causes.invalid(at, count, `${name(at)} in body should have at least ${minProperties} properties`));
  if (maxProperties !== undefined && count > maxProperties) found.push(causes.tooMany(at, count, maxProperties));
  for (const field of required) if (value[field] === undefined) found.push(causes.required(at.child(field)));
  for (const [field, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const known = Object.hasOwn(properties, field) ? properties[field] : undefined;
    if (known) walk(known, item, at.child(field), found);
    else if (isSchema(additionalProperties)) walk(additionalProperties, item, at.key(field), found);
  }
}

function checkCombinations(props: JSONSchemaProps, value: unknown, at: FieldPath, found: Found): void {
  const fits = (schema: JSONSchemaProps): boolean => validateValue(schema, value, at).length === 0;
  const bad = (text: string) => found.push(causes.invalid(at, shown(value), `"${name(at)}" ${text}`));
  for (const schema of props.allOf ?? []) walk(schema, value, at, found);
  if (props.anyOf && !props.anyOf.some(fits)) bad('must validate at least one schema (anyOf)');
  if (props.oneOf) {
    const count = props.oneOf.filter(fits).length;
    if (count !== 1)
      bad(
        `must validate one and only one schema (oneOf). Found ${count === 0 ? 'none valid' : `${count} valid alternatives`}`,
      );
  }
  if (props.not && fits(props.not)) bad('must not validate the schema (not)');
}

const patterns = new Map<string, RE2JS>();

function matches(pattern: string, value: string): boolean {
  let compiled = patterns.get(pattern);
  if (compiled === undefined) {
    compiled = RE2JS.compile(pattern);
    patterns.set(pattern, compiled);
  }
  return compiled.matcher(value).find();
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isSchema = (value: unknown): value is JSONSchemaProps => isObject(value);
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const name = (at: FieldPath): string => String(at);

/** Whole objects are not repeated in messages, only what they are. */
const shown = (value: unknown): unknown => (typeof value === 'object' && value !== null ? typeName(value) : value);

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}
