import { causes, FieldPath } from '../fields/path.js';
import { isRecord } from '../patch/structure.js';
import type { Schema } from '../schema/schema.js';
import type { StatusCause } from '../status.js';
import { type FieldSet, FieldSetBuilder } from './field-set.js';
import { fieldElement } from './path-element.js';
import { childSchema, isNamedField, itemElement, shapeOf } from './shape.js';

/** The fields an object names: what an applier comes to own. */
export function fieldsOf(object: unknown, schema: Schema | undefined): FieldSet {
  const builder = new FieldSetBuilder();
  collect(object, schema, [], builder);
  return builder.build();
}

function collect(value: unknown, schema: Schema | undefined, path: readonly string[], out: FieldSetBuilder): void {
  switch (shapeOf(schema, value)) {
    case 'leaf':
      out.insert(path);
      return;
    case 'map':
      for (const [field, child] of Object.entries(value as Readonly<Record<string, unknown>>)) {
        if (child === undefined) continue;
        const at = [...path, fieldElement(field)];
        collect(child, childSchema(schema, field), at, out);
        const empty = child === null || (isRecord(child) && Object.keys(child).length === 0);
        if (empty || !isNamedField(schema, field)) out.insert(at);
      }
      return;
    case 'list':
      collectItems(value as readonly unknown[], schema!, path, out);
  }
}

/** An element that stands more than once is owned as one, without its fields: nobody could tell which is meant. */
function collectItems(list: readonly unknown[], schema: Schema, path: readonly string[], out: FieldSetBuilder): void {
  const groups = new Map<string, unknown[]>();
  for (const item of list) {
    const found = itemElement(schema, item);
    if ('fault' in found) continue;
    const group = groups.get(found.element);
    if (group) group.push(item);
    else groups.set(found.element, [item]);
  }
  for (const [element, items] of groups) {
    const at = [...path, element];
    if (items.length === 1) collect(items[0], schema.items, at, out);
    out.insert(at);
  }
}

/** Why a configuration cannot be applied: elements without their keys, or twice in one list. All of them, in field order. */
export function applyFaults(object: unknown, schema: Schema | undefined): readonly StatusCause[] {
  const faults: StatusCause[] = [];
  check(object, schema, new FieldPath(), faults);
  return faults;
}

function check(value: unknown, schema: Schema | undefined, path: FieldPath, faults: StatusCause[]): void {
  const shape = shapeOf(schema, value);
  if (shape === 'map') {
    for (const [field, child] of Object.entries(value as Readonly<Record<string, unknown>>)) {
      check(child, childSchema(schema, field), path.child(field), faults);
    }
  } else if (shape === 'list') {
    const seen = new Set<string>();
    (value as readonly unknown[]).forEach((item, i) => {
      const found = itemElement(schema!, item);
      const at = path.index(i);
      if ('fault' in found) faults.push(causes.invalid(at, item, found.fault));
      else if (seen.has(found.element)) faults.push(causes.duplicate(at, item));
      else {
        seen.add(found.element);
        check(item, schema!.items, at, faults);
      }
    });
  }
}
