import {
  type CustomResourceDefinitionVersion,
  causes,
  type FieldPath,
  type JSONSchemaProps,
  parseJsonPath,
  type StatusCause,
} from '@trimtab/machinery';
import { isSchema } from './rules.js';
import { validateDefaults } from './validate-defaults.js';
import { validateRules } from './validate-rules.js';
import { validateSchema } from './validate-schema.js';

const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string'];
const COLUMN_FORMATS = ['int32', 'int64', 'float', 'double', 'byte', 'date', 'date-time', 'password'];
const MAX_SELECTABLE = 8;

/**
 * Where the parts of a version stand in errors. Versions that share a part are judged once, under the name it had when there
 * was one for all versions: that is what Kubernetes' users read.
 */
export interface VersionPaths {
  readonly schema: FieldPath;
  readonly columns: FieldPath;
  readonly subresources: FieldPath;
  readonly selectable: FieldPath;
}

/** What makes the parts of a version unusable. */
export function validateVersion(version: CustomResourceDefinitionVersion, paths: VersionPaths): readonly StatusCause[] {
  const found: StatusCause[] = [];
  const schema = version.schema?.openAPIV3Schema;
  if (schema === undefined) found.push(causes.required(paths.schema, 'schemas are required'));
  else {
    const shape = validateSchema(schema, paths.schema);
    found.push(...shape);
    // Rules and defaults are read with the schema's types, so these must be sound first.
    if (shape.length === 0) {
      validateDefaults(schema, paths.schema, found);
      found.push(...validateRules(schema, paths.schema));
    }
  }
  checkSubresources(version, paths.subresources, found);
  checkColumns(version, paths.columns, found);
  checkSelectable(version, schema, paths.selectable, found);
  return found;
}

function checkSubresources(
  { subresources }: CustomResourceDefinitionVersion,
  at: FieldPath,
  found: StatusCause[],
): void {
  const scale = subresources?.scale;
  if (scale === undefined) return;
  const here = at.child('scale');
  const check = (
    field: 'specReplicasPath' | 'statusReplicasPath' | 'labelSelectorPath',
    roots: readonly string[],
    what: string,
  ) => {
    const path = scale[field];
    const where = here.child(field);
    if (!path) {
      if (field !== 'labelSelectorPath') found.push(causes.required(where));
      return;
    }
    if (/[[\]]/.test(path) || !/^\.[^.\s]+(\.[^.\s]+)+$/.test(path))
      found.push(causes.invalid(where, path, 'should be a simple json path without array notation'));
    else if (!roots.some((root) => path.startsWith(`${root}.`)))
      found.push(causes.invalid(where, path, `should be a json path under ${what}`));
  };
  check('specReplicasPath', ['.spec'], '.spec');
  check('statusReplicasPath', ['.status'], '.status');
  check('labelSelectorPath', ['.status', '.spec'], 'either .status or .spec');
}

function checkColumns(
  { additionalPrinterColumns = [] }: CustomResourceDefinitionVersion,
  at: FieldPath,
  found: StatusCause[],
): void {
  additionalPrinterColumns.forEach(({ name, type, format, jsonPath }, index) => {
    const here = at.index(index);
    if (!name) found.push(causes.required(here.child('name')));
    if (!type) found.push(causes.required(here.child('type'), `must be one of ${COLUMN_TYPES.join(',')}`));
    else if (!COLUMN_TYPES.includes(type))
      found.push(causes.invalid(here.child('type'), type, `must be one of ${COLUMN_TYPES.join(',')}`));
    if (format && !COLUMN_FORMATS.includes(format))
      found.push(
        causes.invalid(here.child('format'), format, `must be one of ${[...COLUMN_FORMATS].sort().join(',')}`),
      );
    if (!jsonPath) found.push(causes.required(here.child('jsonPath')));
    else {
      const wrong = pathProblem(jsonPath);
      if (wrong !== undefined) found.push(causes.invalid(here.child('jsonPath'), jsonPath, wrong));
    }
  });
}

function pathProblem(jsonPath: string): string | undefined {
  if (!/^[.[]/.test(jsonPath)) return 'is an invalid path: path must start with . or [';
  try {
    parseJsonPath(jsonPath);
    return undefined;
  } catch (error) {
    return `is an invalid path: ${(error as Error).message}`;
  }
}

function checkSelectable(
  { selectableFields = [] }: CustomResourceDefinitionVersion,
  schema: JSONSchemaProps | undefined,
  at: FieldPath,
  found: StatusCause[],
): void {
  if (selectableFields.length > MAX_SELECTABLE) found.push(causes.tooMany(at, selectableFields.length, MAX_SELECTABLE));
  const seen = new Set<string>();
  selectableFields.forEach(({ jsonPath }, index) => {
    const where = at.index(index).child('jsonPath');
    if (!jsonPath) {
      found.push(causes.required(where));
      return;
    }
    const wrong = selectableProblem(jsonPath, schema);
    if (wrong !== undefined) found.push(causes.invalid(where, jsonPath, wrong));
    if (seen.has(jsonPath)) found.push(causes.duplicate(where, jsonPath));
    seen.add(jsonPath);
  });
}

/** A selectable field is a scalar field of the schema, reached by field names alone, outside the metadata. */
function selectableProblem(jsonPath: string, schema: JSONSchemaProps | undefined): string | undefined {
  if (!/^(\.[A-Za-z0-9_-]+)+$/.test(jsonPath)) return 'must be a simple path of field names';
  const [first, ...rest] = jsonPath.slice(1).split('.');
  if (first === 'metadata') return 'must not point to fields in metadata';
  let props: unknown = schema?.properties?.[first!];
  for (const name of rest) props = isSchema(props) ? props.properties?.[name] : undefined;
  if (!isSchema(props)) return 'is an invalid path: does not refer to a valid field';
  if (props.type === 'string' || props.type === 'boolean' || props.type === 'integer') return undefined;
  return 'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.';
}
