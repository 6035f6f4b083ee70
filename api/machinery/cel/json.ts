import { formatDuration, formatTimestamp, parseDate, parseDuration, parseTimestamp } from './time.js';
import { type CelType, DYN, type ListType, type MapType, type ObjectType } from './types.js';
import {
  CelDuration,
  CelError,
  CelList,
  CelMap,
  CelOpaque,
  CelOptional,
  CelTimestamp,
  CelTypeName,
  CelUint,
  type CelValue,
  keyText,
} from './values.js';

/**
 * JSON as values of expressions, without copying: elements and fields become values when they are looked at. A type says what
 * numbers and strings mean; where JSON does not fit the type it is taken for what it is.
 */
export function fromJson(raw: unknown, type: CelType = DYN): CelValue {
  switch (typeof raw) {
    case 'string':
      return fromText(raw, type);
    case 'number':
      if (type.kind === 'double') return raw;
      return Number.isInteger(raw) ? BigInt(raw) : raw;
    case 'boolean':
    case 'bigint':
      return raw;
    case 'undefined':
      return null;
  }
  if (raw === null) return null;
  if (Array.isArray(raw)) return new JsonList(raw, type.kind === 'list' ? type : DYN_LIST);
  if (isValue(raw)) return raw;
  return new JsonMap(raw as Record<string, unknown>, type.kind === 'map' || type.kind === 'object' ? type : DYN_MAP);
}

const DYN_LIST: ListType = { kind: 'list', element: DYN };
const DYN_MAP: MapType = { kind: 'map', key: { kind: 'string' }, value: DYN };

function fromText(raw: string, type: CelType): CelValue {
  switch (type.kind) {
    case 'timestamp':
      return parseTimestamp(raw) ?? parseDate(raw) ?? raw;
    case 'duration':
      return parseDuration(raw) ?? raw;
    case 'bytes':
      return Buffer.from(raw, 'base64');
    default:
      return raw;
  }
}

const isValue = (raw: unknown): raw is CelValue =>
  raw instanceof CelMap ||
  raw instanceof CelList ||
  raw instanceof CelUint ||
  raw instanceof CelTimestamp ||
  raw instanceof CelDuration ||
  raw instanceof CelOptional ||
  raw instanceof CelTypeName ||
  raw instanceof CelOpaque ||
  raw instanceof Uint8Array;

export class JsonList extends CelList {
  override readonly listType: 'atomic' | 'set' | 'map';
  constructor(
    readonly raw: readonly unknown[],
    readonly type: ListType,
  ) {
    super();
    this.listType = type.listType ?? 'atomic';
  }
  get size(): number {
    return this.raw.length;
  }
  at(index: number): CelValue {
    return fromJson(this.raw[index], this.type.element);
  }
  override identity(element: CelValue): string {
    const keys = this.type.listMapKeys;
    if (this.listType !== 'map' || keys === undefined || !(element instanceof CelMap)) return keyText(element);
    return keys
      .map((key) => {
        const value = element instanceof JsonMap ? element.field(key) : element.get(key);
        return value === undefined ? '' : keyText(value);
      })
      .join('|');
  }
}

export class JsonMap extends CelMap {
  constructor(
    readonly raw: Readonly<Record<string, unknown>>,
    readonly type: MapType | ObjectType,
  ) {
    super();
  }
  /** By its name in JSON. */
  field(json: string): CelValue | undefined {
    const raw = Object.hasOwn(this.raw, json) ? this.raw[json] : undefined;
    return raw === undefined ? undefined : fromJson(raw, this.#typeOf(json));
  }
  #typeOf(json: string): CelType {
    if (this.type.kind === 'map') return this.type.value;
    for (const field of this.type.fields.values()) if (field.json === json) return field.type;
    return DYN;
  }
  get size(): number {
    let count = 0;
    for (const key in this.raw) if (this.raw[key] !== undefined) count++;
    return count;
  }
  get(key: CelValue): CelValue | undefined {
    if (typeof key !== 'string') return undefined;
    if (this.type.kind === 'map') return this.field(key);
    const field = this.type.fields.get(key);
    return field === undefined ? undefined : this.field(field.json);
  }
  *keys(): Iterable<CelValue> {
    if (this.type.kind === 'map') {
      for (const key in this.raw) if (this.raw[key] !== undefined) yield key;
    } else {
      for (const [name, { json }] of this.type.fields) if (this.raw[json] !== undefined) yield name;
    }
  }
}

/** A value as JSON: what a mutation makes of an object. Throws for what has no JSON form. */
export function toJson(value: CelValue): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof JsonList || value instanceof JsonMap) return value.raw;
  if (value instanceof CelList) return [...value].map(toJson);
  if (value instanceof CelMap)
    return Object.fromEntries([...value.keys()].map((key) => [String(toJson(key)), toJson(value.get(key)!)]));
  if (value instanceof CelUint) return toJson(value.value);
  if (value instanceof CelTimestamp) return formatTimestamp(value);
  if (value instanceof CelDuration) return formatDuration(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof CelOptional) return value.value === undefined ? null : toJson(value.value);
  throw new CelError(`no JSON form of ${value instanceof CelOpaque ? value.type : 'type'}`);
}
