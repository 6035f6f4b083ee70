import type { Json } from '../object.js';
import { canonicalQuantity } from '../quantity/quantity.js';
import { RecentMap } from '../recent.js';
import { pathText, typeError } from './decode-errors.js';
import { type Decoded, keep, type Mutable, Walk } from './decode-walk.js';
import { canonicalBase64, canonicalTime } from './scalars.js';
import { isTemplate, type Schema } from './schema.js';

/**
 * Reads JSON as Go reads it into a built-in type and writes it back: wrong types are errors, unknown fields are pruned and
 * reported, nulls and what `omitempty` leaves out disappear, what Go always writes (`resources: {}`) appears, quantities, times and base64 take their canonical form.
 * Two objects that mean the same to Kubernetes come out equal. Linear in the data, never in the schema.
 *
 * `known` is an outcome of this schema, decoded or made, that is taken to be right: what `value` shares with it in the same
 * place, by identity, is not looked at again.
 */
export function decodeTyped<T = Json>(schema: Schema, value: unknown, known?: unknown): Decoded<T> {
  const walk = new TypedWalk();
  const out = walk.value(schema, value as Json, known as Json);
  return { value: out as T, unknown: walk.unknown, errors: walk.errors };
}

export class TypedWalk extends Walk {
  /** The named types entered, with the depth of each: errors name the innermost. */
  readonly #owners: string[] = [];
  /** The steps of `path` that are keys of a map, which Go does not name. */
  readonly #mapSteps: number[] = [];

  value(schema: Schema, value: Json, known?: Json): Json | undefined {
    switch (schema.type) {
      case 'object':
        if (value === null) return undefined;
        if (typeof value !== 'object' || Array.isArray(value)) return this.#wrong(schema, value);
        if (value === known) return value;
        return schema.values
          ? this.#map(schema.values, value as Mutable)
          : this.#struct(schema, value as Mutable, fieldsOf(known));
      case 'array':
        if (value === null) return undefined;
        if (value === known) return value;
        return Array.isArray(value)
          ? this.#list(schema.items!, value, Array.isArray(known) ? known : NOTHING)
          : this.#wrong(schema, value);
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

  #struct(schema: Schema, value: Mutable, known: Mutable | undefined): Json {
    const properties = schema.properties;
    if (!properties) return value;
    const template = isTemplate(schema);
    const met = template ? decodedTemplates.get(value) : undefined;
    if (met?.schema === schema) return met.outcome;
    const faults = this.unknown.length + this.errors.length;
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
        after = this.value(field, before, known?.[key]);
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
    const outcome = out ?? value;
    if (template && this.unknown.length + this.errors.length === faults) {
      decodedTemplates.set(value, { schema, outcome });
      if (outcome !== value) decodedTemplates.set(outcome, { schema, outcome });
    }
    return outcome;
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

  #list(items: Schema, value: readonly Json[], known: readonly Json[]): Json {
    let out: Json[] | undefined;
    for (let i = 0; i < value.length; i++) {
      this.path.push(i);
      const after = this.value(items, value[i]!, known[i]) ?? this.value(items, zeroOf(items)) ?? null;
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

/** By the very object. */
const decodedTemplates = new RecentMap<Mutable, { readonly schema: Schema; readonly outcome: Mutable }>(256);

/** The same few amounts occur in object after object. */
const recentQuantities = new Map<string | number, string>();

const NONE: readonly string[] = [];
const NOTHING: readonly Json[] = [];

const fieldsOf = (known: Json | undefined): Mutable | undefined =>
  typeof known === 'object' && known !== null && !Array.isArray(known) ? (known as Mutable) : undefined;

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
