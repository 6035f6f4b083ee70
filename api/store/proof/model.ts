import type { PersistedRevision } from './history.js';

export interface ModelEntry {
  readonly value: string;
  readonly revision: number;
}

/** A store as it should be: every key's past, so that the state at any revision is a lookup. */
export class Model {
  readonly #pasts = new Map<string, { readonly revision: number; readonly value: string | null }[]>();
  readonly revisions: readonly number[];

  constructor(readonly persisted: readonly PersistedRevision[]) {
    this.revisions = persisted.map(({ revision }) => revision);
    for (const { revision, changes } of persisted)
      for (const [key, value] of changes) {
        const past = this.#pasts.get(key) ?? [];
        this.#pasts.set(key, past);
        past.push({ revision, value });
      }
  }

  get newest(): number {
    return this.revisions.at(-1) ?? 0;
  }

  get keys(): Iterable<string> {
    return this.#pasts.keys();
  }

  /** The key as of a revision. */
  at(key: string, revision: number): ModelEntry | undefined {
    const past = this.#pasts.get(key) ?? [];
    const found = past[firstAfter(past, revision) - 1];
    return found === undefined || found.value === null ? undefined : { value: found.value, revision: found.revision };
  }

  /** Whether the key was at `actual` (0: absent) at some revision from `low` to `high`. */
  wasAt(key: string, actual: number, low: number, high: number): boolean {
    if ((this.at(key, low)?.revision ?? 0) === actual) return true;
    const past = this.#pasts.get(key) ?? [];
    for (let i = firstAfter(past, low); i < past.length && past[i]!.revision <= high; i++)
      if ((past[i]!.value === null ? 0 : past[i]!.revision) === actual) return true;
    return false;
  }

  /** Persisted revisions after `low` up to `high`. */
  between(low: number, high: number): readonly PersistedRevision[] {
    return this.persisted.slice(firstAfter(this.persisted, low), firstAfter(this.persisted, high));
  }
}

function firstAfter(sorted: readonly { readonly revision: number }[], revision: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]!.revision > revision) high = middle;
    else low = middle + 1;
  }
  return low;
}
