import { type CelType, escapeField, type Schema } from '@trimtab/machinery';

/**
 * What is known of a kind's objects from its schema, for checking expressions before any object is there. Where a type holds
 * itself, and where anything goes, nothing is known.
 */
export function typeOfSchema(schema: Schema, name: string): CelType {
  return typeOf(schema, name, new Map());
}

const dyn: CelType = { kind: 'dyn' };

function typeOf(schema: Schema, name: string, known: Map<Schema, CelType>): CelType {
  const there = known.get(schema);
  if (there) return there;
  known.set(schema, dyn);
  const made = make(schema, name, known);
  known.set(schema, made);
  return made;
}

function make(schema: Schema, name: string, known: Map<Schema, CelType>): CelType {
  switch (schema.type) {
    case 'object':
      return objectOf(schema, name, known);
    case 'array':
      return schema.items ? { kind: 'list', element: typeOf(schema.items, `${name}.@idx`, known) } : dyn;
    case 'string':
      return textOf(schema.format);
    case 'integer':
      return { kind: 'int' };
    case 'number':
      return { kind: 'double' };
    case 'boolean':
      return { kind: 'bool' };
    default:
      return dyn;
  }
}

function textOf(format: string | undefined): CelType {
  if (format === 'byte') return { kind: 'bytes' };
  return format === 'date-time' ? { kind: 'timestamp' } : { kind: 'string' };
}

function objectOf(schema: Schema, name: string, known: Map<Schema, CelType>): CelType {
  if (schema.preserveUnknown) return dyn;
  if (schema.values)
    return { kind: 'map', key: { kind: 'string' }, value: typeOf(schema.values, `${name}.@elem`, known) };
  if (!schema.properties) return dyn;
  const fields = Object.entries(schema.properties).flatMap(([json, child]) => {
    const escaped = escapeField(json);
    return escaped === undefined ? [] : [[escaped, { json, type: typeOf(child, `${name}.${json}`, known) }] as const];
  });
  return { kind: 'object', name, fields: new Map(fields) };
}
