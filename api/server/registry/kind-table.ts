import { compareVersions } from '@trimtab/machinery';
import { merge, type Observable, share } from 'rxjs';
import type { KindSource, ServedKind } from './served-kind.js';

/** One API group and its kinds by version, preferred version first. */
export interface ServedGroup {
  readonly group: string;
  readonly versions: readonly { readonly version: string; readonly kinds: readonly ServedKind[] }[];
}

/** The kinds of all sources, looked up by path. A kind of an earlier source hides one with the same path of a later source. */
export class KindTable {
  readonly changes: Observable<void>;
  #byPath: Map<string, ServedKind> | undefined;
  #groups: readonly ServedGroup[] | undefined;
  #generation = 0;
  readonly #sources: readonly KindSource[];

  constructor(sources: readonly KindSource[]) {
    this.#sources = sources;
    this.changes = merge(...sources.map((s) => s.changes)).pipe(share());
    this.changes.subscribe(() => {
      this.#byPath = undefined;
      this.#groups = undefined;
      this.#generation++;
    });
  }

  /** Grows with every change of the set, so that documents made from it can be cached. */
  get generation(): number {
    return this.#generation;
  }

  find(group: string, version: string, resource: string): ServedKind | undefined {
    return this.#paths().get(`${group}/${version}/${resource}`);
  }

  /** The kind with this type name; for bodies, which name their kind and not their resource. */
  findKind(group: string, version: string, kind: string): ServedKind | undefined {
    for (const k of this.#paths().values()) if (k.kind === kind && k.group === group && k.version === version) return k;
    return undefined;
  }

  all(): Iterable<ServedKind> {
    return this.#paths().values();
  }

  /** Core group first, then by name. */
  groups(): readonly ServedGroup[] {
    this.#groups ??= this.#buildGroups();
    return this.#groups;
  }

  #paths(): Map<string, ServedKind> {
    if (!this.#byPath) {
      this.#byPath = new Map();
      for (const source of this.#sources)
        for (const kind of source.kinds()) {
          const path = `${kind.group}/${kind.version}/${kind.resource}`;
          if (!this.#byPath.has(path)) this.#byPath.set(path, kind);
        }
    }
    return this.#byPath;
  }

  #buildGroups(): readonly ServedGroup[] {
    const groups = new Map<string, Map<string, ServedKind[]>>();
    for (const kind of this.#paths().values()) {
      const versions = groups.get(kind.group) ?? new Map<string, ServedKind[]>();
      groups.set(kind.group, versions);
      const kinds = versions.get(kind.version) ?? [];
      versions.set(kind.version, kinds);
      kinds.push(kind);
    }
    return [...groups]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([group, versions]) => {
        const preferred = this.#sources.map((s) => s.preferredVersions?.(group)).find((v) => v !== undefined) ?? [];
        const rank = (v: string) => (preferred.includes(v) ? preferred.indexOf(v) : preferred.length);
        return {
          group,
          versions: [...versions]
            .sort(([a], [b]) => rank(a) - rank(b) || compareVersions(a, b))
            .map(([version, kinds]) => ({
              version,
              kinds: kinds.sort((a, b) => (a.resource < b.resource ? -1 : 1)),
            })),
        };
      });
  }
}
