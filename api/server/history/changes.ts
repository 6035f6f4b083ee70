import { type KubeObject, notFound, timestamp } from '@trimtab/machinery';
import { changesBetween, type Entry, type Snapshot, type Store, type StoreKey } from '@trimtab/store';
import type { Authorizer, UserInfo } from '../contracts.js';
import type { KindTable } from '../registry/kind-table.js';
import type { ServedKind } from '../registry/served-kind.js';
import { type Writer, writerOf, writersOf } from './writer.js';

/** An object's place, and the words for it. */
export interface ObjectPlace {
  readonly apiVersion: string;
  readonly kind: string;
  /** The plural. */
  readonly resource: string;
  readonly namespace?: string;
  readonly name: string;
}

/** What became of one object between two moments, or in one write. */
export interface ObjectChange extends ObjectPlace {
  readonly type: 'created' | 'changed' | 'deleted';
  /** Of the newest write that is part of it. */
  readonly revision: number;
  readonly time?: string;
  /** Who made the newest write; absent where managed fields do not say, as for deletions. */
  readonly writer?: Writer;
  /** Everybody who has written in between and is still seen in it. */
  readonly writers: readonly Writer[];
  readonly before?: KubeObject;
  readonly after?: KubeObject;
}

/** What a reader of the past wants to see; everything where a field is absent. */
export interface Wanted {
  /** `<group>/<plural>`, with `""` as the core group's name, as in the store's keys. */
  readonly resources?: readonly string[];
  readonly namespace?: string;
  readonly names?: readonly string[];
}

/** Somebody who looks at the past: sees of it what they may see of the present. */
export interface Reader {
  readonly store: Store;
  readonly kinds: KindTable;
  readonly authorizer: Authorizer;
  readonly user: UserInfo;
}

/** The served form of a stored resource: in the version it is stored in, so that nothing needs to be converted. */
export function kindOf(kinds: KindTable, resource: string): ServedKind | undefined {
  let found: ServedKind | undefined;
  for (const kind of kinds.all()) {
    if (kind.storage.resource !== resource) continue;
    if (`${kind.group}/${kind.resource}` === resource && apiVersion(kind) === kind.storage.apiVersion) return kind;
    found ??= kind;
  }
  return found;
}

export const apiVersion = ({ group, version }: ServedKind): string => (group ? `${group}/${version}` : version);

/** Remembers what it is asked: a diff asks for every object of it. */
export function kindFinder(kinds: KindTable): (resource: string) => ServedKind | undefined {
  const known = new Map<string, ServedKind | undefined>();
  return (resource) => {
    if (!known.has(resource)) known.set(resource, kindOf(kinds, resource));
    return known.get(resource);
  };
}

export function mayGet({ authorizer, user }: Reader, kind: ServedKind, { namespace, name }: StoreKey): boolean {
  const { group, version, resource } = kind;
  return authorizer.authorize({
    user,
    verb: 'get',
    resource: { group, version, resource, subresource: '', namespace, name },
  }).allowed;
}

export const isWanted = ({ resources, namespace, names }: Wanted, key: StoreKey): boolean =>
  (resources === undefined || resources.includes(key.resource)) &&
  (namespace === undefined || key.namespace === namespace) &&
  (names === undefined || names.includes(key.name));

export const placeOf = (kind: ServedKind, { namespace, name }: StoreKey): ObjectPlace => ({
  apiVersion: apiVersion(kind),
  kind: kind.kind,
  resource: kind.resource,
  ...(namespace ? { namespace } : {}),
  name,
});

/** What differs between two states, object by object, as far as the reader may see it. */
export async function changesOf(
  reader: Reader,
  from: Snapshot,
  to: Snapshot,
  wanted: Wanted,
): Promise<readonly ObjectChange[]> {
  const find = kindFinder(reader.kinds);
  const changes: ObjectChange[] = [];
  for (const { key, before, after } of changesBetween(from, to)) {
    const kind = isWanted(wanted, key) ? find(key.resource) : undefined;
    if (!kind || !mayGet(reader, kind, key)) continue;
    const revision = after?.revision ?? deletionOf(reader.store, key, before!, to.revision);
    changes.push(await changeOf(reader.store, kind, key, revision, before?.object, after?.object));
  }
  return changes;
}

/** Every write of the wanted objects after one revision up to another, oldest first; the newest `limit` of them. */
export async function writesOf(
  reader: Reader,
  from: number,
  to: number,
  wanted: Wanted,
  limit: number,
): Promise<readonly ObjectChange[]> {
  const find = kindFinder(reader.kinds);
  const writes: (() => Promise<ObjectChange>)[] = [];
  for (const { revision, events } of reader.store.commitsAfter(from)) {
    if (revision > to) break;
    for (const { key, type, object, previous } of events) {
      const kind = isWanted(wanted, key) ? find(key.resource) : undefined;
      if (!kind || !mayGet(reader, kind, key)) continue;
      writes.push(() => changeOf(reader.store, kind, key, revision, previous, type === 'put' ? object : undefined));
      if (writes.length > limit * 2) writes.splice(0, writes.length - limit);
    }
  }
  return Promise.all(writes.slice(-limit).map((write) => write()));
}

async function changeOf(
  store: Store,
  kind: ServedKind,
  key: StoreKey,
  revision: number,
  before: KubeObject | undefined,
  after: KubeObject | undefined,
): Promise<ObjectChange> {
  const { storage, schema } = kind;
  await storage.prepare?.(
    [before, after].filter((object) => object !== undefined),
    'served',
  );
  const was = before && storage.fromStorage(before);
  const is = after && storage.fromStorage(after);
  const time = store.timeOf(revision);
  const writer = writerOf(was, is, schema, time);
  return {
    ...placeOf(kind, key),
    type: was ? (is ? 'changed' : 'deleted') : 'created',
    revision,
    ...(time === undefined ? {} : { time: timestamp(time) }),
    ...(writer ? { writer } : {}),
    writers: writersOf(was, is),
    ...(was ? { before: was } : {}),
    ...(is ? { after: is } : {}),
  };
}

/** The revision that took an object away: the events of its resource know. */
function deletionOf(store: Store, { resource, namespace, name }: StoreKey, { revision }: Entry, to: number): number {
  let found = to;
  store
    .watch({ resource, namespace, name }, Math.max(revision, store.compacted))
    .subscribe((event) => {
      if (event.type === 'delete' && event.revision <= to) found = event.revision;
    })
    .unsubscribe();
  return found;
}

/** The stored resource a word of the API names: `apps/deployments`, `/pods`. */
export function resourceNamed(kinds: KindTable, text: string): string {
  for (const kind of kinds.all()) if (`${kind.group}/${kind.resource}` === text) return kind.storage.resource;
  throw notFound({ group: '', resource: 'resources' }, text);
}
