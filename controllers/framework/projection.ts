import type { Dropped } from '@trimtab/client';
import type { KubeObject, ResourceType } from '@trimtab/machinery';

/** Which fields are kept: `true` for all of one, or the same of what is in it; of a list, of each of its elements. */
export type Keep<T> =
  | true
  | (NonNullable<T> extends readonly (infer E)[]
      ? Keep<E>
      : NonNullable<T> extends object
        ? { readonly [F in keyof NonNullable<T>]?: Keep<NonNullable<T>[F]> }
        : true);

/** Of an object, all but what the cluster keeps of every object anyway. */
export type KeepOf<T extends KubeObject> = {
  readonly [F in Exclude<keyof T, keyof KubeObject>]?: Keep<T[F]>;
};

type Part<T, K> = K extends true
  ? T
  : T extends readonly (infer E)[]
    ? readonly Part<E, K>[]
    : T extends object
      ? { readonly [F in keyof T as F extends keyof K ? F : never]: Part<T[F], K[F & keyof K]> }
      : T;

/** An object of which only some fields are known: the others are not there for the compiler either. */
export type Projected<T extends KubeObject, K> = KubeObject & {
  readonly [F in Exclude<keyof T, keyof KubeObject> as F extends keyof K ? F : never]: Part<T[F], K[F & keyof K]>;
};

/** What {@link projected} has put beside a type. */
export interface ProjectedType extends ResourceType {
  readonly projection: Projection;
}

export interface Projection {
  readonly transform: (object: KubeObject) => KubeObject;
  readonly dropped: Dropped;
  /** Projections that keep the same share a cache, also of code that was loaded anew. */
  readonly transformName: string;
}

/**
 * A type to declare (`owns`, `watches`, `reads`) and to read by, of which only these fields are cached, beside metadata
 * (without managed fields). Reading another is an error to the compiler, and
 * for those who go round it one that says so when it happens; never silently undefined.
 */
export function projected<T extends KubeObject, const K extends KeepOf<T>>(
  type: ResourceType<T>,
  keep: K,
): ResourceType<Projected<T, K>> {
  const kept: Kept = { ...(keep as Kept), apiVersion: true, kind: true, metadata: true };
  const transform = (object: KubeObject): KubeObject => {
    const { managedFields: _, ...metadata } = object.metadata;
    return { ...(keeping(object, kept) as object), metadata };
  };
  const made: ProjectedType = {
    ...type,
    projection: { transform, dropped: allBut(kept), transformName: JSON.stringify(keep) },
  };
  return made as ResourceType<Projected<T, K>>;
}

type Kept = { readonly [field: string]: true | Kept };

function keeping(value: unknown, keep: true | Kept): unknown {
  if (keep === true || value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((element) => keeping(element, keep));
  const part: Record<string, unknown> = {};
  for (const [field, below] of Object.entries(keep)) {
    const inside = (value as Record<string, unknown>)[field];
    if (inside !== undefined) part[field] = keeping(inside, below);
  }
  return part;
}

/** Indexes of a list are no fields: what is kept of it is kept of each element. */
const allBut = (keep: Kept): Dropped => ({
  has: (field) => !(field in keep),
  at: (field) => {
    if (/^\d+$/.test(field)) return allBut(keep);
    const below = keep[field];
    return below === undefined || below === true ? undefined : allBut(below);
  },
});
