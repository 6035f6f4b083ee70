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

/**
 * A set while it is put together, one element after another. What has been put together in the same way before is found again
 * without a look at its text.
 */
export class Gathering {
  #set: FieldSet | undefined;
  #last: Gathering | undefined;
  #next: Map<string, Gathering> | undefined;
  /** Another with the same element and something else below it. */
  #other: Gathering | undefined;

  private constructor(
    readonly before: Gathering | undefined,
    readonly element: string,
    readonly below: FieldSet,
    readonly length: number,
  ) {}

  /** A set without elements. */
  static get none(): Gathering {
    if (Gathering.#count > MOST) {
      Gathering.#count = 0;
      Gathering.#root = Gathering.#empty();
    }
    return Gathering.#root;
  }

  static #empty(): Gathering {
    const root = new Gathering(undefined, '', leaf, 0);
    root.#set = leaf;
    return root;
  }

  static #root = Gathering.#empty();
  static #count = 0;

  /** With one more element, which must not be among them yet. */
  with(element: string, below: FieldSet): Gathering {
    const last = this.#last;
    if (last !== undefined && last.below === below && last.element === element) return last;
    const first = this.#next?.get(element);
    let found = first;
    while (found !== undefined && found.below !== below) found = found.#other;
    if (found === undefined) {
      found = new Gathering(this, element, below, this.length + 1);
      if (this.length >= LONGEST) return found;
      Gathering.#count++;
      if (first === undefined) {
        this.#next ??= new Map();
        this.#next.set(element, found);
      } else {
        found.#other = first.#other;
        first.#other = found;
      }
    }
    this.#last = found;
    return found;
  }

  /** The set of its own path, of all these elements and of what is below each of them. */
  get set(): FieldSet {
    if (this.#set) return this.#set;
    const elements = new Array<string>(this.length);
    const below = new Array<FieldSet>(this.length);
    for (let at: Gathering = this; at.before; at = at.before) {
      elements[at.length - 1] = at.element;
      below[at.length - 1] = at.below;
    }
    this.#set = memberSet(elements, below);
    return this.#set;
  }
}

/** Steps remembered, and how many elements deep. */
const MOST = 16_384;
const LONGEST = 128;

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
