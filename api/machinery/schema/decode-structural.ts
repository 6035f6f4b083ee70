import type { Json } from '../object.js';
import { TypedWalk } from './decode.js';
import { type Decoded, keep, type Mutable, Walk } from './decode-walk.js';
import type { Schema } from './schema.js';
import { schemaOf } from './table.js';

export interface StructuralOptions {
  /** Fill in the schema's defaults; true unless said otherwise. */
  readonly defaults?: boolean;
  /** Remove unknown fields; true unless said otherwise. They are reported either way. */
  readonly prune?: boolean;
}

const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/**
 * Reads JSON by a custom kind's structural schema (apiextensions: pruning and defaulting): unknown fields are pruned unless
 * the schema preserves them, nulls that are not allowed give way to defaults or disappear, defaults are filled in.
 * `metadata` of the object and of embedded resources is read as the built-in type it is; all other type errors are left to
 * validation, which words them differently.
 */
export function decodeStructural<T = Json>(
  schema: Schema,
  value: unknown,
  options: StructuralOptions = {},
): Decoded<T> {
  const walk = new StructuralWalk(options.defaults ?? true, options.prune ?? true);
  const out = walk.resource(schema, value as Json);
  return { value: out as T, unknown: walk.unknown, errors: walk.errors };
}

class StructuralWalk extends Walk {
  constructor(
    readonly defaults: boolean,
    readonly prune: boolean,
  ) {
    super();
  }

  /** An object with apiVersion, kind and metadata of its own, whether or not its schema says so. */
  resource(schema: Schema, value: Json): Json {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    return this.#object(schema, value as Mutable, true);
  }

  value(schema: Schema, value: Json): Json {
    if (value === null || typeof value !== 'object') return value;
    if (Array.isArray(value)) return schema.items ? this.#list(schema.items, value) : value;
    if (schema.type !== 'object' && !schema.properties && !schema.values && !schema.embeddedResource) return value;
    return this.#object(schema, value as Mutable, schema.embeddedResource ?? false);
  }

  #object(schema: Schema, value: Mutable, resource: boolean): Json {
    const { properties, values } = schema;
    const keys = Object.keys(value);
    let out: Mutable | undefined;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      const before = value[key];
      const field = resource && RESOURCE_FIELDS.has(key) ? undefined : (own(properties, key) ?? values);
      let after: Json | undefined = before;
      if (before === undefined) continue;
      this.path.push(key);
      if (resource && key === 'metadata') after = this.#metadata(before);
      else if (field) {
        const start = before === null && !field.nullable ? this.#default(field) : before;
        after = start === undefined ? undefined : this.value(field, start);
      }
      this.path.pop();
      if (!field && !schema.preserveUnknown && !(resource && RESOURCE_FIELDS.has(key))) {
        this.unknownField(key);
        if (this.prune) after = undefined;
      }
      out = keep(out, value, keys, i, before, after);
    }
    if (!this.defaults || !properties) return out ?? value;
    for (const key of Object.keys(properties)) {
      const field = properties[key]!;
      if (field.default === undefined || (out ?? value)[key] !== undefined) continue;
      this.path.push(key);
      out ??= { ...value };
      out[key] = this.value(field, field.default);
      this.path.pop();
    }
    return out ?? value;
  }

  #default(field: Schema): Json | undefined {
    return this.defaults ? field.default : undefined;
  }

  #list(items: Schema, value: readonly Json[]): Json {
    let out: Json[] | undefined;
    for (let i = 0; i < value.length; i++) {
      this.path.push(i);
      const start = value[i] === null && !items.nullable ? (this.#default(items) ?? null) : value[i]!;
      const after = this.value(items, start);
      this.path.pop();
      if (out) out.push(after);
      else if (after !== value[i]) out = [...value.slice(0, i), after];
    }
    return out ?? value;
  }

  #metadata(value: Json): Json | undefined {
    const typed = new TypedWalk();
    typed.path.push(...this.path);
    const out = typed.value(schemaOf(OBJECT_META)!, value);
    this.unknown.push(...typed.unknown);
    this.errors.push(...typed.errors);
    return out;
  }
}

const RESOURCE_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

function own(properties: Readonly<Record<string, Schema>> | undefined, key: string): Schema | undefined {
  return properties && Object.hasOwn(properties, key) ? properties[key] : undefined;
}
