import type { JSONSchemaProps } from '../generated/types.js';
import { escapeField } from './escape.js';
import { BOOL, type CelType, DYN, INT, type ObjectField } from './types.js';

/** The largest request there is, which bounds what has no bound of its own (kubernetes/apiserver pkg/apis/cel). */
export const MAX_REQUEST_BYTES = 3 * 1024 * 1024;

export type SchemaNode = JSONSchemaProps;

const STRING: CelType = { kind: 'string', max: MAX_REQUEST_BYTES - 2 };
const OBJECT_NAME: readonly [string, CelType][] = [
  ['name', STRING],
  ['generateName', STRING],
];

/**
 * What an expression sees of values under a structural schema (kubernetes/apiserver pkg/cel/common SchemaDeclType); undefined
 * where it sees nothing: fields whose content the schema leaves open. `resource` is for whole objects: apiVersion, kind and
 * their names are seen though the schema does not mention them.
 */
export function schemaType(schema: SchemaNode, name = 'selfType', resource = false): CelType | undefined {
  if (schema['x-kubernetes-int-or-string']) return DYN;
  switch (schema.type) {
    case 'array':
      return arrayType(schema, name);
    case 'object':
      return objectType(schema, name, resource || schema['x-kubernetes-embedded-resource'] === true);
    case 'string':
      return stringType(schema);
    case 'boolean':
      return BOOL;
    case 'integer':
      return INT;
    case 'number':
      return { kind: 'double' };
    default:
      return resource || schema['x-kubernetes-embedded-resource'] ? objectType(schema, name, true) : undefined;
  }
}

function arrayType(schema: SchemaNode, name: string): CelType | undefined {
  if (!isSchema(schema.items)) return undefined;
  const element = schemaType(schema.items, `${name}.@idx`);
  if (element === undefined) return undefined;
  return {
    kind: 'list',
    element,
    max: schema.maxItems ?? Math.floor((MAX_REQUEST_BYTES - 2) / (leastBytes(schema.items) + 1)),
    listType: (schema['x-kubernetes-list-type'] as 'set' | undefined) ?? 'atomic',
    ...(schema['x-kubernetes-list-map-keys'] ? { listMapKeys: schema['x-kubernetes-list-map-keys'] } : {}),
  };
}

function objectType(schema: SchemaNode, name: string, resource: boolean): CelType | undefined {
  const { additionalProperties, properties } = schema;
  if (isSchema(additionalProperties)) {
    const value = schemaType(additionalProperties, `${name}.@elem`);
    if (value === undefined) return undefined;
    const max = schema.maxProperties ?? Math.floor((MAX_REQUEST_BYTES - 2) / (leastBytes(additionalProperties) + 6));
    return { kind: 'map', key: STRING, value, max };
  }
  const fields = new Map<string, ObjectField>();
  for (const [json, child] of Object.entries(properties ?? {})) {
    if (resource && json === 'metadata') continue;
    const escaped = escapeField(json);
    const type = schemaType(child, `${name}.${json}`);
    if (escaped !== undefined && type !== undefined)
      fields.set(escaped, { json, type, ...(child.nullable ? { nullable: true } : {}) });
  }
  if (resource) {
    for (const json of ['apiVersion', 'kind']) fields.set(json, { json, type: STRING });
    fields.set('metadata', { json: 'metadata', type: metadataType(schema, name) });
  }
  if (properties === undefined && !resource && schema['x-kubernetes-preserve-unknown-fields']) return undefined;
  return { kind: 'object', name, fields };
}

function metadataType(schema: SchemaNode, name: string): CelType {
  const given = schema.properties?.metadata;
  const own = given === undefined ? undefined : schemaType(given, `${name}.metadata`);
  const fields = new Map<string, ObjectField>(own?.kind === 'object' ? own.fields : []);
  for (const [json, type] of OBJECT_NAME) if (!fields.has(json)) fields.set(json, { json, type });
  return { kind: 'object', name: `${name}.metadata`, fields };
}

function stringType(schema: SchemaNode): CelType {
  switch (schema.format) {
    case 'byte':
      return { kind: 'bytes', max: schema.maxLength ?? MAX_REQUEST_BYTES - 2 };
    case 'duration':
      return { kind: 'duration' };
    case 'date':
    case 'date-time':
      return { kind: 'timestamp' };
  }
  if (schema.enum !== undefined && schema.enum.length > 0)
    return {
      kind: 'string',
      max: Math.max(...schema.enum.map((value) => (typeof value === 'string' ? value.length : 0))),
    };
  // A code point may take four bytes, and requests are measured in bytes.
  return schema.maxLength === undefined ? STRING : { kind: 'string', max: schema.maxLength * 4 };
}

/** The fewest bytes a value of a schema takes in JSON. */
export function leastBytes(schema: SchemaNode): number {
  if (schema['x-kubernetes-int-or-string']) return 1;
  switch (schema.type) {
    case 'boolean':
      return 4;
    case 'integer':
    case 'number':
      return 1;
    case 'string':
      if (schema.format === 'duration') return 4;
      if (schema.format === 'date') return 12;
      return schema.format === 'date-time' ? 22 : 2;
    case 'array':
      return 2;
    default: {
      let sum = 2;
      for (const name of schema.required ?? []) {
        const child = schema.properties?.[name];
        if (child !== undefined && child.default === undefined) sum += name.length + 4 + leastBytes(child);
      }
      return sum;
    }
  }
}

export const isSchema = (value: unknown): value is SchemaNode =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
