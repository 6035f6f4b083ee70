/**
 * Types of CEL expressions. Bounds (`max`) say how large a value of the type can get; they are what static cost is made of.
 * Types are immutable and never cyclic.
 */
export type CelType =
  | { readonly kind: Scalar }
  | { readonly kind: 'string' | 'bytes'; readonly max?: number }
  | ListType
  | MapType
  | ObjectType
  | { readonly kind: 'optional'; readonly of: CelType }
  | { readonly kind: 'opaque'; readonly name: string }
  | { readonly kind: 'type'; readonly of?: CelType }
  | { readonly kind: 'param'; readonly name: string };

type Scalar = 'bool' | 'int' | 'uint' | 'double' | 'null' | 'timestamp' | 'duration' | 'dyn';

export interface ListType {
  readonly kind: 'list';
  readonly element: CelType;
  readonly max?: number;
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
}

export interface MapType {
  readonly kind: 'map';
  readonly key: CelType;
  readonly value: CelType;
  readonly max?: number;
}

/** A message: fields are known, and any other is a compile error. */
export interface ObjectType {
  readonly kind: 'object';
  readonly name: string;
  /** By the name rules use, which is the field's name escaped. */
  readonly fields: ReadonlyMap<string, ObjectField>;
}

export interface ObjectField {
  /** The name in JSON. */
  readonly json: string;
  readonly type: CelType;
  /** May be compared with null. */
  readonly nullable?: boolean;
}

export const BOOL: CelType = { kind: 'bool' };
export const INT: CelType = { kind: 'int' };
export const DYN: CelType = { kind: 'dyn' };
export const STRING: CelType = { kind: 'string' };
export const NULL: CelType = { kind: 'null' };

/** `list(map(string, int))`, as compile errors show types. */
export function formatType(type: CelType): string {
  switch (type.kind) {
    case 'list':
      return `list(${formatType(type.element)})`;
    case 'map':
      return `map(${formatType(type.key)}, ${formatType(type.value)})`;
    case 'object':
    case 'opaque':
    case 'param':
      return type.name;
    case 'optional':
      return `optional_type(${formatType(type.of)})`;
    case 'timestamp':
      return 'google.protobuf.Timestamp';
    case 'duration':
      return 'google.protobuf.Duration';
    case 'type':
      return type.of === undefined ? 'type' : `type(${formatType(type.of)})`;
    default:
      return type.kind;
  }
}

/** The worst-case size of a value of this type. */
export function maxSize(type: CelType): number {
  switch (type.kind) {
    case 'string':
    case 'bytes':
    case 'list':
    case 'map':
      return type.max ?? Number.POSITIVE_INFINITY;
    case 'dyn':
    case 'param':
      return Number.POSITIVE_INFINITY;
    case 'object':
      return Math.max(1, type.fields.size);
    default:
      return 1;
  }
}

/** The same type with another worst-case size. */
export function sized(type: CelType, max: number): CelType {
  if (!(type.kind === 'string' || type.kind === 'bytes' || type.kind === 'list' || type.kind === 'map')) return type;
  if (max === Number.POSITIVE_INFINITY) {
    const { max: _, ...rest } = type;
    return rest;
  }
  return { ...type, max };
}

export type Bindings = Map<string, CelType>;

/** Whether a value of `actual` may stand where `wanted` is asked for; binds the type parameters it meets. */
export function assignable(wanted: CelType, actual: CelType, bindings: Bindings): boolean {
  if (wanted.kind === 'param') {
    const bound = bindings.get(wanted.name);
    if (bound === undefined || (bound.kind === 'dyn' && actual.kind !== 'dyn')) {
      bindings.set(wanted.name, actual);
      return true;
    }
    if (assignable(bound, actual, bindings)) {
      bindings.set(wanted.name, join(bound, actual));
      return true;
    }
    if (!assignable(actual, bound, bindings)) return false;
    bindings.set(wanted.name, actual);
    return true;
  }
  if (wanted.kind === 'dyn' || actual.kind === 'dyn' || actual.kind === 'param') return true;
  if (actual.kind === 'null') return ['null', 'object', 'timestamp', 'duration', 'opaque'].includes(wanted.kind);
  if (wanted.kind !== actual.kind) return false;
  switch (wanted.kind) {
    case 'list':
      return assignable(wanted.element, (actual as ListType).element, bindings);
    case 'map':
      return (
        assignable(wanted.key, (actual as MapType).key, bindings) &&
        assignable(wanted.value, (actual as MapType).value, bindings)
      );
    case 'object':
    case 'opaque':
      return wanted.name === (actual as { name: string }).name;
    case 'optional':
      return assignable(wanted.of, (actual as { of: CelType }).of, bindings);
    default:
      return true;
  }
}

/** The type of something that is one or the other; `dyn` where they have nothing in common. */
export function join(a: CelType, b: CelType): CelType {
  if (a === b) return a;
  if (a.kind === 'null' && b.kind !== 'dyn') return b;
  if (b.kind === 'null' && a.kind !== 'dyn') return a;
  if (a.kind !== b.kind) return DYN;
  const max = Math.max(maxSize(a), maxSize(b));
  switch (a.kind) {
    case 'string':
    case 'bytes':
      return sized(a, max);
    case 'list':
      return sized({ ...a, element: joinInside(a.element, (b as ListType).element) }, max);
    case 'map': {
      const other = b as MapType;
      return sized({ ...a, key: joinInside(a.key, other.key), value: joinInside(a.value, other.value) }, max);
    }
    case 'object':
    case 'opaque':
      return a.name === (b as { name: string }).name ? a : DYN;
    case 'optional':
      return { kind: 'optional', of: joinInside(a.of, (b as { of: CelType }).of) };
    default:
      return a;
  }
}

/** An empty list or map says nothing of what is in it. */
const joinInside = (a: CelType, b: CelType): CelType => (a.kind === 'param' ? b : b.kind === 'param' ? a : join(a, b));

/** A signature's result with its parameters filled in. */
export function substitute(type: CelType, bindings: Bindings): CelType {
  switch (type.kind) {
    case 'param':
      return bindings.get(type.name) ?? DYN;
    case 'list':
      return { ...type, element: substitute(type.element, bindings) };
    case 'map':
      return { ...type, key: substitute(type.key, bindings), value: substitute(type.value, bindings) };
    case 'optional':
      return { kind: 'optional', of: substitute(type.of, bindings) };
    default:
      return type;
  }
}

const OPEN: Readonly<Record<string, string>> = { list: 'list', map: 'map', optional: 'optional', type: 'type' };
const PLAIN = new Set(['bool', 'int', 'uint', 'double', 'null', 'timestamp', 'duration', 'dyn', 'string', 'bytes']);

/** Reads `map<string, list<A>>`: one upper-case letter is a parameter, any other unknown name an opaque type. */
export function parseType(text: string): CelType {
  const name = text.trim();
  const open = name.indexOf('<');
  if (open < 0) {
    if (PLAIN.has(name)) return { kind: name } as CelType;
    if (name === 'type') return { kind: 'type' };
    return /^[A-Z]$/.test(name) ? { kind: 'param', name } : { kind: 'opaque', name };
  }
  const args = splitTop(name.slice(open + 1, -1)).map(parseType);
  switch (OPEN[name.slice(0, open)]) {
    case 'list':
      return { kind: 'list', element: args[0]! };
    case 'map':
      return { kind: 'map', key: args[0]!, value: args[1]! };
    case 'optional':
      return { kind: 'optional', of: args[0]! };
    default:
      return { kind: 'type', of: args[0]! };
  }
}

/** Splits at the commas that stand in no brackets. */
export function splitTop(text: string): readonly string[] {
  const parts: string[] = [];
  let [depth, start] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '<') depth++;
    else if (text[i] === '>') depth--;
    else if (text[i] === ',' && depth === 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  const last = text.slice(start);
  return last.trim() === '' ? parts : [...parts, last];
}
