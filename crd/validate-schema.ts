import { causes, type FieldPath, type JSONSchemaProps, type StatusCause } from '@trimtab/machinery';
import { RE2JS } from 're2js';
import { isSchema } from './rules.js';
import { combined } from './validate-combinations.js';
import { listRules } from './validate-lists.js';

type Found = StatusCause[];

const ROOT = 'at the root';
const FIELD = 'for specified object fields';
const ITEM = 'for specified array items';
const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** All that keeps a schema from being structural (KEP-1002), or from being used at all, in apiextensions' words. */
export function validateSchema(props: JSONSchemaProps, at: FieldPath): readonly StatusCause[] {
  const found: Found = [];
  if (props.type && props.type !== 'object')
    found.push(causes.invalid(at.child('type'), props.type, 'must be object at the root'));
  if (props.nullable) found.push(causes.forbidden(at.child('nullable'), 'nullable cannot be true at the root'));
  if (props.additionalProperties !== undefined)
    found.push(causes.forbidden(at.child('additionalProperties'), 'must not be used at the root'));
  rootFields(props, at, found);
  structural(props, at, found, ROOT);
  return found;
}

/** What every object has is not the schema's to shape. */
function rootFields({ properties = {} }: JSONSchemaProps, at: FieldPath, found: Found): void {
  const where = at.child('properties');
  for (const field of ['apiVersion', 'kind'] as const) {
    const type = properties[field]?.type;
    if (type !== undefined && type !== 'string')
      found.push(causes.invalid(where.key(field).child('type'), type, 'must be string'));
  }
  const { metadata } = properties;
  if (metadata === undefined) return;
  if (metadata.type !== 'object')
    found.push(causes.invalid(where.key('metadata').child('type'), metadata.type ?? '', 'must be object'));
  const { type: _type, description: _text, properties: named = {}, ...others } = metadata;
  const strange = Object.keys(named).some((field) => field !== 'name' && field !== 'generateName');
  if (strange || Object.keys(others).length > 0)
    found.push(
      causes.forbidden(
        where.key('metadata'),
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    );
}

function structural(props: JSONSchemaProps, at: FieldPath, found: Found, place: string): void {
  const open = props['x-kubernetes-int-or-string'] || props['x-kubernetes-preserve-unknown-fields'];
  if (!props.type && !open) found.push(causes.required(at.child('type'), `must not be empty ${place}`));
  if (props.type && !TYPES.includes(props.type)) found.push(causes.notSupported(at.child('type'), props.type, TYPES));
  unsupported(props, at, found);
  extensions(props, at, found);
  listRules(props, at, found);
  if (props.pattern !== undefined && !compiles(props.pattern))
    found.push(causes.invalid(at.child('pattern'), props.pattern, "must be a valid regular expression, but isn't"));
  if (props.enum !== undefined && props.enum.length === 0)
    found.push(causes.invalid(at.child('enum'), props.enum, 'must not be empty'));
  for (const [name, child] of Object.entries(props.properties ?? {}))
    structural(child, at.child('properties').key(name), found, FIELD);
  if (isSchema(props.items)) structural(props.items, at.child('items'), found, ITEM);
  else if (props.type === 'array' && props.items === undefined)
    found.push(causes.required(at.child('items'), 'must be specified'));
  if (isSchema(props.additionalProperties))
    structural(props.additionalProperties, at.child('additionalProperties'), found, FIELD);
  combined(props, at, found);
}

/** Parts of JSON schema that definitions may not use. */
function unsupported(props: JSONSchemaProps, at: FieldPath, found: Found): void {
  if (props.$ref) found.push(causes.forbidden(at.child('$ref'), '$ref is not supported'));
  if (props.id) found.push(causes.forbidden(at.child('id'), 'id is not supported'));
  for (const field of ['patternProperties', 'definitions', 'dependencies'] as const)
    if (props[field] !== undefined && Object.keys(props[field]).length > 0)
      found.push(causes.forbidden(at.child(field), `${field} is not supported`));
  if (props.additionalItems !== undefined)
    found.push(causes.forbidden(at.child('additionalItems'), 'additionalItems is not supported'));
  if (props.uniqueItems)
    found.push(
      causes.forbidden(
        at.child('uniqueItems'),
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  if (Array.isArray(props.items))
    found.push(causes.forbidden(at.child('items'), 'items must be a schema object and not an array'));
  if (props.additionalProperties === false)
    found.push(causes.forbidden(at.child('additionalProperties'), 'additionalProperties cannot be set to false'));
  if (props.additionalProperties && props.properties && Object.keys(props.properties).length > 0)
    found.push(
      causes.forbidden(at.child('additionalProperties'), 'additionalProperties and properties are mutual exclusive'),
    );
}

/** The `x-kubernetes-…` marks and what they leave room for. */
function extensions(props: JSONSchemaProps, at: FieldPath, found: Found): void {
  const preserve = props['x-kubernetes-preserve-unknown-fields'];
  const embedded = props['x-kubernetes-embedded-resource'];
  if (preserve === false)
    found.push(causes.invalid(at.child('x-kubernetes-preserve-unknown-fields'), preserve, 'must be true or undefined'));
  if (props['x-kubernetes-int-or-string']) {
    if (props.type)
      found.push(causes.invalid(at.child('type'), props.type, 'must be empty if x-kubernetes-int-or-string is true'));
    for (const [field, set] of [
      ['x-kubernetes-preserve-unknown-fields', preserve],
      ['x-kubernetes-embedded-resource', embedded],
    ] as const)
      if (set) found.push(causes.invalid(at.child(field), true, 'must be false if x-kubernetes-int-or-string is true'));
  }
  if (embedded) {
    if (props.type !== 'object')
      found.push(
        props.type
          ? causes.invalid(at.child('type'), props.type, 'must be object if x-kubernetes-embedded-resource is true')
          : causes.required(at.child('type'), 'must be object if x-kubernetes-embedded-resource is true'),
      );
    if (!preserve && Object.keys(props.properties ?? {}).length === 0)
      found.push(
        causes.required(
          at.child('properties'),
          'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
        ),
      );
    rootFields(props, at, found);
  }
  const mapType = props['x-kubernetes-map-type'];
  if (mapType !== undefined) {
    if (props.type !== 'object')
      found.push(
        causes.invalid(at.child('type'), props.type ?? '', 'must be object if x-kubernetes-map-type is specified'),
      );
    if (mapType !== 'granular' && mapType !== 'atomic')
      found.push(causes.notSupported(at.child('x-kubernetes-map-type'), mapType, ['atomic', 'granular']));
  }
}

export function compiles(pattern: string): boolean {
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    return false;
  }
}
