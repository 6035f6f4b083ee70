import { isRecord, type JsonRecord, own } from '../patch/structure.js';
import { isTemplate, type Schema } from '../schema/schema.js';
import { fieldElement } from './path-element.js';
import { childSchema, itemElement, listKeys, shapeOf } from './shape.js';

/**
 * What a schema says of ownership, worked out once per schema: the questions are the same for object after object, and most
 * of what attributing a write costs is asking them.
 */
export interface FieldPlan {
  readonly schema: Schema | undefined;
  /** How a map and how a list of this schema are owned; everything else is a leaf. */
  readonly map: 'leaf' | 'map';
  readonly list: 'leaf' | 'list';
  /** Of what many objects are made of that share it: its fields are worth remembering. */
  readonly template: boolean;
  /** Of what stands in a list. */
  items(): FieldPlan;
  /** Of a map's field. */
  field(name: string): FieldStep;
  /** The element of a list's item; undefined where it can have none. */
  element(item: unknown): string | undefined;
}

/** A field as its path element, and what is known of its value. */
export interface FieldStep {
  readonly element: string;
  readonly plan: FieldPlan;
}

const plans = new WeakMap<Schema, FieldPlan>();

export function planOf(schema: Schema | undefined): FieldPlan {
  if (schema === undefined) return unknown;
  let plan = plans.get(schema);
  if (!plan) {
    plan = new SchemaPlan(schema);
    plans.set(schema, plan);
  }
  return plan;
}

/** Free keys and items are many, and only those met lately are worth keeping. */
const KEPT = 512;
const KEPT_BELOW = 32;

class SchemaPlan implements FieldPlan {
  readonly map: 'leaf' | 'map';
  readonly list: 'leaf' | 'list';
  readonly template: boolean;
  #steps = new Map<string, FieldStep>();
  #elements = new Map<unknown, string | Map<unknown, string>>();
  #items: FieldPlan | undefined;
  readonly #keys: readonly string[];

  constructor(readonly schema: Schema | undefined) {
    this.map = shapeOf(schema, {}) === 'map' ? 'map' : 'leaf';
    this.list = shapeOf(schema, []) === 'list' ? 'list' : 'leaf';
    this.template = isTemplate(schema);
    this.#keys = schema === undefined ? [] : (listKeys(schema) ?? []);
  }

  items(): FieldPlan {
    this.#items ??= planOf(this.schema?.items);
    return this.#items;
  }

  field(name: string): FieldStep {
    let step = this.#steps.get(name);
    if (step) return step;
    step = { element: fieldElement(name), plan: planOf(childSchema(this.schema, name)) };
    if (this.#steps.size >= KEPT) this.#steps = new Map();
    this.#steps.set(name, step);
    return step;
  }

  element(item: unknown): string | undefined {
    const [first, second, third] = this.#keys;
    if (first === undefined || third !== undefined || !isRecord(item)) return this.#made(item);
    const one = own(item, first);
    if (!isText(one)) return this.#made(item);
    const two = second === undefined ? '' : own(item, second);
    if (!isText(two)) return this.#made(item);
    if (this.#elements.size >= KEPT) this.#elements = new Map();
    const known = this.#elements.get(one);
    if (second === undefined) return typeof known === 'string' ? known : this.#remember(this.#elements, one, item);
    let below = known as Map<unknown, string> | undefined;
    if (!below || below.size >= KEPT_BELOW) {
      below = new Map();
      this.#elements.set(one, below);
    }
    return below.get(two) ?? this.#remember(below, two, item);
  }

  #remember<V>(into: Map<unknown, V | string>, key: unknown, item: JsonRecord): string | undefined {
    const element = this.#made(item);
    if (element !== undefined) into.set(key, element);
    return element;
  }

  #made(item: unknown): string | undefined {
    const found = itemElement(this.schema!, item);
    return 'fault' in found ? undefined : found.element;
  }
}

const LONGEST = 128;

/** Worth remembering by itself, and never taken for another. */
const isText = (value: unknown): value is string | number =>
  (typeof value === 'string' && value.length <= LONGEST) || typeof value === 'number';

const unknown: FieldPlan = new SchemaPlan(undefined);
