import { fromJson } from './json.js';
import { type CelType, DYN } from './types.js';
import { CelCostError, type CelValue } from './values.js';

/** What one evaluation has: its variables, made values when first read, the places of local variables, and what it has cost. */
export class Frame {
  cost = 0;
  readonly slots: CelValue[] = [];
  readonly #limit: number;
  readonly #bindings: Readonly<Record<string, unknown>>;
  readonly #values = new Map<string, CelValue>();

  constructor(limit: number, bindings: Readonly<Record<string, unknown>>) {
    this.#limit = limit;
    this.#bindings = bindings;
  }

  charge(cost: number): void {
    this.cost += cost;
    if (this.cost > this.#limit) throw new CelCostError('operation cancelled: actual cost limit exceeded');
  }

  variable(name: string, type: CelType): CelValue {
    let value = this.#values.get(name);
    if (value === undefined) {
      const bound = this.#bindings[name];
      value = fromJson(typeof bound === 'function' ? (bound as () => unknown)() : bound, type);
      this.#values.set(name, value);
    }
    return value;
  }
}

export type Run = (frame: Frame) => CelValue;

/** A compiled part of an expression: its type, what evaluating it costs at worst, and how. */
export interface Checked {
  readonly type: CelType;
  readonly cost: number;
  readonly run: Run;
  /** May be compared with null whatever its type. */
  readonly nullable?: boolean;
}

/** Local variables of macros, innermost first. */
export interface Scope {
  readonly name: string;
  readonly type: CelType;
  readonly slot: number;
  readonly outer?: Scope;
}

export interface Problem {
  readonly pos: number;
  readonly message: string;
}

/** Stands in for what could not be compiled, so that one mistake is one complaint. */
export const BROKEN: Checked = {
  type: DYN,
  cost: 0,
  run: () => {
    throw new Error('an expression that did not compile was run');
  },
};
