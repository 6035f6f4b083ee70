import type { NftOperation } from '../nft/operations.js';
import type { ServiceElements } from './elements.js';
import { declareGroup, declareTable, type Layout } from './layout.js';

/** An element whose holder changed: a UDP conversation that was translated by it must not go on. */
export interface TableChange {
  readonly operations: readonly NftOperation[];
  /** Sets and keys taken out or given other data, with the data they had. */
  readonly removed: readonly { readonly set: string; readonly key: string; readonly data: string }[];
}

interface Claim {
  readonly service: string;
  readonly data: string;
}

/**
 * What the kernel's table holds and who put it there. Decides only: each call answers the operations that bring the
 * kernel from the last state to the new one. When two Services claim one key, the one that came first keeps it.
 */
export class ServiceTable {
  readonly #layout: Layout;
  readonly #services = new Map<string, ServiceElements>();
  readonly #claims = new Map<string, Claim[]>();
  readonly #groups = new Set<number>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  get size(): number {
    return this.#claims.size;
  }

  /** The given Services' elements are now these; undefined takes a Service out. */
  change(updates: ReadonlyMap<string, ServiceElements | undefined>): TableChange {
    const before = new Map<string, string | undefined>();
    const remember = (id: string): void => {
      if (!before.has(id)) before.set(id, this.#claims.get(id)?.[0]?.data);
    };
    const groups = new Set<number>();
    for (const [service, next] of updates) {
      const previous = this.#services.get(service);
      for (const id of previous?.elements.keys() ?? []) {
        if (next?.elements.has(id)) continue;
        remember(id);
        this.#withdraw(id, service);
      }
      for (const [id, data] of next?.elements ?? []) {
        if (previous?.elements.get(id) === data) continue;
        remember(id);
        this.#claim(id, { service, data });
      }
      for (const group of next?.groups ?? []) if (!this.#groups.has(group)) groups.add(group);
      if (next) this.#services.set(service, next);
      else this.#services.delete(service);
    }
    return this.#difference(before, groups);
  }

  /** Everything from nothing, in as few transactions as fit (one, below 50,000 elements). */
  rebuild(): readonly (readonly NftOperation[])[] {
    const { table } = this.#layout;
    const groups = [...this.#services.values()].flatMap((s) => [...s.groups]);
    this.#groups.clear();
    const first: NftOperation[] = [...declareTable(this.#layout), ...this.#declare(new Set(groups))];
    const batches: NftOperation[][] = [first];
    let room = MAX_ELEMENTS;
    for (const [name, elements] of bySet([...this.#claims].map(([id, [claim]]) => [id, claim!.data] as const))) {
      for (let at = 0; at < elements.length; ) {
        if (room === 0) {
          batches.push([]);
          room = MAX_ELEMENTS;
        }
        const part = elements.slice(at, at + room);
        batches.at(-1)!.push({ op: 'add', table, name, elements: part });
        at += part.length;
        room -= part.length;
      }
    }
    return batches;
  }

  #declare(groups: ReadonlySet<number>): readonly NftOperation[] {
    for (const group of groups) this.#groups.add(group);
    return [...groups].sort((a, b) => a - b).flatMap((group) => declareGroup(this.#layout, group));
  }

  #claim(id: string, claim: Claim): void {
    const claims = this.#claims.get(id);
    const at = claims?.findIndex((c) => c.service === claim.service) ?? -1;
    if (!claims) this.#claims.set(id, [claim]);
    else if (at >= 0) claims[at] = claim;
    else claims.push(claim);
  }

  #withdraw(id: string, service: string): void {
    const rest = (this.#claims.get(id) ?? []).filter((c) => c.service !== service);
    if (rest.length > 0) this.#claims.set(id, rest);
    else this.#claims.delete(id);
  }

  #difference(before: ReadonlyMap<string, string | undefined>, groups: ReadonlySet<number>): TableChange {
    const { table } = this.#layout;
    const removed: [string, string][] = [];
    const added: [string, string][] = [];
    for (const [id, was] of before) {
      const now = this.#claims.get(id)?.[0]?.data;
      if (was === now) continue;
      if (was !== undefined) removed.push([id, was]);
      if (now !== undefined) added.push([id, now]);
    }
    return {
      operations: [
        ...this.#declare(groups),
        ...[...bySet(removed.map(([id]) => [id, ''] as const))].map(
          ([name, elements]): NftOperation => ({ op: 'delete', table, name, elements }),
        ),
        ...[...bySet(added)].map(([name, elements]): NftOperation => ({ op: 'add', table, name, elements })),
      ],
      removed: removed.map(([id, data]) => {
        const [set = '', key = ''] = id.split(' ');
        return { set, key, data };
      }),
    };
  }
}

/** A frame of the core's protocol holds 4 MiB; an element is at most 60 bytes in it. */
const MAX_ELEMENTS = 50_000;

function bySet(entries: Iterable<readonly [string, string]>): ReadonlyMap<string, string[]> {
  const sets = new Map<string, string[]>();
  for (const [id, data] of entries) {
    const space = id.indexOf(' ');
    const set = id.slice(0, space);
    const key = id.slice(space + 1);
    const list = sets.get(set);
    const element = data === '' ? key : `${key} ${data}`;
    if (list) list.push(element);
    else sets.set(set, [element]);
  }
  return sets;
}
