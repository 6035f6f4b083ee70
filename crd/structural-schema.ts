import type { JSONSchemaProps, Json, Schema } from '@trimtab/machinery';
import { schemaOf } from '@trimtab/machinery';

const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** The schema of whole custom objects: the definition's own, with the fields every object has. */
export function objectSchema(props: JSONSchemaProps | undefined): Schema {
  const schema = toSchema(props ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
  return { ...schema, type: 'object', properties: { ...schema.properties, ...COMMON } };
}

const COMMON: Readonly<Record<string, Schema>> = {
  apiVersion: { type: 'string' },
  kind: { type: 'string' },
  get metadata(): Schema {
    return schemaOf(OBJECT_META)!;
  },
};

/** A structural schema (apiextensions v1) as the one schema form everything reads. */
export function toSchema(props: JSONSchemaProps): Schema {
  const { items, additionalProperties, properties } = props;
  const listKeys = props['x-kubernetes-list-map-keys'];
  return {
    type: typeOf(props),
    ...defined('format', props.format),
    ...defined('required', props.required),
    ...defined('default', props.default),
    ...defined('enum', props.enum),
    ...defined('nullable', props.nullable),
    ...(properties ? { properties: mapValues(properties, toSchema) } : {}),
    ...(isSchema(additionalProperties) ? { values: toSchema(additionalProperties) } : {}),
    ...(additionalProperties === true ? { values: ANY } : {}),
    ...(isSchema(items) ? { items: toSchema(items) } : {}),
    ...defined('listType', props['x-kubernetes-list-type'] as Schema['listType']),
    ...defined('listMapKeys', listKeys),
    ...defined('mapType', props['x-kubernetes-map-type'] as Schema['mapType']),
    ...defined('preserveUnknown', props['x-kubernetes-preserve-unknown-fields']),
    ...defined('embeddedResource', props['x-kubernetes-embedded-resource']),
    constraints: published(props),
  };
}

const ANY: Schema = { type: 'any' };

function typeOf(props: JSONSchemaProps): Schema['type'] {
  if (props['x-kubernetes-int-or-string']) return 'int-or-string';
  switch (props.type) {
    case 'object':
    case 'array':
    case 'string':
    case 'integer':
    case 'number':
    case 'boolean':
      return props.type;
    default:
      return 'any';
  }
}

const isSchema = (value: unknown): value is JSONSchemaProps =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const defined = <K extends string, V>(key: K, value: V | undefined): { [k in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { [k in K]?: V });

/** Constraints and texts that OpenAPI publishes beside the shape. */
const PUBLISHED = [
  'description',
  'title',
  'pattern',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'x-kubernetes-validations',
] as const;

function published(props: JSONSchemaProps): Readonly<Record<string, Json>> {
  return Object.fromEntries(PUBLISHED.flatMap((key) => (props[key] === undefined ? [] : [[key, props[key] as Json]])));
}

const mapValues = <A, B>(map: Readonly<Record<string, A>>, f: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(map).map(([key, value]) => [key, f(value)]));
