import type { Json } from '../object.js';
import { canonicalQuantity } from '../quantity/quantity.js';
import { pathText, typeError } from './decode-errors.js';
import { canonicalBase64, canonicalTime } from './scalars.js';
import type { Schema } from './schema.js';
import { schemaOf } from './table.js';

/** A value that does not have the type its field wants. */
export interface DecodeError {
  /** `spec.containers[0].ports` */
  readonly field: string;
  /** In the words of Kubernetes' decoder; names the field. */
  readonly message: string;
}

export interface Decoded<T = Json> {
  /** Without unknown fields, with defaults; the very object handed in when nothing had to change. */
  readonly value: T;
  /** One per field pruned: `unknown field "spec.foo"`, in document order. */
  readonly unknown: readonly string[];
  /** When there are any, `value` must not be used. */
  readonly errors: readonly DecodeError[];
}

export interface StructuralOptions {
  /** Fill in the schema's defaults; true unless said otherwise. */
  readonly defaults?: boolean;
  /** Remove unknown fields; true unless said otherwise. They are reported either way. */
  readonly prune?: boolean;
}

type Mutable = { [key: string]: Json | undefined };
const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/**
 * Reads JSON as Go reads it into a built-in type and writes it back: wrong types are errors, unknown fields are pruned and
 * reported, nulls and what `omitempty` leaves out disappear, what Go always writes (`resources: {}`) appears, quantities, times and base64 take their canonical form.
 * Two objects that mean the same to Kubernetes come out equal. Linear in the data, never in the schema.
 */
export function decodeTyped<T = Json>(schema: Schema, value: unknown): Decoded<T> {
  const walk = new TypedWalk();
  const out = walk.value(schema, value as Json);
  return { value: out as T, unknown: walk.unknown, errors: walk.errors };
}

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

/** What both readings share: where we are, what was found, and copying an object only once it differs. */
class Walk {
  readonly unknown: string[] = [];
  readonly errors: DecodeError[] = [];
  /** Field names and indices from the root to the value at hand. */
  readonly path: (string | number)[] = [];

  protected unknownField(name: string): void {
    this.path.push(name);
    this.unknown.push(`unknown field "${pathText(this.path)}"`);
    this.path.pop();
  }
}

class TypedWalk extends Walk {
  /** The named types entered, with the depth of each: errors name the innermost. */
  readonly #owners: string[] = [];
  /** The steps of `path` that are keys of a map, which Go does not name. */
  readonly #mapSteps: number[] = [];

  value(schema: Schema, value: Json): Json | undefined {
    switch (schema.type) {
      case 'object':
        if (value === null) return undefined;
        if (typeof value !== 'object' || Array.isArray(value)) return this.#wrong(schema, value);
        return schema.values ? this.#map(schema.values, value as Mutable) : this.#struct(schema, value as Mutable);
      case 'array':
        if (value === null) return undefined;
        return Array.isArray(value) ? this.#list(schema.items!, value) : this.#wrong(schema, value);
      case 'string':
        if (typeof value !== 'string') return value === null ? undefined : this.#wrong(schema, value);
        return schema.format === undefined ? value : this.#formatted(schema, value);
      case 'integer':
        if (typeof value !== 'number') return value === null ? undefined : this.#wrong(schema, value);
        return Number.isInteger(value) && (schema.format !== 'int32' || value === (value | 0))
          ? value
          : this.#wrong(schema, value);
      case 'boolean':
        return typeof value === 'boolean' ? value : value === null ? undefined : this.#wrong(schema, value);
      case 'number':
        return typeof value === 'number' ? value : value === null ? undefined : this.#wrong(schema, value);
      case 'quantity':
        if (value === null) return undefined;
        return typeof value === 'string' || typeof value === 'number'
          ? this.#quantity(value)
          : this.#wrong(schema, value);
      case 'int-or-string':
        if (value === null || typeof value === 'string') return value ?? undefined;
        return typeof value === 'number' && value === (value | 0) ? value : this.#wrong(schema, value);
      default:
        return value;
    }
  }

  #struct(schema: Schema, value: Mutable): Json {
    const properties = schema.properties;
    if (!properties) return value;
    this.#owners.push(schema.name ?? '');
    const keys = Object.keys(value);
    let out: Mutable | undefined;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      const field = properties[key];
      const before = value[key];
      let after: Json | undefined;
      if (field === undefined) this.unknownField(key);
      else if (before !== undefined) {
        this.path.push(key);
        after = this.value(field, before);
        this.path.pop();
        if (field.omitZero && isZero(after)) after = undefined;
      }
      out = keep(out, value, keys, i, before, after);
    }
    for (const name of schema.alwaysPresent ?? NONE) {
      if ((out ?? value)[name] !== undefined && (out ?? value)[name] !== null) continue;
      out ??= { ...value };
      out[name] = this.value(properties[name]!, {});
    }
    this.#owners.pop();
    return out ?? value;
  }

  #map(values: Schema, value: Mutable): Json {
    const keys = Object.keys(value);
    let out: Mutable | undefined;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      const before = value[key]!;
      this.#mapSteps.push(this.path.push(key) - 1);
      const after = this.value(values, before) ?? zeroOf(values);
      this.#mapSteps.pop();
      this.path.pop();
      out = keep(out, value, keys, i, before, after);
    }
    return out ?? value;
  }

  #list(items: Schema, value: readonly Json[]): Json {
    let out: Json[] | undefined;
    for (let i = 0; i < value.length; i++) {
      this.path.push(i);
      const after = this.value(items, value[i]!) ?? this.value(items, zeroOf(items)) ?? null;
      this.path.pop();
      if (out) out.push(after);
      else if (after !== value[i]) out = [...value.slice(0, i), after];
    }
    return out ?? value;
  }

  #formatted(schema: Schema, value: string): Json | undefined {
    try {
      if (schema.format === 'byte') return canonicalBase64(value);
      if (schema.format === 'date-time')
        return value === '' ? undefined : canonicalTime(value, schema.name?.endsWith('MicroTime') ? 6 : 0);
    } catch (e) {
      this.#fail((e as Error).message);
    }
    return value;
  }

  #quantity(value: string | number): Json {
    const known = recentQuantities.get(value);
    if (known !== undefined) return known;
    try {
      const out = canonicalQuantity(typeof value === 'string' ? value.trim() : value);
      if (recentQuantities.size >= 4096) recentQuantities.clear();
      recentQuantities.set(value, out);
      return out;
    } catch (e) {
      this.#fail((e as Error).message);
      return value;
    }
  }

  #wrong(schema: Schema, value: Json): Json {
    const fields = this.path.filter((step, i) => typeof step === 'string' && !this.#mapSteps.includes(i));
    this.#fail(typeError(schema, value, this.#owners.at(-1), fields.join('.')));
    return value;
  }

  #fail(message: string): void {
    this.errors.push({ field: pathText(this.path), message });
  }
}

/** The same few amounts occur in object after object. */
const recentQuantities = new Map<string | number, string>();

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

const NONE: readonly string[] = [];
const RESOURCE_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

function own(properties: Readonly<Record<string, Schema>> | undefined, key: string): Schema | undefined {
  return properties && Object.hasOwn(properties, key) ? properties[key] : undefined;
}

/** Notes that `keys[i]` of `value` is now `after`, copying the keys before it when it is the first to differ. */
function keep(
  out: Mutable | undefined,
  value: Mutable,
  keys: readonly string[],
  i: number,
  before: Json | undefined,
  after: Json | undefined,
): Mutable | undefined {
  if (!out) {
    if (after === before) return undefined;
    out = {};
    for (let j = 0; j < i; j++) put(out, keys[j]!, value[keys[j]!]);
  }
  put(out, keys[i]!, after);
  return out;
}

function put(out: Mutable, key: string, value: Json | undefined): void {
  if (value === undefined) return;
  if (key !== '__proto__') out[key] = value;
  else Object.defineProperty(out, key, { value, enumerable: true, configurable: true, writable: true });
}

/** What Go has in a list or map where the JSON had null. */
function zeroOf(schema: Schema): Json {
  switch (schema.type) {
    case 'object':
      return {};
    case 'array':
    case 'any':
      return null;
    case 'integer':
    case 'number':
    case 'int-or-string':
      return 0;
    case 'boolean':
      return false;
    default:
      return schema.type === 'quantity' ? '0' : schema.format === 'date-time' ? null : '';
  }
}

function isZero(value: Json | undefined): boolean {
  if (typeof value === 'object' && value !== null) {
    if (Array.isArray(value)) return value.length === 0;
    for (const _ in value) return false;
    return true;
  }
  return value === '' || value === 0 || value === false || value === undefined || value === null;
}
