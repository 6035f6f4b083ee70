import type { KubeObject } from '@trimtab/machinery';
import type { WriteEntry } from '../world/trace.js';

/**
 * Objects as they can be compared between two runs: generated names, uids and times are what they stand for, revisions and
 * field ownership are left out, and so is whatever two clean runs disagree on ({@link Mask}).
 */
export interface CanonicalState {
  /** By resource; each object's leaves, by path. */
  readonly objects: ReadonlyMap<string, readonly CanonicalObject[]>;
}

export interface CanonicalObject {
  /** `ns/name`, with `*` for what was generated. */
  readonly name: string;
  readonly leaves: ReadonlyMap<string, string>;
}

/** Paths two clean runs differ in, as `resource path`. */
export type Mask = ReadonlySet<string>;

/** Also inside of a text: annotations hold what a controller has to remember. */
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;
const UID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const LEFT_OUT = new Set([
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'managedFields',
  'generation',
  'selfLink',
  'name',
]);

/** Where a pod runs, and with which address, is never the doing of who made it. */
const PLACE = new Set(['.spec.nodeName', '.status.podIP', '.status.podIPs', '.status.hostIP', '.status.hostIPs']);

/** `ns/web-*` for a generated name; a uid that is part of a name is left open as well. */
export function canonicalName({ metadata }: KubeObject): string {
  const { name = '', namespace, generateName } = metadata;
  const own = (generateName && name.startsWith(generateName) ? `${generateName}*` : name).replace(UID, '<uid>');
  return namespace ? `${namespace}/${own}` : own;
}

/** What uids and generated names stand for, in one run. */
export class Names {
  readonly #tokens = new Map<string, string>();
  /** What was said of texts met before: objects of a run mostly say the same. */
  readonly #met = new Map<string, string>();

  constructor(writes: readonly WriteEntry[]) {
    for (const { verb, object } of writes) {
      if (verb !== 'create') continue;
      const name = canonicalName(object);
      const { uid, generateName } = object.metadata;
      if (uid) this.#tokens.set(uid, `<uid ${object.kind} ${name}>`);
      if (generateName && object.metadata.name)
        this.#tokens.set(object.metadata.name, name.slice(name.indexOf('/') + 1));
    }
  }

  of(text: string): string {
    let known = this.#met.get(text);
    if (known === undefined) {
      known = this.#made(text);
      this.#met.set(text, known);
    }
    return known;
  }

  #made(text: string): string {
    const named = this.#tokens.get(text) ?? text.replace(UID, (uid) => this.#tokens.get(uid) ?? '<uid>');
    return named.replace(TIME, '<time>');
  }
}

/** The objects there are after all these writes, canonical; those of `ignored` resources left out. */
export function canonicalState(writes: readonly WriteEntry[], ignored: ReadonlySet<string>): CanonicalState {
  const last = new Map<string, WriteEntry>();
  for (const entry of writes) {
    const id = `${entry.resource} ${entry.key}`;
    if (entry.verb === 'delete') last.delete(id);
    else last.set(id, entry);
  }
  const names = new Names(writes);
  const objects = new Map<string, CanonicalObject[]>();
  for (const { resource, object } of last.values()) {
    if (ignored.has(resource.slice(resource.indexOf('/') + 1))) continue;
    const leaves = new Map<string, string>();
    flatten(object, '', { names, leaves, generation: object.metadata.generation, isPod: resource === '/pods' });
    const list = objects.get(resource) ?? [];
    list.push({ name: canonicalName(object), leaves });
    objects.set(resource, list);
  }
  return { objects };
}

interface Walk {
  readonly names: Names;
  readonly leaves: Map<string, string>;
  readonly generation: number | undefined;
  readonly isPod: boolean;
}

function flatten(value: unknown, path: string, walk: Walk): void {
  if (Array.isArray(value)) {
    const seen = new Map<string, number>();
    value.forEach((item: unknown, i) => {
      const { type, name } = (item ?? {}) as { readonly type?: unknown; readonly name?: unknown };
      const key = walk.names.of(String(type ?? name ?? i));
      const times = (seen.get(key) ?? 0) + 1;
      seen.set(key, times);
      flatten(item, `${path}[${key}${times > 1 ? `#${times}` : ''}]`, walk);
    });
    return;
  }
  if (value !== null && typeof value === 'object') {
    for (const [field, inner] of Object.entries(value)) {
      // A reference to another object may name its revision, too.
      if ((path === '.metadata' && LEFT_OUT.has(field)) || field === 'resourceVersion') continue;
      const inside = `${path}.${walk.names.of(field)}`;
      if (!walk.isPod || !PLACE.has(inside)) flatten(inner, inside, walk);
    }
    return;
  }
  if (value === undefined) return;
  const text =
    path.endsWith('.observedGeneration') && walk.generation !== undefined
      ? value === walk.generation
        ? 'current'
        : 'behind'
      : typeof value === 'string'
        ? walk.names.of(value)
        : String(value);
  walk.leaves.set(path, text);
}

/** Where two clean runs differ: what chance and time decide. */
export function maskOf(a: CanonicalState, b: CanonicalState): Mask {
  const mask = new Set<string>();
  for (let round = 0; round < 3; round++) {
    const before = mask.size;
    for (const { resource, path } of differences(a, b, mask)) if (path !== undefined) mask.add(`${resource} ${path}`);
    if (mask.size === before) break;
  }
  return mask;
}

export interface Difference {
  readonly resource: string;
  readonly name: string;
  /** Absent when the object itself is missing or too much. */
  readonly path?: string;
  readonly text: string;
}

/** What `is` has that `was` has not, and the other way round; masked paths aside. */
export function differences(was: CanonicalState, is: CanonicalState, mask: Mask): readonly Difference[] {
  const found: Difference[] = [];
  for (const resource of new Set([...was.objects.keys(), ...is.objects.keys()])) {
    const before = byName(was.objects.get(resource) ?? NONE, resource, mask);
    const after = byName(is.objects.get(resource) ?? NONE, resource, mask);
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      const [old, now] = [before.get(name) ?? [], after.get(name) ?? []];
      if (old.length !== now.length)
        found.push({
          resource,
          name,
          text: `${resource} ${name}: ${now.length} in the end, ${old.length} in a clean run`,
        });
      for (let i = 0; i < Math.min(old.length, now.length); i++)
        for (const [path, x, y] of unequal(old[i]!, now[i]!))
          found.push({
            resource,
            name,
            path,
            text: `${resource} ${name} ${path}: ${y ?? '(absent)'} in the end, ${x ?? '(absent)'} in a clean run`,
          });
    }
  }
  return found;
}

type Leaves = ReadonlyMap<string, string>;

function unequal(old: Leaves, now: Leaves): readonly (readonly [string, string | undefined, string | undefined])[] {
  const found: [string, string | undefined, string | undefined][] = [];
  for (const [path, x] of old) if (now.get(path) !== x) found.push([path, x, now.get(path)]);
  for (const [path, y] of now) if (!old.has(path)) found.push([path, undefined, y]);
  return found;
}

type Named = ReadonlyMap<string, readonly Leaves[]>;

const NONE: readonly CanonicalObject[] = [];

/** What every run is held against is arranged once; by its objects and the size of the mask, which only ever grows. */
const arranged = new WeakMap<
  readonly CanonicalObject[],
  { readonly mask: Mask; readonly size: number; readonly by: Named }
>();

/** Of several of a name, which is which is told by what they are. */
function byName(objects: readonly CanonicalObject[], resource: string, mask: Mask): Named {
  const known = arranged.get(objects);
  if (known?.mask === mask && known.size === mask.size) return known.by;
  const groups = new Map<string, Leaves[]>();
  const hidden = [...mask]
    .filter((each) => each.startsWith(`${resource} `))
    .map((each) => each.slice(resource.length + 1));
  for (const { name, leaves } of objects) {
    const kept = new Map(leaves);
    for (const path of hidden) kept.delete(path);
    const group = groups.get(name);
    if (group) group.push(kept);
    else groups.set(name, [kept]);
  }
  for (const group of groups.values()) if (group.length > 1) sortByText(group);
  arranged.set(objects, { mask, size: mask.size, by: groups });
  return groups;
}

function sortByText(group: Leaves[]): void {
  const byPath = ([a]: readonly [string, string], [b]: readonly [string, string]) => (a < b ? -1 : 1);
  const texts = new Map(group.map((leaves) => [leaves, JSON.stringify([...leaves].sort(byPath))]));
  group.sort((a, b) => (texts.get(a)! < texts.get(b)! ? -1 : texts.get(a)! > texts.get(b)! ? 1 : 0));
}
