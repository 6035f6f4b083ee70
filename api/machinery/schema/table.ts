import { definitionBodies, definitionNames, kindIndex } from '../generated/table.js';
import type { GroupVersionKind } from '../object.js';
import type { Schema } from './schema.js';

/**
 * The built-in kinds. Everything is resolved on first use, one definition at a time: loading this module costs nothing
 * but reading its text, and a process that only handles pods never looks at the rest.
 */

type Extensions = {
  readonly l?: 'atomic' | 'set' | 'map';
  readonly k?: readonly string[];
  readonly m?: 'granular' | 'atomic';
  readonly p?: string;
  readonly s?: string;
};
type FieldSpec = string | readonly [string, Extensions];
interface Definition {
  readonly f: Readonly<Record<string, FieldSpec>>;
  readonly r?: readonly string[];
  readonly g?: 1 | readonly [string, string, string];
}

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const JSON_SCHEMA = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON';

/** Definitions whose JSON is not an object with fields. */
const special: Readonly<Record<string, Schema>> = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { type: 'quantity' },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': { type: 'int-or-string', format: 'int-or-string' },
  'io.k8s.apimachinery.pkg.runtime.RawExtension': { type: 'any', preserveUnknown: true },
  [`${META}Time`]: { type: 'string', format: 'date-time' },
  [`${META}MicroTime`]: { type: 'string', format: 'date-time' },
  [`${META}FieldsV1`]: { type: 'any', preserveUnknown: true },
  [`${META}Patch`]: { type: 'any', preserveUnknown: true },
  [JSON_SCHEMA]: { type: 'any', preserveUnknown: true },
  [`${JSON_SCHEMA}SchemaPropsOrArray`]: { type: 'any', preserveUnknown: true },
  [`${JSON_SCHEMA}SchemaPropsOrBool`]: { type: 'any', preserveUnknown: true },
  [`${JSON_SCHEMA}SchemaPropsOrStringArray`]: { type: 'any', preserveUnknown: true },
};

const scalars: Readonly<Record<string, Schema>> = {
  s: { type: 'string' },
  y: { type: 'string', format: 'byte' },
  i: { type: 'integer', format: 'int32' },
  l: { type: 'integer', format: 'int64' },
  b: { type: 'boolean' },
  n: { type: 'number', format: 'double' },
};

let loaded: {
  names: readonly string[];
  bodies: readonly string[];
  index: Map<string, number>;
  kinds: Map<string, number>;
};
const definitions: (Definition | undefined)[] = [];
const schemas: (Schema | undefined)[] = [];
const properties: (Readonly<Record<string, Schema>> | undefined)[] = [];
const composites = new Map<string, Schema>();

function load(): typeof loaded {
  if (loaded) return loaded;
  const names = definitionNames.split('\n');
  const kinds = new Map<string, number>();
  for (const line of kindIndex.split('\n')) {
    const space = line.indexOf(' ');
    kinds.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  loaded = { names, bodies: definitionBodies.split('\n'), index: new Map(names.map((n, i) => [n, i])), kinds };
  return loaded;
}

function definition(i: number): Definition {
  definitions[i] ??= JSON.parse(load().bodies[i]!) as Definition;
  return definitions[i];
}

function schemaAt(i: number): Schema {
  schemas[i] ??= plainSchema(i) ?? definitionSchema(i);
  return schemas[i];
}

function plainSchema(i: number): Schema | undefined {
  const name = load().names[i]!;
  return special[name] && { name, ...special[name] };
}

/** A named object type. Its fields come to life when first asked for, so recursive definitions end. */
function definitionSchema(i: number, overlay?: Partial<Schema>): Schema {
  const { r: required, f: fields } = definition(i);
  const present = Object.keys(fields).filter((name) => codeOf(fields[name]!).endsWith('!'));
  return {
    type: 'object',
    name: load().names[i]!,
    ...(required ? { required } : {}),
    ...(present.length > 0 ? { alwaysPresent: present } : {}),
    ...overlay,
    get properties() {
      return propertiesAt(i);
    },
  };
}

function propertiesAt(i: number): Readonly<Record<string, Schema>> {
  let found = properties[i];
  if (!found) {
    const out: Record<string, Schema> = Object.create(null);
    for (const [field, spec] of Object.entries(definition(i).f)) out[field] = fieldSchema(spec);
    found = out;
    properties[i] = found;
  }
  return found;
}

function codeOf(spec: FieldSpec): string {
  return typeof spec === 'string' ? spec : spec[0];
}

function fieldSchema(spec: FieldSpec): Schema {
  if (typeof spec === 'string') return typeSchema(spec);
  const [code, ext] = spec;
  const overlay: Partial<Schema> = {
    ...(ext.l ? { listType: ext.l } : {}),
    ...(ext.k ? { listMapKeys: ext.k } : {}),
    ...(ext.m ? { mapType: ext.m } : {}),
    ...(ext.p ? { patchMergeKey: ext.p } : {}),
    ...(ext.s ? { patchStrategy: ext.s.split(',') as Schema['patchStrategy'] } : {}),
  };
  if (code.startsWith('#')) {
    const i = Number.parseInt(code.slice(1), 10);
    const plain = plainSchema(i);
    return plain ? { ...plain, ...overlay } : definitionSchema(i, overlay);
  }
  return { ...typeSchema(code), ...overlay };
}

/** A trailing `?` marks what Go leaves out when it is zero, a trailing `!` a struct that it always writes. */
function typeSchema(code: string): Schema {
  let found = composites.get(code);
  if (!found) {
    found = code.endsWith('?') ? { ...codeSchema(code.slice(0, -1)), omitZero: true } : codeSchema(code);
    composites.set(code, found);
  }
  return found;
}

function codeSchema(code: string): Schema {
  if (code.startsWith('#')) return schemaAt(Number.parseInt(code.slice(1), 10));
  if (code.startsWith('[')) return { type: 'array', items: typeSchema(code.slice(1)) };
  if (code.startsWith('{')) return { type: 'object', values: typeSchema(code.slice(1)) };
  return scalars[code]!;
}

/** The schema of a definition by its full name (`io.k8s.api.core.v1.PodSpec`). */
export function schemaOf(definitionName: string): Schema | undefined {
  const i = load().index.get(definitionName);
  return i === undefined ? undefined : schemaAt(i);
}

/** The schema of a built-in kind; `DeleteOptions` and `WatchEvent` are kinds of every group-version. */
export function schemaFor(gvk: GroupVersionKind): Schema | undefined {
  const i = load().kinds.get(`${gvk.group}/${gvk.version}/${gvk.kind}`);
  if (i !== undefined) return schemaAt(i);
  return kindsOf(META + gvk.kind) === 'every' ? schemaOf(META + gvk.kind) : undefined;
}

/** The full names of all definitions, sorted. */
export function definitionNamesOf(): readonly string[] {
  return load().names;
}

/** The kinds a definition is the schema of: none, one, or `'every'` for those usable in every group-version. */
export function kindsOf(definitionName: string): GroupVersionKind | 'every' | undefined {
  const i = load().index.get(definitionName);
  const g = i === undefined ? undefined : definition(i).g;
  if (g === undefined) return undefined;
  return g === 1 ? 'every' : { group: g[0], version: g[1], kind: g[2] };
}
