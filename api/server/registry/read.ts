import type { GetOptions, ListOptions } from '@trimtab/client';
import { anotherTurn, badRequest, expired, type KubeObject, notFound } from '@trimtab/machinery';
import { CompactedError, type Entry, type Scope, type Snapshot } from '@trimtab/store';
import { type Registry, resourceName, storeKey, type Target } from './context.js';
import { decodeContinue, encodeContinue } from './continue-token.js';
import { untilNewest } from './newest.js';
import { exactSnapshot, parseResourceVersion, validateListOptions, waitForRevision } from './revisions.js';
import { type Selection, selectionOf } from './selection.js';
import type { ServedKind } from './served-kind.js';

/** One page of a list; objects are in the served version. */
export interface ListPage {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  readonly continue?: string;
  /** Known only where nothing filters. */
  readonly remainingItemCount?: number;
}

type Place = { readonly namespace: string; readonly name: string };

/** The stored object; with a resourceVersion, one not older; with a snapshot, that of then. Throws NotFound. */
export async function getObject(
  registry: Registry,
  target: Target,
  options: GetOptions = {},
  snapshot?: Snapshot,
): Promise<KubeObject> {
  const { live } = target.kind;
  if (live) {
    const object = await live.get(registry, target.namespace, target.name);
    if (!object) throw notFound(resourceName(target.kind), target.name);
    return object;
  }
  const wanted = parseResourceVersion(options.resourceVersion);
  if (wanted) await waitForRevision(registry.store, registry.clock, wanted);
  else if (wanted === undefined) await untilNewest(registry.store);
  const entry = (snapshot ?? registry.store.snapshot()).get(storeKey(target.kind, target.namespace, target.name));
  if (!entry) throw notFound(resourceName(target.kind), target.name);
  await target.kind.storage.prepare?.([entry.object], 'served');
  return target.kind.storage.fromStorage(entry.object);
}

/**
 * Lists by Kubernetes' resource-version rules: none is the newest state, `0` any, N not older than N (exactly N with a
 * limit or `Exact`). Pages after the first stay at the first page's revision; once that is compacted, 410 with a token
 * that goes on at the newest one.
 */
export async function listObjects(
  registry: Registry,
  kind: ServedKind,
  namespace: string,
  options: ListOptions = {},
): Promise<ListPage> {
  validateListOptions(options, false);
  const selection = selectionOf(kind, namespace, options);
  if (kind.live) {
    const items = await kind.live.list(registry, namespace, (object) => selection.matches(object));
    return { items, resourceVersion: '' };
  }
  const scope = scopeOf(kind, namespace, selection);
  const limit = options.limit && options.limit > 0 ? options.limit : undefined;
  const { snapshot, after } = await startOf(registry, options, limit !== undefined);

  if (selection.everything && limit === undefined && !after && !kind.storage.prepare)
    return { items: await allItems(kind, scope, snapshot), resourceVersion: String(snapshot.revision) };

  const items: KubeObject[] = [];
  let last: Place | undefined;
  let more = false;
  let looked = 0;
  const entries = selectedEntries(registry, kind, namespace, selection, snapshot, after);
  for (const entry of await convertible(kind, entries, selection.everything ? limit : undefined)) {
    if (++looked % LOOKED_AT === 0) await anotherTurn();
    const object = kind.storage.fromStorage(entry.object);
    if (!selection.everything && !selection.matches(object)) continue;
    if (limit !== undefined && items.length === limit) {
      more = true;
      break;
    }
    items.push(object);
    last = entry.key;
  }
  const page: ListPage = { items, resourceVersion: String(snapshot.revision) };
  if (!more || !last) return page;
  return {
    ...page,
    continue: encodeContinue({ revision: snapshot.revision, after: last }),
    ...(selection.everything ? { remainingItemCount: snapshot.count(scope, last) } : {}),
  };
}

interface Everything {
  readonly identity: WeakRef<object>;
  /** Until they are there. */
  making?: Promise<readonly KubeObject[]>;
  items?: WeakRef<readonly KubeObject[]>;
}

const everything = new WeakMap<ServedKind, Map<string, Everything>>();
/** Namespaces of a kind whose lists are remembered. */
const REMEMBERED = 64;
/** Objects looked at in one turn of the event loop: after a restart each is read from its text when it is first looked at. */
const LOOKED_AT = 500;

/** All objects of a scope; the same array for all who ask while nothing changes, so that they can share what is made of it. */
async function allItems(kind: ServedKind, scope: Scope, snapshot: Snapshot): Promise<readonly KubeObject[]> {
  const identity = snapshot.identity?.(scope.resource);
  const namespace = scope.namespace ?? '';
  const known = identity && everything.get(kind)?.get(namespace);
  if (known && known.identity.deref() === identity) {
    const items = known.items?.deref() ?? known.making;
    if (items) return items;
  }
  const making = itemsOf(kind, snapshot.range(scope));
  if (!identity || snapshot.count(scope) === 0) return making;
  let ofKind = everything.get(kind);
  if (!ofKind || ofKind.size >= REMEMBERED) {
    ofKind = new Map();
    everything.set(kind, ofKind);
  }
  const made: Everything = { identity: new WeakRef(identity), making };
  ofKind.set(namespace, made);
  try {
    const items = await making;
    made.items = new WeakRef(items);
    return items;
  } finally {
    delete made.making;
  }
}

async function itemsOf({ storage }: ServedKind, entries: Iterable<Entry>): Promise<readonly KubeObject[]> {
  const items: KubeObject[] = [];
  for (const entry of entries) {
    items.push(storage.fromStorage(entry.object));
    if (items.length % LOOKED_AT === 0) await anotherTurn();
  }
  return items;
}

/** The entries, converted together where that takes a webhook; `limit` is how many of them will be shown. */
export async function convertible(
  { storage }: ServedKind,
  entries: Iterable<Entry>,
  limit?: number,
): Promise<Iterable<Entry>> {
  if (!storage.prepare) return entries;
  const all: Entry[] = [];
  for (const entry of entries) {
    all.push(entry);
    // One more than is shown says that there is more.
    if (limit !== undefined && all.length > limit) break;
  }
  await storage.prepare(
    all.map(({ object }) => object),
    'served',
  );
  return all;
}

/** The entries worth asking the selection about, in key order: found by index where there is one, else the whole scope. */
export function selectedEntries(
  registry: Registry,
  kind: ServedKind,
  namespace: string,
  selection: Selection,
  snapshot: Snapshot,
  after?: Place,
): Iterable<Entry> {
  const scope = scopeOf(kind, namespace, selection);
  const found = scope.name === undefined ? registry.indexes.find(kind, selection) : undefined;
  // A value that most of what is here has leads to all the others elsewhere as well.
  const few = found && found.index.count(found.value) * 2 <= snapshot.count(scope);
  const entries = few ? found.index.entries(snapshot, found.value, scope.namespace, after) : undefined;
  return entries ?? snapshot.range(scope, after);
}

/** Where the kind's objects in this namespace lie, narrowed to one name where a field selector names it. */
export function scopeOf(kind: ServedKind, namespace: string, selection: Selection): Scope {
  const { resource } = kind.storage;
  const inside = kind.namespaced ? namespace : '';
  if (selection.name !== undefined && (inside !== '' || !kind.namespaced))
    return { resource, namespace: inside, name: selection.name };
  return inside === '' ? { resource } : { resource, namespace: inside };
}

async function startOf(
  registry: Registry,
  options: ListOptions,
  limited: boolean,
): Promise<{ snapshot: Snapshot; after?: Place }> {
  const { store, clock } = registry;
  if (options.continue) {
    if (options.resourceVersion && options.resourceVersion !== '0')
      throw badRequest('specifying resource version is not allowed when using continue');
    const token = decodeContinue(options.continue);
    if (token.revision < 0) return { snapshot: store.snapshot(), after: token.after };
    // The page before may have been another server's.
    await waitForRevision(store, clock, token.revision);
    try {
      return { snapshot: store.snapshot(token.revision), after: token.after };
    } catch (error) {
      if (!(error instanceof CompactedError)) throw error;
      throw expired(
        'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
        encodeContinue({ revision: -1, after: token.after }),
      );
    }
  }
  const wanted = parseResourceVersion(options.resourceVersion);
  if (wanted === undefined) await untilNewest(store);
  if (!wanted) return { snapshot: store.snapshot() };
  await waitForRevision(store, clock, wanted);
  const exact = options.resourceVersionMatch === 'Exact' || (limited && options.resourceVersionMatch === undefined);
  return { snapshot: exact ? exactSnapshot(store, wanted) : store.snapshot() };
}
