/** What was left out of an object before it was cached. Nothing that was not there to begin with is said to be. */
export interface Dropped {
  /** Whether a field that is missing here was left out. */
  has(field: string): boolean;
  /** The same of what is at a field, or at an index of a list; undefined where that is whole. */
  at(field: string): Dropped | undefined;
}

/** Everything but its metadata. */
export const ALL_BUT_METADATA: Dropped = { has: () => true, at: () => undefined };

type Json = { readonly [field: string]: unknown };

/**
 * What a transform has left out. Lists are compared element by element where none was taken out of them; where one was,
 * nobody knows which is which. Undefined where nothing is missing.
 */
export function droppedBetween(whole: unknown, kept: unknown): Dropped | undefined {
  if (whole === kept || !isContainer(whole) || !isContainer(kept)) return undefined;
  if (Array.isArray(whole) !== Array.isArray(kept)) return undefined;
  if (Array.isArray(whole) && whole.length !== (kept as unknown as readonly unknown[]).length) return undefined;
  const names = new Set<string>();
  const below = new Map<string, Dropped>();
  for (const [field, value] of Object.entries(whole)) {
    if (value === undefined) continue;
    if (kept[field] === undefined) names.add(field);
    else {
      const inside = droppedBetween(value, kept[field]);
      if (inside) below.set(field, inside);
    }
  }
  if (names.size === 0 && below.size === 0) return undefined;
  return { has: (field) => names.has(field), at: (field) => below.get(field) };
}

const isContainer = (value: unknown): value is Json => value !== null && typeof value === 'object';
