import { type JsonRecord, own, shareStructure, withFields } from '../patch/structure.js';
import type { Schema } from '../schema/schema.js';
import { equalLeaves } from './compare.js';
import type { FieldSet } from './field-set.js';
import { fieldElement } from './path-element.js';
import { childSchema, isHollow, itemElement, shapeOf } from './shape.js';

/**
 * The live object with an applied configuration laid over it: what the configuration names it decides, everything else stays.
 * Shares with `live` all that does not change.
 */
export function mergeApplied(live: unknown, config: unknown, schema: Schema | undefined): unknown {
  if (config === undefined || live === config) return live;
  // Null for what is owned field by field names none of them; for anything else it says «absent».
  if (config === null && !isHollow(live) && shapeOf(schema, live) !== 'leaf') return live;
  if (config === null && !schema?.nullable) return undefined;
  if (live === undefined || live === null) return withoutNulls(config, schema);
  const shape = shapeOf(schema, config);
  if (shape === 'leaf' || shapeOf(schema, live) !== shape || (isHollow(live) && isHollow(config))) {
    return equalLeaves(live, config, schema) ? live : shareStructure(live, config);
  }
  if (shape === 'list') return mergeLists(live as readonly unknown[], config as readonly unknown[], schema!);
  const changes = new Map<string, unknown>();
  for (const [field, value] of Object.entries(config as JsonRecord)) {
    changes.set(field, mergeApplied(own(live as JsonRecord, field), value, childSchema(schema, field)));
  }
  return withFields(live as JsonRecord, changes);
}

/** Null says «absent» except where the schema allows it as a value. */
function withoutNulls(value: unknown, schema: Schema | undefined): unknown {
  const shape = shapeOf(schema, value);
  if (shape === 'list') return (value as readonly unknown[]).map((item) => withoutNulls(item, schema?.items));
  if (shape !== 'map') return value;
  const entries = Object.entries(value as JsonRecord).flatMap(([field, item]) => {
    const child = childSchema(schema, field);
    return item === undefined || (item === null && !child?.nullable)
      ? []
      : [[field, withoutNulls(item, child)] as const];
  });
  return Object.fromEntries(entries);
}

/**
 * Elements stand in the configuration's order; those only the live list has keep their place between their neighbours
 * (structured-merge-diff: merging of associative lists).
 */
function mergeLists(live: readonly unknown[], config: readonly unknown[], schema: Schema): readonly unknown[] {
  const elementOf = (item: unknown): string => {
    const found = itemElement(schema, item);
    return 'element' in found ? found.element : '';
  };
  const liveElements = live.map(elementOf);
  const configElements = config.map(elementOf);
  const wanted = new Map(configElements.map((element, i) => [element, config[i]]));
  // An element that stands more than once in the live list has no single value to merge into.
  const known = new Map<string, unknown>();
  for (const [i, element] of liveElements.entries()) known.set(element, known.has(element) ? undefined : live[i]);
  const shared = configElements.filter((element) => known.has(element));

  const out: unknown[] = [];
  let nextShared = 0;
  let l = 0;
  let c = 0;
  while (l < live.length || c < config.length) {
    const element = liveElements[l];
    if (element !== undefined && !wanted.has(element)) {
      out.push(live[l++]);
    } else if (element !== undefined && (c >= config.length || element !== shared[nextShared])) {
      // Stands elsewhere in the configuration, or has been taken already.
      l++;
    } else {
      const taken = configElements[c]!;
      out.push(mergeApplied(known.get(taken), config[c], schema.items));
      if (taken === element) l++;
      if (taken === shared[nextShared]) nextShared++;
      c++;
    }
  }
  return out.length === live.length && out.every((item, i) => item === live[i]) ? live : out;
}

/** What becomes of a container that loses everything in it. */
export interface Emptied {
  /** Null keeps its place; by default it vanishes too. */
  readonly as?: null;
  /** Containers that stay, as empty ones, because someone owns them as such. */
  readonly kept?: FieldSet;
}

/** The value without the fields and elements in the set. Shares the rest. */
export function removeFields(
  value: unknown,
  fields: FieldSet,
  schema: Schema | undefined,
  emptied: Emptied = {},
): unknown {
  if (fields.children.size === 0) return value;
  const shape = shapeOf(schema, value);
  const below = (element: string): Emptied =>
    emptied.kept ? { ...emptied, kept: emptied.kept.children.get(element) } : emptied;
  if (shape === 'map') {
    const changes = new Map<string, unknown>();
    for (const [field, item] of Object.entries(value as JsonRecord)) {
      const element = fieldElement(field);
      const gone = fields.children.get(element);
      if (!gone) continue;
      const rest = gone.member ? undefined : removeFields(item, gone, childSchema(schema, field), below(element));
      changes.set(field, rest);
    }
    const rest = withFields(value as JsonRecord, changes);
    if (rest === value || Object.keys(rest).length > 0) return rest;
    return emptied.kept?.member ? rest : emptied.as;
  }
  if (shape !== 'list') return value;
  const list = value as readonly unknown[];
  const rest = list.flatMap((item) => {
    const found = itemElement(schema!, item);
    const gone = 'element' in found ? fields.children.get(found.element) : undefined;
    if (!gone || 'fault' in found) return [item];
    const left = gone.member ? undefined : removeFields(item, gone, schema!.items, below(found.element));
    return left === undefined || left === null ? [] : [left];
  });
  if (rest.length === list.length && rest.every((item, i) => item === list[i])) return value;
  if (rest.length > 0) return rest;
  return emptied.kept?.member ? rest : emptied.as;
}
