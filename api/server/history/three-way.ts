import {
  changedFields,
  childSchema,
  compareObjects,
  type FieldSet,
  fieldSetOf,
  fieldsOf,
  formatFieldsPath,
  ignoringFields,
  intersectSets,
  isEmptySet,
  itemElement,
  type KubeObject,
  mergeApplied,
  pathsOf,
  removeFields,
  type Schema,
  shapeOf,
  unionSets,
} from '@trimtab/machinery';

/**
 * Three-way merges of objects, field by field as ownership sees fields: what `mine` changed from `base`, done to `theirs`. The
 * same function takes a write back (`base` is what it made, `mine` what it found) and brings a branch's changes home. Pure.
 */

export interface Merged {
  /** `theirs` with all that mine changed; in conflicts mine has won. */
  readonly object: KubeObject;
  /** Fields that both changed, and not to the same. */
  readonly conflicts: readonly string[];
  /** Fields of `theirs` that come out different. */
  readonly fields: readonly string[];
}

const SYSTEM = [
  'managedFields',
  'resourceVersion',
  'uid',
  'creationTimestamp',
  'generation',
  'selfLink',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
];

/** What the server or a controller keeps for itself, and nobody asks for. */
const unasked: FieldSet = fieldSetOf(
  ['f:status'],
  ['f:apiVersion'],
  ['f:kind'],
  ...SYSTEM.map((field) => ['f:metadata', `f:${field}`]),
);

const nothing: KubeObject = { metadata: {} };

const compare = (before: KubeObject, after: KubeObject, schema: Schema) =>
  ignoringFields(compareObjects(before, after, schema), unasked);

export function threeWay(base: KubeObject = nothing, mine: KubeObject, theirs: KubeObject, schema: Schema): Merged {
  const change = compare(base, mine, schema);
  const set = changedFields(change);
  const touched = unionSets(set, change.removed);
  const other = compare(base, theirs, schema);
  const apart = compare(mine, theirs, schema);
  const both = intersectSets(touched, unionSets(changedFields(other), other.removed));
  const conflicts = intersectSets(both, unionSets(changedFields(apart), apart.removed));
  const without = isEmptySet(change.removed) ? theirs : removeFields(theirs, change.removed, schema);
  const wanted = isEmptySet(set) ? undefined : project(mine, set, schema);
  const object = mergeApplied(without, wanted, schema) as KubeObject;
  return { object, conflicts: leavesOf(conflicts), fields: changedNames(theirs, object, schema) };
}

/** The fields that differ between two objects, apart from those the system keeps, as people write them. */
export function changedNames(before: KubeObject, after: KubeObject, schema: Schema): readonly string[] {
  const change = compare(before, after, schema);
  return leavesOf(unionSets(changedFields(change), change.removed));
}

/** Of the fields that `before` has, those that `after` has otherwise or not at all. */
export function lostNames(before: KubeObject, after: KubeObject, schema: Schema): readonly string[] {
  const change = compare(before, after, schema);
  return leavesOf(intersectSets(fieldsOf(before, schema), unionSets(change.modified, change.removed)));
}

/** An object as somebody could have asked for it: without what only the server gives. */
export function asAsked(object: KubeObject): KubeObject {
  const { status: _, ...rest } = object as KubeObject & { readonly status?: unknown };
  const metadata = Object.fromEntries(Object.entries(object.metadata).filter(([field]) => !SYSTEM.includes(field)));
  return { ...rest, metadata };
}

/** Without the containers of what is named itself. */
function leavesOf(set: FieldSet): readonly string[] {
  const paths = pathsOf(set).map((path) => formatFieldsPath(path));
  return paths.filter((path, i) => !isBelow(path, paths[i + 1]));
}

const isBelow = (path: string, next: string | undefined): boolean =>
  next !== undefined && next.length > path.length && next.startsWith(path) && '.['.includes(next[path.length]!);

/** The parts of a value that a set names, with the keys of list elements that lead there. */
function project(value: unknown, set: FieldSet, schema: Schema | undefined): unknown {
  const shape = shapeOf(schema, value);
  if (shape === 'leaf' || set.children.size === 0) return value;
  if (shape === 'map') {
    const entries = Object.entries(value as Readonly<Record<string, unknown>>).flatMap(([field, item]) => {
      const below = set.children.get(`f:${field}`);
      return below ? [[field, project(item, below, childSchema(schema, field))] as const] : [];
    });
    return Object.fromEntries(entries);
  }
  return (value as readonly unknown[]).flatMap((item) => {
    const found = itemElement(schema!, item);
    const below = 'element' in found ? set.children.get(found.element) : undefined;
    if (below === undefined || 'fault' in found) return [];
    const part = project(item, below, schema!.items);
    return [found.element.startsWith('k:') ? { ...JSON.parse(found.element.slice(2)), ...(part as object) } : part];
  });
}
