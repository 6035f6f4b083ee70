import { apiVersionOf, type KubeObject, type ResourceType, type Schema, schemaFor } from '@trimtab/machinery';
import fc, { type Arbitrary } from 'fast-check';
import type { World } from './world/world.js';

/** The part of a structural schema (`openAPIV3Schema` of a definition) that says which values are valid. */
export interface ValueSchema {
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, ValueSchema>>;
  readonly additionalProperties?: ValueSchema | boolean;
  readonly items?: ValueSchema | readonly ValueSchema[];
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly nullable?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
}

/** Something a user does to one object. */
export type SchemaOperation<T extends KubeObject = KubeObject> =
  | { readonly do: 'create' | 'replace'; readonly object: T }
  | { readonly do: 'delete' };

export interface SchemaArbitraries<T extends KubeObject> {
  /** Valid objects named `namespace`/`name`, without status. */
  readonly object: Arbitrary<T>;
  /** What a user may do to one object, one thing after the other: create, change, delete, create anew. */
  readonly operations: Arbitrary<readonly SchemaOperation<T>[]>;
}

export interface FromSchemaOptions {
  /** Default: what the table of Kubernetes' kinds says. For a custom kind, its version's `openAPIV3Schema`. */
  readonly schema?: ValueSchema;
  readonly namespace?: string;
  readonly name?: string;
  /** By path from the object (`spec.replicas`): better values than the schema knows of. */
  readonly values?: Readonly<Record<string, Arbitrary<unknown>>>;
  /** Operations in a row at most; default 6. */
  readonly operations?: number;
  /** How deep optional parts are filled in; default 6. */
  readonly depth?: number;
}

/**
 * Random valid objects of a kind, and sequences of what may be done to one, as fast-check arbitraries: they shrink, and a
 * seed repeats them. Throws for a kind whose schema is neither given nor in the table.
 */
export function fromSchema<T extends KubeObject>(
  type: ResourceType<T>,
  options: FromSchemaOptions = {},
): SchemaArbitraries<T> {
  const schema = options.schema ?? tableSchema(type);
  const { namespace = 'default', name = 'it', values = {}, depth = 6 } = options;
  const { apiVersion: _, kind: __, metadata: ___, status: ____, ...fields } = schema.properties ?? {};
  const walk: Walk = { values, depth };
  const object = record({ ...schema, properties: fields }, '', walk).map(
    (rest) =>
      ({
        apiVersion: apiVersionOf(type),
        kind: type.kind,
        metadata: type.namespaced ? { namespace, name } : { name },
        ...rest,
      }) as unknown as T,
  );
  const operations = fc
    .array(fc.tuple(object, fc.integer({ min: 0, max: 3 })), { minLength: 1, maxLength: options.operations ?? 6 })
    .map((drawn) => {
      let there = false;
      return drawn.map(([next, dice]): SchemaOperation<T> => {
        if (!there) {
          there = true;
          return { do: 'create', object: next };
        }
        if (dice > 0) return { do: 'replace', object: next };
        there = false;
        return { do: 'delete' };
      });
    });
  return { object, operations };
}

/** Does to a world what the operations say, and lets it settle after each. */
export async function perform<T extends KubeObject>(
  w: World,
  type: ResourceType<T>,
  operations: readonly SchemaOperation<T>[],
): Promise<void> {
  let last: T | undefined;
  for (const operation of operations) {
    if (operation.do === 'create') [last] = await w.create(type, operation.object);
    else if (operation.do === 'delete')
      await w.remove(type as unknown as ResourceType, last!.metadata as { name: string });
    else {
      const { metadata } = await w.get(type, last!.metadata as { name: string });
      await w.client.update(type, { ...operation.object, metadata });
    }
    await w.settle();
  }
}

interface Walk {
  readonly values: Readonly<Record<string, Arbitrary<unknown>>>;
  readonly depth: number;
}

function tableSchema(type: ResourceType<never> | ResourceType): ValueSchema {
  const schema = schemaFor(type as ResourceType);
  if (!schema) throw new Error(`no schema of ${type.kind} is known; give fromSchema(${type.kind}, { schema }) one`);
  return valueSchema(schema);
}

/** Lazily, because the table is recursive. */
function valueSchema(schema: Schema): ValueSchema {
  const { type, format, required, constraints = {} } = schema;
  return {
    ...constraints,
    type: type === 'any' ? 'object' : type === 'int-or-string' || type === 'quantity' ? 'string' : type,
    ...(type === 'int-or-string' ? { 'x-kubernetes-int-or-string': true } : {}),
    ...(type === 'quantity' ? { pattern: '^[1-9][0-9]{0,3}(m|Mi|Gi)?$' } : {}),
    ...(format ? { format } : {}),
    ...(required ? { required } : {}),
    ...(schema.enum ? { enum: schema.enum } : {}),
    get properties() {
      const { properties } = schema;
      if (!properties) return undefined as never;
      return Object.fromEntries(
        Object.keys(properties).map((field) => [
          field,
          field === 'managedFields' ? {} : lazily(() => properties[field]!),
        ]),
      );
    },
    get items() {
      return schema.items ? valueSchema(schema.items) : (undefined as never);
    },
    get additionalProperties() {
      return schema.values ? valueSchema(schema.values) : (undefined as never);
    },
  };
}

function lazily(schema: () => Schema): ValueSchema {
  let made: ValueSchema | undefined;
  return new Proxy({} as ValueSchema, {
    get(_, property) {
      made ??= valueSchema(schema());
      return Reflect.get(made, property) as unknown;
    },
  });
}

function valueIn(schema: ValueSchema, path: string, walk: Walk): Arbitrary<unknown> {
  const better = walk.values[path];
  if (better) return better;
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema['x-kubernetes-int-or-string'])
    return fc.oneof(
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 0, max: 100 }).map((n) => `${n}%`),
    );
  const made = ofType(schema, path, walk);
  return schema.nullable ? fc.option(made, { nil: null }) : made;
}

function ofType(schema: ValueSchema, path: string, walk: Walk): Arbitrary<unknown> {
  const { minimum, maximum, minItems = 0, maxItems = 3, items } = schema;
  switch (schema.type) {
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return fc.integer({ min: minimum ?? 0, max: Math.max(minimum ?? 0, maximum ?? 10) });
    case 'number':
      return fc.double({ min: minimum ?? 0, max: maximum ?? 1000, noNaN: true, noDefaultInfinity: true });
    case 'array':
      return walk.depth <= 0 && minItems === 0
        ? fc.constant([])
        : fc.array(valueIn(items && !Array.isArray(items) ? (items as ValueSchema) : {}, `${path}[]`, deeper(walk)), {
            minLength: minItems,
            maxLength: Math.max(minItems, Math.min(maxItems, 3)),
          });
    case 'string':
      return text(schema);
    default:
      return record(schema, path, walk);
  }
}

function record(schema: ValueSchema, path: string, walk: Walk): Arbitrary<Record<string, unknown>> {
  const { properties, required = [], additionalProperties } = schema;
  if (!properties && typeof additionalProperties === 'object' && additionalProperties !== null)
    return walk.depth <= 0
      ? fc.constant({})
      : fc.dictionary(label, valueIn(additionalProperties, `${path}{}`, deeper(walk)), { maxKeys: 2 });
  const known = Object.entries(properties ?? {}).filter(([field]) => walk.depth > 0 || required.includes(field));
  const fields = Object.fromEntries(
    known.map(([field, inner]) => [field, valueIn(inner, path ? `${path}.${field}` : field, deeper(walk))]),
  );
  return fc.record(fields, { requiredKeys: required.filter((field) => field in fields) }) as Arbitrary<
    Record<string, unknown>
  >;
}

const deeper = (walk: Walk): Walk => ({ ...walk, depth: walk.depth - 1 });

/** Valid as a name, a label and a label's value. */
const label = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/);

function text({ format, pattern, minLength = 0, maxLength }: ValueSchema): Arbitrary<string> {
  if (pattern !== undefined) {
    const fits = (value: string) =>
      value.length >= minLength && value.length <= (maxLength ?? Number.POSITIVE_INFINITY);
    return fc.stringMatching(new RegExp(pattern)).filter(fits);
  }
  if (format === 'date-time')
    return fc.integer({ min: 0, max: 4e9 }).map((s) => `${new Date(s * 1000).toISOString().slice(0, 19)}Z`);
  if (format === 'byte') return label.map((value) => Buffer.from(value).toString('base64'));
  const longest = Math.max(minLength, Math.min(maxLength ?? 12, 12));
  return fc
    .array(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz'), {
      minLength: Math.max(minLength, 1),
      maxLength: Math.max(longest, 1),
    })
    .map((letters) => letters.join('').slice(0, maxLength ?? undefined));
}
