import type { KubeObject, UnknownObject } from '../object.js';
import type { Schema } from '../schema/schema.js';
import { differenceSets, emptyFieldSet, type FieldSet, intersectSets, isEmptySet, unionSets } from './field-set.js';
import { fieldsOf } from './fields-of.js';
import type { Manager, Managers } from './managers.js';
import { removeFields } from './merge.js';
import type { WriteContext } from './ownership.js';
import { isNamedField } from './shape.js';

/** An object as one version sees it. */
interface View {
  readonly object: unknown;
  readonly schema: Schema;
}

/**
 * Takes away what a manager applied last time and nobody owns now, with everything under it that nobody owns. Containers
 * whose named fields are all gone go with them. `managers` hold what the manager applies this time
 * (structured-merge-diff: prune).
 */
export function prune(merged: KubeObject, last: Manager, managers: Managers, context: WriteContext): KubeObject {
  if (isEmptySet(last.set)) return merged;
  const whole = viewAt(merged, last.apiVersion, context.apiVersion, context);
  if (!whole) return merged;
  const lastFields = withContainers(last.set, whole.schema);

  let version = last.apiVersion;
  let stripped: unknown = removeFields(whole.object, lastFields, whole.schema, GAP);
  const owners = ownersByVersion(managers, last.apiVersion, context);
  for (const [owned, set] of owners) {
    const before = viewAt(merged, owned, context.apiVersion, context);
    const after = viewAt(stripped ?? {}, owned, version, context);
    if (!before || !after) continue;
    const claimed = unionSets(fieldsIn(after), withContainers(set, before.schema));
    stripped = removeFields(before.object, differenceSets(fieldsIn(before), claimed), before.schema, GAP);
    version = owned;
  }
  const left = viewAt(stripped ?? {}, last.apiVersion, version, context);
  if (!left) return merged;

  const doomed = intersectSets(differenceSets(fieldsIn(whole), fieldsIn(left)), lastFields);
  const kept = [...owners.values()].reduce(unionSets, emptyFieldSet);
  const pruned = removeFields(whole.object, doomed, whole.schema, { kept }) ?? {};
  return (viewAt(pruned, context.apiVersion, last.apiVersion, context)?.object as KubeObject | undefined) ?? merged;
}

/** A container that removal empties still counts as there: whether it goes is decided by who owns it. */
const GAP = { as: null } as const;

function viewAt(object: unknown, to: string, from: string, context: WriteContext): View | undefined {
  if (to === from && to === context.apiVersion) return { object, schema: context.schema };
  return context.convert ? context.convert(object as UnknownObject, to) : { object, schema: context.schema };
}

/** What is owned in each version, that of `first` to begin with; one set where versions have the same fields. */
function ownersByVersion(managers: Managers, first: string, context: WriteContext): ReadonlyMap<string, FieldSet> {
  const owners = new Map<string, FieldSet>();
  const add = (version: string, set: FieldSet) => {
    const known = owners.get(version);
    owners.set(version, known ? unionSets(known, set) : set);
  };
  const all = [...managers.values()];
  for (const each of [...all.filter((m) => m.apiVersion === first), ...all.filter((m) => m.apiVersion !== first)]) {
    add(context.convert ? each.apiVersion : first, each.set);
  }
  return owners;
}

const fieldsIn = ({ object, schema }: View): FieldSet => withContainers(fieldsOf(object, schema), schema);

/** The set with every container that leads to a member, and is a named field, as a member too. */
function withContainers(set: FieldSet, schema: Schema | undefined): FieldSet {
  return addContainers(set, schema, false);
}

function addContainers(set: FieldSet, schema: Schema | undefined, isContainer: boolean): FieldSet {
  let changed: Map<string, FieldSet> | undefined;
  for (const [element, child] of set.children) {
    const field = element.startsWith('f:') ? element.slice(2) : undefined;
    const below = field === undefined ? schema?.items : fieldSchemaOf(schema, field);
    const next = addContainers(
      child,
      below,
      field !== undefined && isNamedField(schema, field) && child.children.size > 0,
    );
    if (next !== child) {
      changed ??= new Map(set.children);
      changed.set(element, next);
    }
  }
  const member = set.member || isContainer;
  return changed || member !== set.member ? { member, children: changed ?? set.children } : set;
}

const fieldSchemaOf = (schema: Schema | undefined, field: string): Schema | undefined =>
  isNamedField(schema, field) ? schema!.properties![field] : schema?.values;
