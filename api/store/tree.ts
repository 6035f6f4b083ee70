/**
 * A persistent ordered map from strings: a weight-balanced tree with path copying (Adams; parameters ⟨3, 2⟩ of Hirai and
 * Yamamoto 2011). Every change gives a new root that shares all untouched nodes with the old one; a root is a snapshot.
 * Lookup, change, rank and the start of a range cost O(log n).
 */
export interface Tree<V> {
  readonly key: string;
  readonly value: V;
  readonly left: Tree<V> | undefined;
  readonly right: Tree<V> | undefined;
  readonly size: number;
}

type Maybe<V> = Tree<V> | undefined;

const DELTA = 3;
const GAMMA = 2;

export const size = (t: Maybe<unknown>): number => (t === undefined ? 0 : t.size);

export function get<V>(t: Maybe<V>, key: string): V | undefined {
  let node = t;
  while (node !== undefined) {
    if (key === node.key) return node.value;
    node = key < node.key ? node.left : node.right;
  }
  return undefined;
}

export function set<V>(t: Maybe<V>, key: string, value: V): Tree<V> {
  if (t === undefined) return node(key, value, undefined, undefined);
  if (key === t.key) return { key, value, left: t.left, right: t.right, size: t.size };
  return key < t.key
    ? balance(t.key, t.value, set(t.left, key, value), t.right)
    : balance(t.key, t.value, t.left, set(t.right, key, value));
}

/** The same root when the key is absent. */
export function remove<V>(t: Maybe<V>, key: string): Maybe<V> {
  if (t === undefined) return undefined;
  if (key < t.key) {
    const left = remove(t.left, key);
    return left === t.left ? t : balance(t.key, t.value, left, t.right);
  }
  if (key > t.key) {
    const right = remove(t.right, key);
    return right === t.right ? t : balance(t.key, t.value, t.left, right);
  }
  return glue(t.left, t.right);
}

/** How many keys sort strictly before `key`. */
export function rank(t: Maybe<unknown>, key: string): number {
  let node = t;
  let before = 0;
  while (node !== undefined) {
    if (key <= node.key) node = node.left;
    else {
      before += size(node.left) + 1;
      node = node.right;
    }
  }
  return before;
}

/** Values in key order with `from <= key < to`; lazy, so stopping early costs only what was read. */
export function* range<V>(t: Maybe<V>, from = '', to?: string): Generator<V, void, undefined> {
  const stack: Tree<V>[] = [];
  let node = t;
  for (;;) {
    while (node !== undefined) {
      if (node.key >= from) {
        stack.push(node);
        node = node.left;
      } else node = node.right;
    }
    const next = stack.pop();
    if (next === undefined || (to !== undefined && next.key >= to)) return;
    yield next.value;
    node = next.right;
  }
}

/**
 * Keys whose values are not the same in two trees, in order, with both values. Subtrees that both share are not looked at, so
 * this costs what differs, not what is there.
 */
export function* differences<V>(
  a: Maybe<V>,
  b: Maybe<V>,
): Generator<readonly [key: string, a: V | undefined, b: V | undefined], void, undefined> {
  if (a === b) return;
  const top = a ?? b!;
  const [left, value, right] = a === undefined ? [undefined, undefined, undefined] : [a.left, a.value, a.right];
  const other = b === undefined ? undefined : b.key === top.key ? b : split(b, top.key);
  yield* differences(left, other?.left);
  if (value !== other?.value) yield [top.key, value, other?.value];
  yield* differences(right, other?.right);
}

/** What lies before and after a key, and its value; unbalanced, for looking at only. */
function split<V>(t: Maybe<V>, key: string): Pick<Tree<V>, 'left' | 'right'> & { readonly value: V | undefined } {
  if (t === undefined) return { left: undefined, value: undefined, right: undefined };
  if (t.key === key) return t;
  if (key < t.key) {
    const { left, value, right } = split(t.left, key);
    return { left, value, right: right === t.left ? t : node(t.key, t.value, right, t.right) };
  }
  const { left, value, right } = split(t.right, key);
  return { left: left === t.right ? t : node(t.key, t.value, t.left, left), value, right };
}

/** Of pairs in strictly rising key order; perfectly balanced, in linear time. */
export function fromSorted<V>(
  rows: readonly (readonly [string, V])[],
  from = 0,
  to: number = rows.length,
): Tree<V> | undefined {
  if (from >= to) return undefined;
  const middle = (from + to) >>> 1;
  const [key, value] = rows[middle]!;
  return {
    key,
    value,
    left: fromSorted(rows, from, middle),
    right: fromSorted(rows, middle + 1, to),
    size: to - from,
  };
}

function node<V>(key: string, value: V, left: Maybe<V>, right: Maybe<V>): Tree<V> {
  return { key, value, left, right, size: size(left) + size(right) + 1 };
}

function balance<V>(key: string, value: V, left: Maybe<V>, right: Maybe<V>): Tree<V> {
  const [l, r] = [size(left), size(right)];
  if (l + r < 2) return node(key, value, left, right);
  if (r + 1 > DELTA * (l + 1)) return rotateLeft(key, value, left, right!);
  if (l + 1 > DELTA * (r + 1)) return rotateRight(key, value, left!, right);
  return node(key, value, left, right);
}

function rotateLeft<V>(key: string, value: V, left: Maybe<V>, right: Tree<V>): Tree<V> {
  const inner = right.left;
  if (inner === undefined || size(inner) + 1 < GAMMA * (size(right.right) + 1))
    return node(right.key, right.value, node(key, value, left, inner), right.right);
  return node(
    inner.key,
    inner.value,
    node(key, value, left, inner.left),
    node(right.key, right.value, inner.right, right.right),
  );
}

function rotateRight<V>(key: string, value: V, left: Tree<V>, right: Maybe<V>): Tree<V> {
  const inner = left.right;
  if (inner === undefined || size(inner) + 1 < GAMMA * (size(left.left) + 1))
    return node(left.key, left.value, left.left, node(key, value, inner, right));
  return node(
    inner.key,
    inner.value,
    node(left.key, left.value, left.left, inner.left),
    node(key, value, inner.right, right),
  );
}

/** Joins two trees whose keys are all ordered left before right, and whose sizes are balanced. */
function glue<V>(left: Maybe<V>, right: Maybe<V>): Maybe<V> {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (size(left) > size(right)) {
    const last = extreme(left, 'right');
    return balance(last.key, last.value, remove(left, last.key), right);
  }
  const first = extreme(right, 'left');
  return balance(first.key, first.value, left, remove(right, first.key));
}

function extreme<V>(t: Tree<V>, side: 'left' | 'right'): Tree<V> {
  let node = t;
  for (let next = node[side]; next !== undefined; next = node[side]) node = next;
  return node;
}
