import type { Json } from '../object.js';
import { pathText } from './decode-errors.js';

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

export type Mutable = { [key: string]: Json | undefined };

/** What both readings share: where we are, what was found, and copying an object only once it differs. */
export class Walk {
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

/** Notes that `keys[i]` of `value` is now `after`, copying the keys before it when it is the first to differ. */
export function keep(
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
