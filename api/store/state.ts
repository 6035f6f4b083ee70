import type { Difference, Entry, Scope, Snapshot, StoreKey } from './store.js';
import type { Tree } from './tree.js';
import * as tree from './tree.js';

/** The whole state as of one revision: a tree of resources, each a tree of entries. Immutable. */
export interface State {
  readonly revision: number;
  readonly resources: Tree<Tree<Entry>> | undefined;
}

export const emptyState: State = { revision: 0, resources: undefined };

/** Namespaces and names are free of NUL, so this sorts by namespace and then by name. */
const entryKey = (namespace: string, name: string): string => `${namespace}\0${name}`;

export function find(state: State, key: StoreKey): Entry | undefined {
  return tree.get(tree.get(state.resources, key.resource), entryKey(key.namespace, key.name));
}

export function withEntry(state: State, entry: Entry): State {
  const { resource, namespace, name } = entry.key;
  const entries = tree.set(tree.get(state.resources, resource), entryKey(namespace, name), entry);
  return { revision: state.revision, resources: tree.set(state.resources, resource, entries) };
}

export function withoutEntry(state: State, key: StoreKey): State {
  const before = tree.get(state.resources, key.resource);
  const after = tree.remove(before, entryKey(key.namespace, key.name));
  if (after === before) return state;
  return {
    revision: state.revision,
    resources:
      after === undefined ? tree.remove(state.resources, key.resource) : tree.set(state.resources, key.resource, after),
  };
}

/** A state made at once, in a time that grows with the number of entries only. */
export function stateFrom(revision: number, entries: Iterable<Entry>): State {
  const byResource = new Map<string, [string, Entry][]>();
  for (const entry of entries) {
    const { resource, namespace, name } = entry.key;
    const row: [string, Entry] = [entryKey(namespace, name), entry];
    const rows = byResource.get(resource);
    if (rows === undefined) byResource.set(resource, [row]);
    else rows.push(row);
  }
  const sorted = <V>(rows: [string, V][]) => tree.fromSorted(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
  const resources = [...byResource].map(([resource, rows]): [string, Tree<Entry>] => [resource, sorted(rows)!]);
  return { revision, resources: sorted(resources) };
}

/** The half-open key interval a scope covers within its resource. */
function interval(scope: Scope): { from: string; to?: string } {
  if (scope.namespace === undefined) return { from: '' };
  if (scope.name === undefined) return { from: `${scope.namespace}\0`, to: `${scope.namespace}\x01` };
  const from = entryKey(scope.namespace, scope.name);
  return { from, to: `${from}\0` };
}

/** The key right after `after`; a place before the scope begins is no news. */
function startOf(from: string, after: Pick<StoreKey, 'namespace' | 'name'> | undefined): string {
  const next = after === undefined ? from : `${entryKey(after.namespace, after.name)}\0`;
  return next > from ? next : from;
}

const states = new WeakMap<Snapshot, State>();

/** The state behind a snapshot; a store's own snapshots only. */
export function stateOf(snapshot: Snapshot): State {
  const state = states.get(snapshot);
  if (state === undefined) throw new TypeError('only what a store gave is a snapshot of it');
  return state;
}

/** What differs between two snapshots of one store, or of one and a fork of it, by resource and then key. */
export function* changesBetween(from: Snapshot, to: Snapshot): Generator<Difference, void, undefined> {
  for (const [, before, after] of tree.differences(stateOf(from).resources, stateOf(to).resources))
    for (const [, was, is] of tree.differences(before, after))
      yield { key: (is ?? was)!.key, ...(was ? { before: was } : {}), ...(is ? { after: is } : {}) };
}

const snapshots = new WeakMap<State, Snapshot>();

/** A state as readers see it: one snapshot, however often it is asked for. */
export function snapshotOf(state: State): Snapshot {
  const known = snapshots.get(state);
  if (known) return known;
  const snapshot: Snapshot = {
    revision: state.revision,
    get: (key) => find(state, key),
    identity: (resource) => tree.get(state.resources, resource),
    *range(scope, after) {
      const { from, to } = interval(scope);
      const entries = tree.range(tree.get(state.resources, scope.resource), startOf(from, after), to);
      if (scope.name === undefined || scope.namespace !== undefined) yield* entries;
      else for (const entry of entries) if (entry.key.name === scope.name) yield entry;
    },
    count(scope, after) {
      const entries = tree.get(state.resources, scope.resource);
      if (scope.name !== undefined) return [...this.range(scope, after)].length;
      const { from, to } = interval(scope);
      const before = tree.rank(entries, startOf(from, after));
      return Math.max(0, (to === undefined ? tree.size(entries) : tree.rank(entries, to)) - before);
    },
  };
  states.set(snapshot, state);
  snapshots.set(state, snapshot);
  return snapshot;
}
