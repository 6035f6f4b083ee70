import { RecentMap } from '../recent.js';
import { compareElements, normalizeElement } from './path-element.js';
import { isShared } from './shared-set.js';

/**
 * Sets of field paths as managed fields hold them. A path is a row of encoded elements (`f:spec`, `k:{"name":"web"}`, `v:"x"`);
 * the set is a tree of them in which a node may itself be a member. Sets are immutable, and every operation gives back its
 * first operand when nothing changes, so an untouched owner costs nothing to keep.
 */
export interface FieldSet {
  /** Whether the path that leads here belongs to the set. */
  readonly member: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

/** FieldsV1 as JSON. */
export type FieldsV1 = { readonly [element: string]: FieldsV1 };

export const emptyFieldSet: FieldSet = { member: false, children: new Map() };
const leaf: FieldSet = { member: true, children: new Map() };

export const isEmptySet = (set: FieldSet): boolean => !set.member && set.children.size === 0;

const node = (member: boolean, children: ReadonlyMap<string, FieldSet>): FieldSet =>
  children.size === 0 ? (member ? leaf : emptyFieldSet) : { member, children };

/** Collects paths into a set; the only mutable thing here. */
export class FieldSetBuilder {
  #member = false;
  #whole: FieldSet | undefined;
  #children: Map<string, FieldSetBuilder> | undefined;

  insert(path: readonly string[]): void {
    this.#at(path).#member = true;
  }

  /** Puts a whole set where the path leads; nothing else may be inserted there or below. */
  insertSet(path: readonly string[], set: FieldSet): void {
    this.#at(path).#whole = set;
  }

  build(): FieldSet {
    if (this.#whole) return this.#whole;
    if (!this.#children) return this.#member ? leaf : emptyFieldSet;
    const children = new Map<string, FieldSet>();
    for (const [element, child] of this.#children) children.set(element, child.build());
    return node(this.#member, children);
  }

  #at(path: readonly string[]): FieldSetBuilder {
    let at: FieldSetBuilder = this;
    for (const element of path) {
      at.#children ??= new Map();
      let child = at.#children.get(element);
      if (!child) {
        child = new FieldSetBuilder();
        at.#children.set(element, child);
      }
      at = child;
    }
    return at;
  }
}

/** The set of exactly these paths. */
export function fieldSetOf(...paths: readonly (readonly string[])[]): FieldSet {
  const builder = new FieldSetBuilder();
  for (const path of paths) builder.insert(path);
  return builder.build();
}

export function unionSets(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmptySet(b)) return a;
  if (isEmptySet(a)) return b;
  let changed: Map<string, FieldSet> | undefined;
  for (const [element, child] of b.children) {
    const mine = a.children.get(element);
    const joined = mine ? unionSets(mine, child) : child;
    if (joined !== mine) {
      changed ??= new Map(a.children);
      changed.set(element, joined);
    }
  }
  const member = a.member || b.member;
  return changed || member !== a.member ? node(member, changed ?? a.children) : a;
}

/** The paths of `a` that are not paths of `b`; what lies below a path of `b` stays. */
export function differenceSets(a: FieldSet, b: FieldSet): FieldSet {
  return subtract(a, b, (mine, theirs) => differenceSets(mine, theirs));
}

/** The paths of `a` that are neither paths of `b` nor below one. */
export function withoutPrefixes(a: FieldSet, b: FieldSet): FieldSet {
  return subtract(a, b, (mine, theirs) => (theirs.member ? emptyFieldSet : withoutPrefixes(mine, theirs)));
}

function subtract(a: FieldSet, b: FieldSet, inner: (a: FieldSet, b: FieldSet) => FieldSet): FieldSet {
  let changed: Map<string, FieldSet> | undefined;
  for (const [element, child] of b.children) {
    const mine = a.children.get(element);
    if (!mine) continue;
    const rest = inner(mine, child);
    if (rest === mine) continue;
    changed ??= new Map(a.children);
    if (isEmptySet(rest)) changed.delete(element);
    else changed.set(element, rest);
  }
  const member = a.member && !b.member;
  return changed || member !== a.member ? node(member, changed ?? a.children) : a;
}

export function intersectSets(a: FieldSet, b: FieldSet): FieldSet {
  if (a.children.size > b.children.size) return intersectSets(b, a);
  if (a.children.size === 0) return a.member && b.member ? leaf : emptyFieldSet;
  const children = new Map<string, FieldSet>();
  for (const [element, child] of a.children) {
    const theirs = b.children.get(element);
    if (!theirs) continue;
    const both = intersectSets(child, theirs);
    if (!isEmptySet(both)) children.set(element, both);
  }
  return node(a.member && b.member, children);
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  if (a.member !== b.member || a.children.size !== b.children.size) return false;
  for (const [element, child] of a.children) {
    const theirs = b.children.get(element);
    if (!theirs || !equalSets(child, theirs)) return false;
  }
  return true;
}

/** Every path of the set, in the order FieldsV1 is written. */
export function pathsOf(set: FieldSet, prefix: readonly string[] = []): readonly (readonly string[])[] {
  const paths: (readonly string[])[] = set.member ? [prefix] : [];
  for (const element of sortedElements(set)) paths.push(...pathsOf(set.children.get(element)!, [...prefix, element]));
  return paths;
}

/** Plain text order is the order of elements, but for positions, which come last. */
const sortedElements = (set: FieldSet): string[] => {
  const elements: string[] = [];
  let positions = false;
  for (const element of set.children.keys()) {
    elements.push(element);
    positions ||= element.charCodeAt(0) === POSITION;
  }
  return elements.length < 2 ? elements : positions ? elements.sort(compareElements) : elements.sort();
};

const POSITION = 'i'.charCodeAt(0);

/** As sets, FieldsV1 are several times as large: those of what is written to now are enough. */
const decoded = new RecentMap<object, FieldSet>(2048);

/**
 * The FieldsV1 form: `{}` is a member, `.` marks a member that has children. Shared sets give shared parts of it; the
 * whole is said to be one where `kept`.
 */
export function encodeFieldSet(set: FieldSet, kept = false): FieldsV1 {
  const fields = encodeChildren(set, false);
  // What is a member itself is not said at the root, so that set would be read back as another.
  if (!set.member) decoded.set(fields, set);
  if (kept) sharedFields.add(fields);
  return fields;
}

function encodeChildren(set: FieldSet, dot: boolean): FieldsV1 {
  const fields: Record<string, FieldsV1> = {};
  if (dot) fields['.'] = {};
  for (const element of sortedElements(set)) fields[element] = encodeBelow(set.children.get(element)!);
  return fields;
}

function encodeBelow(set: FieldSet): FieldsV1 {
  const dot = set.member && set.children.size > 0;
  if (!isShared(set)) return encodeChildren(set, dot);
  let fields = encoded.get(set);
  if (!fields) {
    fields = encodeChildren(set, dot);
    encoded.set(set, fields);
    sharedFields.add(fields);
  }
  return fields;
}

const encoded = new WeakMap<FieldSet, FieldsV1>();
const sharedFields = new WeakSet<FieldsV1>();

/** Whether this part of FieldsV1 is that of other objects as well, so that what is made from it is worth keeping. */
export const isSharedFields = (fields: FieldsV1): boolean => sharedFields.has(fields);

/** Reads FieldsV1; elements of an unknown kind are dropped, as Kubernetes does. The result is remembered for a while, per object. */
export function decodeFieldSet(fields: unknown): FieldSet {
  if (typeof fields !== 'object' || fields === null) return emptyFieldSet;
  const known = decoded.get(fields);
  if (known) return known;
  const set = node(false, decodeChildren(fields as Readonly<Record<string, unknown>>));
  decoded.set(fields, set);
  return set;
}

function decodeChildren(fields: Readonly<Record<string, unknown>>): ReadonlyMap<string, FieldSet> {
  const children = new Map<string, FieldSet>();
  for (const key of Object.keys(fields)) {
    const element = normalizeElement(key);
    const value = fields[key];
    if (element === undefined || typeof value !== 'object' || value === null) continue;
    const below = decodeChildren(value as Readonly<Record<string, unknown>>);
    children.set(element, node(Object.hasOwn(value, '.') || below.size === 0, below));
  }
  return children;
}
