import type { KubeObject, ManagedFieldsEntry } from '@trimtab/machinery';
import type { StoreKey } from '@trimtab/store';
import type { ServedKind } from '../registry/served-kind.js';
import { ownersWithout } from './owners.js';
import { asAsked, changedNames, lostNames, type Merged, threeWay } from './three-way.js';

/** Changes to many objects, worked out against one state and carried out as one or not at all. Pure. */
export interface Plan {
  /** In the order they must be made. */
  readonly steps: readonly Step[];
  /** Why it cannot be carried out; a plan with conflicts is for looking at only. */
  readonly conflicts: readonly PlanConflict[];
}

export interface Step {
  readonly action: 'create' | 'update' | 'delete';
  readonly kind: ServedKind;
  readonly key: StoreKey;
  /** What is to be; absent for a deletion. In the served version. */
  readonly object?: KubeObject;
  /** What is; absent for a creation. */
  readonly present?: KubeObject;
  /** The fields that change, as people write them. */
  readonly fields: readonly string[];
  /** Who is to own what, where that does not come of the write: as before the writes that are taken back. */
  readonly owners?: readonly ManagedFieldsEntry[];
}

export interface PlanConflict {
  readonly kind: ServedKind;
  readonly key: StoreKey;
  /** Empty: the object as a whole. */
  readonly fields: readonly string[];
  readonly reason: string;
}

/** What one object was, is to be and is; all in the served version. */
export interface Wish {
  readonly kind: ServedKind;
  readonly key: StoreKey;
  readonly base: KubeObject | undefined;
  readonly mine: KubeObject | undefined;
  readonly theirs: KubeObject | undefined;
}

type Outcome = Step | PlanConflict | undefined;

const isConflict = (outcome: Step | PlanConflict): outcome is PlanConflict => 'reason' in outcome;

/** The plan that makes every wish true where nobody else has changed the same fields. */
export function planOf(wishes: readonly Wish[]): Plan {
  const outcomes = wishes.map(outcomeOf).filter((outcome) => outcome !== undefined);
  const steps = outcomes.filter((outcome): outcome is Step => !isConflict(outcome));
  return { steps: inOrder(steps), conflicts: outcomes.filter(isConflict) };
}

function outcomeOf({ kind, key, base, mine, theirs }: Wish): Outcome {
  const at = { kind, key };
  const { schema } = kind;
  if (mine === undefined) {
    if (theirs === undefined || base === undefined) return undefined;
    if (isGoing(theirs)) return undefined;
    if (theirs.metadata.uid !== base.metadata.uid)
      return { ...at, fields: [], reason: 'it has been deleted and made anew since' };
    const lost = lostNames(base, theirs, schema);
    if (lost.length > 0) return { ...at, fields: lost, reason: 'changed since, and would go with it' };
    return { ...at, action: 'delete', present: theirs, fields: [] };
  }
  if (theirs === undefined) {
    if (base !== undefined && changedNames(base, mine, schema).length === 0) return undefined;
    if (base !== undefined) return { ...at, fields: [], reason: 'it has been deleted since' };
    return { ...at, action: 'create', object: asAsked(mine), fields: changedNames(empty, mine, schema) };
  }
  if (isGoing(theirs)) return { ...at, fields: [], reason: 'it is being deleted' };
  const { object, conflicts, fields }: Merged = threeWay(base, mine, theirs, schema);
  if (conflicts.length > 0) return { ...at, fields: conflicts, reason: 'changed since, and otherwise' };
  if (fields.length === 0) return undefined;
  return { ...at, action: 'update', object, present: theirs, fields };
}

const empty: KubeObject = { metadata: {} };

const isGoing = ({ metadata }: KubeObject): boolean => Boolean(metadata.deletionTimestamp);

/** What others stand on comes first and goes last. */
function inOrder(steps: readonly Step[]): readonly Step[] {
  const rank = ({ key, action }: Step): number => {
    const base = BASES.indexOf(key.resource);
    const place = base < 0 ? BASES.length : base;
    return action === 'delete' ? 2 * BASES.length + 1 - place : place;
  };
  return [...steps].sort((a, b) => rank(a) - rank(b));
}

const BASES = ['apiextensions.k8s.io/customresourcedefinitions', '/namespaces', '/serviceaccounts'];

/** One write of the past: what it found and what it made. */
export interface PastWrite {
  readonly key: StoreKey;
  readonly kind: ServedKind;
  readonly before: KubeObject | undefined;
  readonly after: KubeObject | undefined;
  readonly manager?: string;
}

const placeText = ({ resource, namespace, name }: StoreKey): string => `${resource}\0${namespace}\0${name}`;

/** By object, in the order of their first write. */
export function byObject(writes: readonly PastWrite[]): readonly (readonly PastWrite[])[] {
  const groups = new Map<string, PastWrite[]>();
  for (const write of writes) {
    const place = placeText(write.key);
    const group = groups.get(place);
    if (group) group.push(write);
    else groups.set(place, [write]);
  }
  return [...groups.values()];
}

/** The plan that takes writes back, the newest first, and leaves alone what others have written in between. */
export function planUndo(writes: readonly PastWrite[], present: (write: PastWrite) => KubeObject | undefined): Plan {
  const plans = byObject(writes).map((of) => undoOne(of, present(of[0]!)));
  return {
    steps: inOrder(plans.flatMap(({ steps }) => steps)),
    conflicts: plans.flatMap(({ conflicts }) => conflicts),
  };
}

function undoOne(writes: readonly PastWrite[], present: KubeObject | undefined): Plan {
  const { kind, key, before: first } = writes[0]!;
  const last = writes.at(-1)!;
  const created = writes.some(({ before }) => before === undefined);
  const deleted = writes.some(({ after }) => after === undefined || isGoing(after));
  // What came and went, or goes as a whole, needs no field to be looked at.
  if (created || deleted) {
    const base = last.after && !isGoing(last.after) ? last.after : undefined;
    if (base === undefined && first === undefined) return { steps: [], conflicts: [] };
    return planOf([{ kind, key, base, mine: first, theirs: present }]);
  }
  if (present === undefined)
    return { steps: [], conflicts: [{ kind, key, fields: [], reason: 'it has been deleted since' }] };
  let object = present;
  const conflicts = new Set<string>();
  for (const { before, after } of writes.toReversed()) {
    const merged = threeWay(after, before!, object, kind.schema);
    for (const field of merged.conflicts) conflicts.add(field);
    object = merged.object;
  }
  if (conflicts.size > 0)
    return { steps: [], conflicts: [{ kind, key, fields: [...conflicts], reason: 'changed since, and otherwise' }] };
  const fields = changedNames(present, object, kind.schema);
  if (fields.length === 0) return { steps: [], conflicts: [] };
  const owners = ownersWithout(present.metadata.managedFields, writes);
  return { steps: [{ action: 'update', kind, key, object, present, fields, owners }], conflicts: [] };
}

/**
 * What a user's writes on a branch come to, laid over the state they began with: changes that others (the branch's controllers)
 * made to the same objects in between are left out.
 */
export function foldWrites(writes: readonly PastWrite[], base: KubeObject | undefined): KubeObject | undefined {
  let object = base;
  for (const { before, after, kind } of writes) {
    if (after === undefined || isGoing(after)) object = undefined;
    else if (before === undefined || object === undefined) object = after;
    else object = threeWay(before, after, object, kind.schema).object;
  }
  return object;
}
