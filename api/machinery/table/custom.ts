import { evaluateJsonPath, type JsonPath, parseJsonPath } from '../fields/jsonpath.js';
import type { CustomResourceColumnDefinition } from '../generated/types.js';
import type { KubeObject } from '../object.js';
import { ageColumn, type Cell, type Column, nameColumn, type Printer } from './column.js';
import { sinceText } from './duration.js';

/**
 * The printer of a custom resource, from the `additionalPrinterColumns` of its version; its age where none are given. Cells
 * whose path leads nowhere, or to a value of another type, are empty.
 *
 * @throws JsonPathError for a path that cannot be read.
 */
export function customPrinter(definitions: readonly CustomResourceColumnDefinition[] | undefined): Printer<KubeObject> {
  if (!definitions?.length) return { columns: [nameColumn, ageColumn] };
  return { columns: [nameColumn, ...definitions.map(customColumn)] };
}

const types = new Set<string>(['string', 'integer', 'number', 'boolean', 'date']);

function customColumn(definition: CustomResourceColumnDefinition): Column<KubeObject> {
  const path = parseJsonPath(definition.jsonPath);
  const type = types.has(definition.type) ? (definition.type as Column<KubeObject>['type']) : 'string';
  return {
    name: definition.name,
    type,
    format: definition.format ?? '',
    description: definition.description ?? `Value at ${definition.jsonPath}.`,
    priority: definition.priority ?? 0,
    cell: (object, now) => cellOf(path, object, type, now),
  };
}

function cellOf(path: JsonPath, object: KubeObject, type: Column<KubeObject>['type'], now: number): Cell {
  const [value] = evaluateJsonPath(path, object);
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? sinceText(value, now) : null;
    default:
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
  }
}
