import { timestamp } from '../clock.js';
import type { KubeObject, ManagedFieldsEntry, ObjectMeta } from '../object.js';
import { RecentMap } from '../recent.js';
import {
  decodeFieldSet,
  differenceSets,
  encodeFieldSet,
  equalSets,
  type FieldSet,
  fieldSetOf,
  isEmptySet,
  unionSets,
} from './field-set.js';

/** Who owns what, in memory: one entry a manager, keyed by everything that tells managers apart. */
export interface Manager {
  readonly name: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time?: string;
  readonly set: FieldSet;
  /** The entry this was read from, kept so that an unchanged entry is written back as it was. */
  readonly source?: ManagedFieldsEntry;
}

/** By {@link managerKey}. */
export type Managers = ReadonlyMap<string, Manager>;

/** An applier is the same manager whatever version it applies in; an updater is not. */
export function managerKey(manager: Pick<Manager, 'name' | 'operation' | 'apiVersion' | 'subresource'>): string {
  const version = manager.operation === 'Apply' ? '' : manager.apiVersion;
  return JSON.stringify([manager.operation, manager.name, version, manager.subresource]);
}

/** Entries are as immutable as the objects they are part of; who is written to is mostly written to again soon. */
const known = new RecentMap<ManagedFieldsEntry, { readonly key: string; readonly manager: Manager }>(2048);

/** Reads `metadata.managedFields`; undefined when an entry is malformed. */
export function decodeManagers(entries: readonly ManagedFieldsEntry[] | undefined | null): Managers | undefined {
  const managers = new Map<string, Manager>();
  for (const entry of entries ?? []) {
    let decoded = known.get(entry);
    if (!decoded) {
      const manager = decodeManager(entry);
      if (!manager) return undefined;
      decoded = { key: managerKey(manager), manager };
      known.set(entry, decoded);
    }
    managers.set(decoded.key, decoded.manager);
  }
  return managers;
}

function decodeManager(entry: ManagedFieldsEntry): Manager | undefined {
  const { operation, apiVersion } = entry;
  if ((operation !== 'Apply' && operation !== 'Update') || !apiVersion || entry.fieldsType !== 'FieldsV1')
    return undefined;
  return {
    name: entry.manager ?? '',
    operation,
    apiVersion,
    subresource: entry.subresource ?? '',
    ...(entry.time ? { time: entry.time } : {}),
    set: decodeFieldSet(entry.fieldsV1),
    source: entry,
  };
}

/** `metadata.managedFields`, appliers first, then by time, name, version and subresource, as Kubernetes sorts it. */
export function encodeManagers(managers: Managers): readonly ManagedFieldsEntry[] {
  return [...managers.values()]
    .filter((manager) => !isEmptySet(manager.set))
    .sort(compareManagers)
    .map(encodeManager);
}

function compareManagers(a: Manager, b: Manager): number {
  return (
    compareText(a.operation, b.operation) ||
    compareText(a.time ?? '', b.time ?? '') ||
    compareText(a.name, b.name) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource, b.subresource)
  );
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function encodeManager(manager: Manager): ManagedFieldsEntry {
  const { source } = manager;
  if (source !== undefined && known.get(source)?.manager === manager) return source;
  const sameFields = source !== undefined && equalSets(decodeFieldSet(source.fieldsV1), manager.set);
  if (sameFields && source.time === manager.time && source.apiVersion === manager.apiVersion) return source;
  return managedEntry(manager, sameFields ? source.fieldsV1 : encodeFieldSet(manager.set));
}

/** Field by field, in the order they are written: entries are made with every write, and copies of copies cost. */
export function managedEntry(
  { name, operation, apiVersion, time, subresource }: Omit<Manager, 'set' | 'source'>,
  fieldsV1: ManagedFieldsEntry['fieldsV1'],
): ManagedFieldsEntry {
  const entry: { -readonly [K in keyof ManagedFieldsEntry]: ManagedFieldsEntry[K] } = {};
  if (name) entry.manager = name;
  entry.operation = operation;
  entry.apiVersion = apiVersion;
  if (time) entry.time = time;
  entry.fieldsType = 'FieldsV1';
  entry.fieldsV1 = fieldsV1;
  if (subresource) entry.subresource = subresource;
  return entry;
}

/** The object with these managed fields, or without any. */
export function withManagedFields<T extends KubeObject>(
  object: T,
  entries: readonly ManagedFieldsEntry[] | undefined,
): T {
  const { managedFields, ...rest } = object.metadata ?? {};
  if (managedFields === entries) return object;
  const metadata: ObjectMeta = entries && entries.length > 0 ? { ...rest, managedFields: entries } : rest;
  return { ...object, metadata };
}

/** Fields nobody ever owns. */
const unowned = fieldSetOf(
  ['f:apiVersion'],
  ['f:kind'],
  ['f:metadata'],
  ...[
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'resourceVersion',
    'selfLink',
    'clusterName',
    'managedFields',
  ].map((field) => ['f:metadata', `f:${field}`]),
);

/** The set without what nobody ever owns: identity, versions, timestamps. */
export const ownable = (set: FieldSet): FieldSet => differenceSets(set, unowned);

/** More update managers than this are merged into {@link ancientChanges}, oldest first. */
export const maxUpdateManagers = 10;
export const ancientChanges = 'ancient-changes';

/** Merges the oldest updaters of each version until no more than {@link maxUpdateManagers} are left. */
export function capUpdateManagers(managers: Managers): Managers {
  const updaters = [...managers].filter(([, manager]) => manager.operation === 'Update');
  if (updaters.length <= maxUpdateManagers) return managers;
  updaters.sort(([aKey, a], [bKey, b]) => {
    const [left, right] = [`${a.time ?? ''}\n${aKey}`, `${b.time ?? ''}\n${bKey}`];
    return left < right ? -1 : 1;
  });
  const result = new Map(managers);
  const firstOfVersion = new Map<string, string>();
  let count = updaters.length;
  for (const [key, manager] of updaters) {
    if (count <= maxUpdateManagers) break;
    const first = firstOfVersion.get(manager.apiVersion);
    if (first === undefined) {
      firstOfVersion.set(manager.apiVersion, key);
      continue;
    }
    const bucket: Manager = {
      name: ancientChanges,
      operation: 'Update',
      apiVersion: manager.apiVersion,
      subresource: '',
      ...(manager.time ? { time: manager.time } : {}),
      set: unionSets(manager.set, result.get(first)!.set),
    };
    result.delete(first);
    result.delete(key);
    result.set(managerKey(bucket), bucket);
    firstOfVersion.set(manager.apiVersion, managerKey(bucket));
    count--;
  }
  return result;
}

/** The manager name of a client that gave none: its User-Agent up to the slash, at most 128 characters. */
export function managerFromUserAgent(userAgent: string | undefined): string {
  const name = (userAgent ?? '').split('/')[0]!.replace(/[^\x20-\x7e]/g, '');
  return name.slice(0, 128) || 'unknown';
}

export const managedTime = (now: number): string => timestamp(now);
