import type { Json } from '@trimtab/machinery';

/**
 * Defaults as a table from field path to value. A path names fields with dots and list elements with `[]`
 * (`spec.containers[].ports[].protocol`); a rule applies where the field's parent exists and the field is missing. Empty
 * strings count as missing, as they do in Kubernetes, and zeros where the rule says {@link orZero}.
 */
export type DefaultTable = Readonly<Record<string, DefaultRule>>;

export type Fields = { readonly [name: string]: Json | undefined };

/** A value; or what to set given the field's parent (`undefined`: leave it missing) and the whole object. */
export type DefaultRule = Json | ((parent: Fields, object: Fields) => Json | undefined) | OrZero;

class OrZero {
  constructor(readonly value: number) {}
}

/** A default for a number that Kubernetes cannot tell from zero when it is missing. */
export const orZero = (value: number): OrZero => new OrZero(value);

interface Node {
  readonly rules: [field: string, rule: DefaultRule][];
  readonly children: Map<string, Node>;
  /** What applies to each element where the field is a list. */
  elements?: Node;
}

const newNode = (): Node => ({ rules: [], children: new Map() });

/** All tables joined, each path moved under `prefix`. */
export function nested(prefix: string, table: DefaultTable): DefaultTable {
  return Object.fromEntries(Object.entries(table).map(([path, rule]) => [`${prefix}.${path}`, rule]));
}

/**
 * A function that fills in a table's defaults. It gives the very object back where nothing was missing and shares what it did
 * not touch. Rules of one parent apply in table order, parents before children.
 */
export function compileDefaults(table: DefaultTable): <T extends object>(object: T) => T {
  const root = newNode();
  for (const [path, rule] of Object.entries(table)) {
    const steps = path.split('.');
    const field = steps.pop() ?? '';
    nodeAt(root, steps).rules.push([field, rule]);
  }
  return (object) => apply(root, object as unknown as Fields, object as unknown as Fields) as unknown as typeof object;
}

function nodeAt(root: Node, steps: readonly string[]): Node {
  let node = root;
  for (const step of steps) {
    const [name = '', ...lists] = step.split('[]');
    let next = node.children.get(name);
    if (!next) {
      next = newNode();
      node.children.set(name, next);
    }
    for (const _ of lists) {
      next.elements ??= newNode();
      next = next.elements;
    }
    node = next;
  }
  return node;
}

function apply(node: Node, object: Fields, whole: Fields): Fields {
  let result: Record<string, Json | undefined> | undefined;
  const at = (): Fields => result ?? object;
  const set = (field: string, value: Json) => {
    result ??= { ...object };
    result[field] = value;
  };
  for (const [field, rule] of node.rules) {
    const present = at()[field];
    const isZero = rule instanceof OrZero && present === 0;
    if (present !== undefined && present !== null && present !== '' && !isZero) continue;
    const value = rule instanceof OrZero ? rule.value : typeof rule === 'function' ? rule(at(), whole) : rule;
    if (value !== undefined && value !== present) set(field, value);
  }
  for (const [field, child] of node.children) {
    const before = at()[field];
    const after = applyValue(child, before, whole);
    if (after !== undefined && after !== before) set(field, after);
  }
  return at();
}

function applyValue(node: Node, value: Json | undefined, whole: Fields): Json | undefined {
  if (typeof value !== 'object' || value === null) return value;
  if (!Array.isArray(value)) return apply(node, value as Fields, whole) as Json;
  const { elements } = node;
  if (!elements) return value;
  let result: Json[] | undefined;
  value.forEach((element, i) => {
    const after = applyValue(elements, element, whole);
    if (after === undefined || after === element) return;
    result ??= [...value];
    result[i] = after;
  });
  return result ?? value;
}
