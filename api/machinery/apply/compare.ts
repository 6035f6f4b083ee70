import { equalJson, isRecord, type JsonRecord } from '../patch/structure.js';
import { canonicalQuantity, isQuantity } from '../quantity/quantity.js';
import { RecentMap } from '../recent.js';
import type { Schema } from '../schema/schema.js';
import { type FieldPlan, planOf } from './field-plan.js';
import { emptyFieldSet, type FieldSet, FieldSetBuilder, isEmptySet, unionSets, withoutPrefixes } from './field-set.js';
import { fieldElement } from './path-element.js';
import { childSchema, isHollow, itemElement, presentField, shapeOf } from './shape.js';
import { Gathering } from './shared-set.js';

/** What changed between two objects, by field. No field is in more than one of the sets. */
export interface Comparison {
  readonly added: FieldSet;
  readonly removed: FieldSet;
  readonly modified: FieldSet;
}

const same: Comparison = { added: emptyFieldSet, removed: emptyFieldSet, modified: emptyFieldSet };

/** Compares field by field as the schema shapes them; subtrees that are identical are not looked at. */
export function compareObjects(before: unknown, after: unknown, schema: Schema | undefined): Comparison {
  if (before === after) return same;
  const walk = new Walk();
  walk.compare(before, after, schema);
  return { added: walk.added.build(), removed: walk.removed.build(), modified: walk.modified.build() };
}

export const isSame = (c: Comparison): boolean =>
  isEmptySet(c.added) && isEmptySet(c.removed) && isEmptySet(c.modified);

/** The comparison as if these fields, and all below them, did not exist. */
export function ignoringFields(c: Comparison, fields: FieldSet): Comparison {
  return {
    added: withoutPrefixes(c.added, fields),
    removed: withoutPrefixes(c.removed, fields),
    modified: withoutPrefixes(c.modified, fields),
  };
}

export const changedFields = (c: Comparison): FieldSet => unionSets(c.modified, c.added);

class Walk {
  readonly added = new FieldSetBuilder();
  readonly removed = new FieldSetBuilder();
  readonly modified = new FieldSetBuilder();

  /** Of what is being compared. */
  readonly #path: string[] = [];

  compare(before: unknown, after: unknown, schema: Schema | undefined): void {
    if (before === after) return;
    if (before === undefined) this.added.insertSet(this.#path, allOf(after, planOf(schema)));
    else if (after === undefined) this.removed.insertSet(this.#path, allOf(before, planOf(schema)));
    else this.#compareBoth(before, after, schema);
  }

  #compareBoth(before: unknown, after: unknown, schema: Schema | undefined): void {
    const shape = shapeOf(schema, isHollow(after) ? before : after);
    if (!isHollow(before) && !isHollow(after) && shapeOf(schema, before) !== shape) {
      // The value turned from a map into a scalar, say: everything in the old one is gone, the new one is new.
      this.compare(before, undefined, schema);
      this.compare(undefined, after, schema);
    } else if (shape === 'leaf' || (isHollow(before) && isHollow(after))) {
      if (!equalLeaves(before, after, schema)) this.modified.insert(this.#path);
    } else if (shape === 'map') this.#compareMaps(record(before), record(after), schema);
    else this.#compareLists(list(before), list(after), schema!);
  }

  #compareMaps(before: JsonRecord | undefined, after: JsonRecord | undefined, schema: Schema | undefined): void {
    for (const field in before) if (Object.hasOwn(before, field)) this.#compareField(before, after, schema, field);
    for (const field in after)
      if (Object.hasOwn(after, field) && !(before && Object.hasOwn(before, field)))
        this.#compareField(before, after, schema, field);
  }

  #compareField(
    before: JsonRecord | undefined,
    after: JsonRecord | undefined,
    schema: Schema | undefined,
    field: string,
  ): void {
    const old = presentField(schema, before, field);
    const next = presentField(schema, after, field);
    if (old === next) return;
    this.#path.push(fieldElement(field));
    this.compare(old, next, childSchema(schema, field));
    this.#path.pop();
  }

  #compareLists(before: readonly unknown[], after: readonly unknown[], schema: Schema): void {
    if (this.#compareAlike(before, after, schema)) return;
    const old = grouped(before, schema);
    const next = grouped(after, schema);
    for (const element of new Set([...old.keys(), ...next.keys()])) {
      this.#path.push(element);
      this.#compareItems(old.get(element) ?? [], next.get(element) ?? [], schema.items);
      this.#path.pop();
    }
  }

  /** Lists of the same few elements in the same order, which most that are changed are; false for others, of which nothing is compared. */
  #compareAlike(before: readonly unknown[], after: readonly unknown[], schema: Schema): boolean {
    if (before.length !== after.length || after.length > MANY) return false;
    const plan = planOf(schema);
    const elements: string[] = [];
    for (let i = 0; i < after.length; i++) {
      const element = plan.element(after[i]);
      if (element === undefined || elements.includes(element)) return false;
      if (before[i] !== after[i] && plan.element(before[i]) !== element) return false;
      elements.push(element);
    }
    for (let i = 0; i < after.length; i++) {
      this.#path.push(elements[i]!);
      this.compare(before[i], after[i], schema.items);
      this.#path.pop();
    }
    return true;
  }

  /** An element that stands more than once is compared as a whole; see fieldsOf. */
  #compareItems(was: readonly unknown[], is: readonly unknown[], schema: Schema | undefined): void {
    if (was.length <= 1 && is.length <= 1) this.compare(was[0], is[0], schema);
    else if (was.length > 1 && is.length > 1) {
      if (!equalJson(was, is)) this.modified.insert(this.#path);
    } else if (was.length > 1) {
      if (is.length > 0) this.compare(undefined, is[0], schema);
      else this.removed.insert(this.#path);
    } else {
      if (was.length > 0) this.compare(was[0], undefined, schema);
      this.added.insert(this.#path);
    }
  }
}

/** Beyond this many, looking whether an element is among those before takes too long. */
const MANY = 32;

/** Every field of a value that has no counterpart, itself included. */
export function allOf(value: unknown, plan: FieldPlan): FieldSet {
  if (!plan.template || !isRecord(value)) return gathered(value, plan);
  let known = ofTemplates.get(value);
  if (known?.plan !== plan) {
    known = { plan, all: gathered(value, plan) };
    ofTemplates.set(value, known);
  }
  return known.all;
}

const ofTemplates = new RecentMap<JsonRecord, { readonly plan: FieldPlan; readonly all: FieldSet }>(256);

function gathered(value: unknown, plan: FieldPlan): FieldSet {
  let all = Gathering.none;
  if (Array.isArray(value)) {
    if (plan.list === 'leaf' || value.length === 0) return all.set;
    if (value.length > MANY) return allOfMany(value, plan.schema!);
    const items = plan.items();
    const elements: string[] = [];
    for (const item of value) {
      const element = plan.element(item);
      if (element === undefined) continue;
      if (elements.includes(element)) return allOfMany(value, plan.schema!);
      elements.push(element);
      all = all.with(element, allOf(item, items));
    }
  } else if (isRecord(value) && plan.map === 'map') {
    for (const field of Object.keys(value)) {
      const child = value[field];
      const present = child === undefined ? presentField(plan.schema, value, field) : child;
      if (present === undefined) continue;
      const step = plan.field(field);
      all = all.with(step.element, allOf(present, step.plan));
    }
  }
  return all.set;
}

/** Of a list in which elements may stand more than once. */
function allOfMany(items: readonly unknown[], schema: Schema): FieldSet {
  let all = Gathering.none;
  for (const [element, group] of grouped(items, schema))
    all = all.with(element, group.length > 1 ? Gathering.none.set : allOf(group[0], planOf(schema.items)));
  return all.set;
}

const record = (value: unknown): JsonRecord | undefined => (isRecord(value) ? value : undefined);
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function grouped(items: readonly unknown[], schema: Schema): ReadonlyMap<string, readonly unknown[]> {
  const groups = new Map<string, unknown[]>();
  for (const item of items) {
    const found = itemElement(schema, item);
    if ('fault' in found) continue;
    const group = groups.get(found.element);
    if (group) group.push(item);
    else groups.set(found.element, [item]);
  }
  return groups;
}

/** Quantities are equal when they are the same amount, however written. */
export function equalLeaves(a: unknown, b: unknown, schema: Schema | undefined): boolean {
  if (equalJson(a, b)) return true;
  if (schema?.type !== 'quantity' || !isQuantity(a) || !isQuantity(b)) return false;
  return canonicalQuantity(a) === canonicalQuantity(b);
}
