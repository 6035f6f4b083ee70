import type { FieldSet } from './field-set.js';

/**
 * Sets in which every path is a member, each made once for as long as it is met again and again: what is made from one
 * template has the same fields, and their ownership is the larger part of most objects. Bounded, in two generations.
 */
let recent = new Map<string, FieldSet>();
let older: ReadonlyMap<string, FieldSet> = new Map();
const RECENT = 4096;
/** What says so much at once is hardly ever said again. */
const LONGEST_KEY = 4096;

const numbers = new WeakMap<FieldSet, number>();
let count = 0;

const leaf: FieldSet = { member: true, children: new Map() };
numbers.set(leaf, count++);

export const isShared = (set: FieldSet): boolean => numbers.has(set);

/** The set of its own path, of all these elements and of what is below each of them. */
export function memberSet(elements: readonly string[], below: readonly FieldSet[]): FieldSet {
  if (elements.length === 0) return leaf;
  const key = keyOf(elements, below);
  if (key === undefined) return made(elements, below);
  const known = recent.get(key) ?? older.get(key);
  const set = known ?? made(elements, below);
  if (!known) numbers.set(set, count++);
  if (recent.size >= RECENT) {
    older = recent;
    recent = new Map();
  }
  recent.set(key, set);
  return set;
}

/** Undefined where something below is not shared, there is too much, or a name could be taken for two. */
function keyOf(elements: readonly string[], below: readonly FieldSet[]): string | undefined {
  let key = '';
  for (let i = 0; i < elements.length; i++) {
    const set = below[i]!;
    const number = set === leaf ? 0 : numbers.get(set);
    const element = elements[i]!;
    if (number === undefined || key.length > LONGEST_KEY || element.includes('\n')) return undefined;
    key += `${element}\n${number}\n`;
  }
  return key;
}

function made(elements: readonly string[], below: readonly FieldSet[]): FieldSet {
  const children = new Map<string, FieldSet>();
  for (let i = 0; i < elements.length; i++) children.set(elements[i]!, below[i]!);
  return { member: true, children };
}
