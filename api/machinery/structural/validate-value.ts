import { RE2JS } from 're2js';
import { causes, FieldPath } from '../fields/path.js';
import type { JSONSchemaProps } from '../generated/types.js';
import { equalJson } from '../patch/structure.js';
import type { StatusCause } from '../status.js';
import { correlated } from './correlate.js';
import { hasFormat } from './formats.js';

/**
 * Holds a custom object against its schema, in the words of Kubernetes (go-openapi validate). All causes are found, in
 * document order of the schema's checks. Patterns run in linear time. What has not changed since `old` need not fit, so that a
 * schema may grow stricter under objects that are there; only duplicates in lists and logical combinations are held against it.
 */
export function validateValue(
  props: JSONSchemaProps,
  value: unknown,
  at = new FieldPath(),
  old?: unknown,
): readonly StatusCause[] {
  const found: StatusCause[] = [];
  walk(props, value, at, found, old);
  return found;
}

type Found = StatusCause[];

function walk(props: JSONSchemaProps, value: unknown, at: FieldPath, found: Found, old?: unknown): void {
  if (value === null && (props.nullable || props.type === undefined)) return;
  if (old !== undefined && equalJson(value, old)) {
    walkUnchanged(props, value, at, found);
    return;
  }
  if (!typeFits(props, value)) {
    const expected = props['x-kubernetes-int-or-string'] ? 'integer,string' : props.type;
    found.push(
      causes.typeInvalid(at, shown(value), `${name(at)} in body must be of type ${expected}: "${typeName(value)}"`),
    );
    return;
  }
  if (props.enum && !props.enum.some((allowed) => equalJson(allowed, value)))
    found.push(
      causes.notSupported(
        at,
        value,
        props.enum.map((v) => (typeof v === 'string' ? v : JSON.stringify(v))),
      ),
    );
  if (typeof value === 'string') checkString(props, value, at, found);
  if (typeof value === 'number') checkNumber(props, value, at, found);
  if (Array.isArray(value)) checkList(props, value, at, found, old);
  else if (isObject(value)) checkObject(props, value, at, found, old);
  checkCombinations(props, value, at, found);
}

const strict = new WeakMap<JSONSchemaProps, boolean>();

/** Whether anything in a schema is held against values that have not changed. */
function isStrict(props: JSONSchemaProps): boolean {
  let known = strict.get(props);
  if (known === undefined) {
    const { items, additionalProperties, properties, allOf, anyOf, oneOf, not } = props;
    const combined = Boolean(allOf || oneOf || not || (anyOf && !props['x-kubernetes-int-or-string']));
    const children = [...Object.values(properties ?? {}), ...[items, additionalProperties].filter(isSchema)];
    known = combined || identityOf(props) !== undefined || children.some(isStrict);
    strict.set(props, known);
  }
  return known;
}

function walkUnchanged(props: JSONSchemaProps, value: unknown, at: FieldPath, found: Found): void {
  if (!isStrict(props)) return;
  if (Array.isArray(value)) {
    checkUnique(props, value, at, found);
    if (isSchema(props.items))
      for (const [index, item] of value.entries()) walkUnchanged(props.items, item, at.index(index), found);
  } else if (isObject(value))
    for (const [field, item] of Object.entries(value)) {
      const known = props.properties?.[field] ?? props.additionalProperties;
      if (item !== undefined && isSchema(known)) walkUnchanged(known, item, at.child(field), found);
    }
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
  const bits = format === 'int32' ? 32 : format === 'int64' ? 64 : undefined;
  if (bits !== undefined && props.type === 'integer' && (value < -(2 ** (bits - 1)) || value >= 2 ** (bits - 1)))
    found.push(causes.invalid(at, value, `${name(at)} in body must be of type ${format}: ${JSON.stringify(value)}`));
}

function checkList(
  props: JSONSchemaProps,
  value: readonly unknown[],
  at: FieldPath,
  found: Found,
  old?: unknown,
): void {
  const { minItems, maxItems, items } = props;
  if (minItems !== undefined && value.length < minItems)
    found.push(causes.invalid(at, value.length, `${name(at)} in body should have at least ${minItems} items`));
  if (maxItems !== undefined && value.length > maxItems) found.push(causes.tooMany(at, value.length, maxItems));
  if (props.uniqueItems && new Set(value.map((v) => JSON.stringify(v))).size < value.length)
    found.push(causes.duplicate(at, value));
  checkUnique(props, value, at, found);
  if (!isSchema(items)) return;
  const before = correlated(props, old);
  for (const [index, item] of value.entries()) walk(items, item, at.index(index), found, before(item));
}

function checkUnique(props: JSONSchemaProps, value: readonly unknown[], at: FieldPath, found: Found): void {
  const identity = identityOf(props);
  if (identity === undefined) return;
  const seen = new Set<string>();
  value.forEach((item, index) => {
    const id = identity(item);
    if (seen.has(id)) found.push(causes.duplicate(at.index(index), JSON.parse(id)));
    seen.add(id);
  });
}

/** What makes elements of a set or map list the same. */
function identityOf(props: JSONSchemaProps): ((item: unknown) => string) | undefined {
  if (props['x-kubernetes-list-type'] === 'set') return sorted;
  if (props['x-kubernetes-list-type'] !== 'map') return undefined;
  const keys = props['x-kubernetes-list-map-keys'] ?? [];
  return (item) =>
    JSON.stringify(Object.fromEntries(keys.map((key) => [key, (item as Record<string, unknown>)?.[key]])));
}

/** Objects are the same whatever the order of their fields. */
const sorted = (item: unknown): string =>
  JSON.stringify(item, (_key, value: unknown) =>
    isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value,
  );

function checkObject(
  props: JSONSchemaProps,
  value: Record<string, unknown>,
  at: FieldPath,
  found: Found,
  old?: unknown,
): void {
  const was = isObject(old) ? old : {};
  const { properties = {}, additionalProperties, required = [], minProperties, maxProperties } = props;
  const count = Object.keys(value).length;
  if (minProperties !== undefined && count < minProperties)
    found.push(causes.invalid(at, count, `${name(at)} in body should have at least ${minProperties} properties`));
  if (maxProperties !== undefined && count > maxProperties) found.push(causes.tooMany(at, count, maxProperties));
  if (props['x-kubernetes-embedded-resource']) checkEmbedded(value, at, found);
  for (const field of required) if (value[field] === undefined) found.push(causes.required(at.child(field)));
  for (const [field, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const known = Object.hasOwn(properties, field) ? properties[field] : undefined;
    if (known) walk(known, item, at.child(field), found, was[field]);
    else if (isSchema(additionalProperties)) walk(additionalProperties, item, at.key(field), found, was[field]);
  }
}

/** An object inside an object must say what it is, and be named as objects are. */
function checkEmbedded(value: Record<string, unknown>, at: FieldPath, found: Found): void {
  for (const field of ['apiVersion', 'kind']) {
    if (value[field] === undefined || value[field] === '')
      found.push(causes.required(at.child(field), 'must not be empty'));
    else if (typeof value[field] !== 'string')
      found.push(causes.typeInvalid(at.child(field), value[field], 'must be string'));
  }
  const { metadata } = value;
  const { name: own } = isObject(metadata) ? metadata : {};
  if (typeof own === 'string' && (own === '.' || own === '..' || /[/%]/.test(own)))
    found.push(causes.invalid(at.child('metadata', 'name'), own, "may not be '.' or '..' or contain '/' or '%'"));
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
const name = (at: FieldPath): string => String(at);

/** Whole objects are not repeated in messages, only what they are. */
const shown = (value: unknown): unknown => (typeof value === 'object' && value !== null ? typeName(value) : value);

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}
