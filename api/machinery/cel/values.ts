/** Values of CEL expressions. Integers are exact: `int` is a BigInt, `double` a number, `uint` a class of its own. */

/** An error a rule meets while it runs, in cel-go's words; `&&`, `||`, `all` and `exists` may absorb it. */
export class CelError extends Error {
  override readonly name = 'CelError';
}

/** Running out of cost cannot be absorbed: it ends the evaluation. */
export class CelCostError extends Error {
  override readonly name = 'CelCostError';
}

export class CelUint {
  constructor(readonly value: bigint) {}
}

/** An instant, in nanoseconds since 1970; always between the years 1 and 9999. */
export class CelTimestamp {
  constructor(readonly nano: bigint) {}
}

/** A span in nanoseconds, within 64 bits. */
export class CelDuration {
  constructor(readonly nano: bigint) {}
}

export abstract class CelList {
  abstract readonly size: number;
  /** The element at a place that exists. */
  abstract at(index: number): CelValue;
  /** `set` and `map` lists compare without order and concatenate as their list type says. */
  readonly listType: 'atomic' | 'set' | 'map' = 'atomic';
  /** What identifies an element of a `map` list. */
  identity(element: CelValue): string {
    return keyText(element);
  }
  *[Symbol.iterator](): Iterator<CelValue> {
    for (let i = 0; i < this.size; i++) yield this.at(i);
  }
}

export class NativeList extends CelList {
  constructor(readonly items: readonly CelValue[]) {
    super();
  }
  get size(): number {
    return this.items.length;
  }
  at(index: number): CelValue {
    return this.items[index]!;
  }
}

export abstract class CelMap {
  abstract readonly size: number;
  /** Undefined where there is no such key. */
  abstract get(key: CelValue): CelValue | undefined;
  abstract keys(): Iterable<CelValue>;
}

export class NativeMap extends CelMap {
  readonly #entries = new Map<string, readonly [CelValue, CelValue]>();
  /** The message type it was made as, if any. */
  readonly typeName: string | undefined;

  constructor(entries: Iterable<readonly [CelValue, CelValue]>, typeName?: string) {
    super();
    this.typeName = typeName;
    for (const [key, value] of entries) {
      const id = keyId(key);
      if (this.#entries.has(id)) throw new CelError(`Failed with repeated key: ${textOf(key)}`);
      this.#entries.set(id, [key, value]);
    }
  }
  get size(): number {
    return this.#entries.size;
  }
  get(key: CelValue): CelValue | undefined {
    return this.#entries.get(keyId(key))?.[1];
  }
  *keys(): Iterable<CelValue> {
    for (const [key] of this.#entries.values()) yield key;
  }
}

export class CelOptional {
  static readonly none = new CelOptional(undefined);
  constructor(readonly value: CelValue | undefined) {}
}

/** What `type(x)` gives. */
export class CelTypeName {
  constructor(readonly text: string) {}
}

/** A value of a Kubernetes library: a quantity, a URL, an address … */
export abstract class CelOpaque {
  abstract readonly type: string;
  abstract equals(other: CelOpaque): boolean;
}

export type CelValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | CelUint
  | CelTimestamp
  | CelDuration
  | CelList
  | CelMap
  | CelOptional
  | CelTypeName
  | CelOpaque;

/** The kind of a value at run time, by the names type signatures use. */
export function kindOf(value: CelValue): string {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int';
    case 'number':
      return 'double';
  }
  if (value === null) return 'null';
  if (value instanceof CelMap) return 'map';
  if (value instanceof CelList) return 'list';
  if (value instanceof CelUint) return 'uint';
  if (value instanceof CelTimestamp) return 'timestamp';
  if (value instanceof CelDuration) return 'duration';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof CelOptional) return 'optional';
  if (value instanceof CelTypeName) return 'type';
  return value.type;
}

const isNumber = (v: CelValue): v is number | bigint | CelUint =>
  typeof v === 'number' || typeof v === 'bigint' || v instanceof CelUint;
const plain = (v: number | bigint | CelUint): number | bigint => (v instanceof CelUint ? v.value : v);

/** CEL equality: numbers by their value whatever their type, everything else only within its type; never an error. */
export function celEquals(a: CelValue, b: CelValue): boolean {
  if (a === b) return true;
  // biome-ignore lint/suspicious/noDoubleEquals: the only exact comparison of an integer with a floating point number.
  if (isNumber(a)) return isNumber(b) && plain(a) == plain(b);
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  if (a instanceof CelList) return b instanceof CelList && equalLists(a, b);
  if (a instanceof CelMap) return b instanceof CelMap && equalMaps(a, b);
  if (a instanceof CelTimestamp) return b instanceof CelTimestamp && a.nano === b.nano;
  if (a instanceof CelDuration) return b instanceof CelDuration && a.nano === b.nano;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && compareBytes(a, b) === 0;
  if (a instanceof CelTypeName) return b instanceof CelTypeName && a.text === b.text;
  if (a instanceof CelOptional)
    return (
      b instanceof CelOptional &&
      (a.value === undefined || b.value === undefined ? a.value === b.value : celEquals(a.value, b.value))
    );
  return a instanceof CelOpaque && b instanceof CelOpaque && a.type === b.type && a.equals(b);
}

function equalLists(a: CelList, b: CelList): boolean {
  if (a.size !== b.size) return false;
  const typed = a.listType !== 'atomic' ? a : b;
  if (typed.listType === 'atomic') {
    for (let i = 0; i < a.size; i++) if (!celEquals(a.at(i), b.at(i))) return false;
    return true;
  }
  const rest = new Map<string, CelValue>();
  for (const element of b) rest.set(typed.identity(element), element);
  for (const element of a) {
    const other = rest.get(typed.identity(element));
    if (other === undefined || !celEquals(element, other)) return false;
  }
  return true;
}

function equalMaps(a: CelMap, b: CelMap): boolean {
  if (a.size !== b.size) return false;
  for (const key of a.keys()) {
    const other = b.get(key);
    if (other === undefined || !celEquals(a.get(key)!, other)) return false;
  }
  return true;
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Negative, zero or positive; NaN where either is NaN. Throws for what has no order. */
export function celCompare(a: CelValue, b: CelValue): number {
  if (isNumber(a) && isNumber(b)) {
    const [x, y] = [plain(a), plain(b)];
    // biome-ignore lint/suspicious/noDoubleEquals: compares an integer with a floating point number exactly.
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : Number.NaN;
  }
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (a instanceof CelTimestamp && b instanceof CelTimestamp) return a.nano < b.nano ? -1 : a.nano > b.nano ? 1 : 0;
  if (a instanceof CelDuration && b instanceof CelDuration) return a.nano < b.nano ? -1 : a.nano > b.nano ? 1 : 0;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b);
  throw new CelError('no such overload');
}

/** By code point, which UTF-16 units alone do not give beyond the first plane. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x === y) continue;
    const surrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
    if (surrogate(x) !== surrogate(y)) return surrogate(x) ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

/** What makes map keys the same: numbers by their value. */
export function keyId(key: CelValue): string {
  if (typeof key === 'string') return `s${key}`;
  if (typeof key === 'boolean') return `b${key}`;
  if (isNumber(key)) return `n${plain(key)}`;
  throw new CelError(`unsupported key type: ${kindOf(key)}`);
}

/** A text that is the same for equal values; for sets. */
export function keyText(value: CelValue): string {
  if (value instanceof CelList) return `[${[...value].map(keyText).join(',')}]`;
  if (value instanceof CelMap)
    return `{${[...value.keys()]
      .map((key) => `${keyText(key)}:${keyText(value.get(key)!)}`)
      .sort()
      .join(',')}}`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (isNumber(value)) return String(plain(value));
  return value === null || typeof value !== 'object' ? String(value) : `${kindOf(value)}(${textOf(value)})`;
}

/** A value in an error message. */
export function textOf(value: CelValue): string {
  if (typeof value === 'string') return value;
  if (isNumber(value)) return String(plain(value));
  if (value instanceof CelTimestamp || value instanceof CelDuration) return String(value.nano);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return value === null || typeof value !== 'object' ? String(value) : kindOf(value);
}

/** How large a value is to the cost rules: code points, bytes, elements, entries; 1 for anything else. */
export function sizeOf(value: CelValue): number {
  if (typeof value === 'string') return runeCount(value);
  if (value instanceof CelList || value instanceof CelMap) return value.size;
  return value instanceof Uint8Array ? value.length : 1;
}

export function runeCount(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next < 0xe000) {
        count--;
        i++;
      }
    }
  }
  return count;
}
