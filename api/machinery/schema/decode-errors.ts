import type { Json } from '../object.js';
import type { Schema } from './schema.js';

/** `spec.containers[0].ports` from its names and indices. */
export function pathText(path: readonly (string | number)[]): string {
  let out = '';
  for (const step of path) {
    if (typeof step === 'number') out += `[${step}]`;
    else out += out === '' ? step : `.${step}`;
  }
  return out;
}

/** Go's name of the type a schema stands for: `[]v1.Container`, `map[string]string`, `int32`. */
export function goType(schema: Schema): string {
  switch (schema.type) {
    case 'array':
      return `[]${goType(schema.items!)}`;
    case 'object':
      return schema.values ? `map[string]${goType(schema.values)}` : qualifiedName(schema.name);
    case 'boolean':
      return 'bool';
    case 'number':
      return 'float64';
    case 'integer':
      return schema.format ?? 'int64';
    case 'quantity':
      return 'resource.Quantity';
    case 'int-or-string':
      return 'intstr.IntOrString';
    default:
      return schema.format === 'byte' ? '[]uint8' : schema.type;
  }
}

function qualifiedName(name = 'struct'): string {
  return name.split('.').slice(-2).join('.');
}

/** Go's name of a JSON value's type; numbers that do not fit are named with their digits. */
function jsonType(value: Json, wanted: Schema): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value !== 'number') return typeof value;
  return wanted.type === 'integer' || wanted.type === 'int-or-string' ? `number ${value}` : 'number';
}

/**
 * The message of Go's JSON decoder for a value of the wrong type. `owner` is the full name of the struct the field is in,
 * `fields` the dotted names of struct fields that lead to it: Go leaves out list indices and map keys, so callers add the
 * exact path where there is room for it.
 */
export function typeError(schema: Schema, value: Json, owner: string | undefined, fields: string): string {
  const what = `json: cannot unmarshal ${jsonType(value, schema)} into Go`;
  if (owner === undefined) return `${what} value of type ${goType(schema)}`;
  return `${what} struct field ${owner.slice(owner.lastIndexOf('.') + 1)}.${fields} of type ${goType(schema)}`;
}
