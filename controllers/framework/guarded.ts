import type { Dropped } from '@trimtab/client';
import type { KubeObject } from '@trimtab/machinery';

/** What is to happen when a field is read that was left out; `path` as in `spec.nodeName`, `*` for all there is. Throws. */
export type OnMissing = (path: string) => never;

/** Asked of everything by the language and by libraries; no field of an object is called so. */
const NO_FIELDS = new Set(['toJSON', 'then', 'asymmetricMatch', 'nodeType', 'tagName', 'inspect', 'length']);

/**
 * The same object, whose missing fields are not simply undefined: reading one that was left out before it was cached calls
 * `missing`. With `whole` also whatever looks at all of its fields at once (copies of it, comparisons) does.
 */
export function guarded<T extends object>(object: T, lacks: Dropped, missing: OnMissing, whole = false, path = ''): T {
  const inside = new Map<string, object>();
  const isMissing = (target: object, field: string | symbol): field is string =>
    typeof field === 'string' && !(field in target) && !NO_FIELDS.has(field) && isField(field) && lacks.has(field);
  return new Proxy(object, {
    get(target, field) {
      if (isMissing(target, field)) return missing(path + field);
      const value: unknown = Reflect.get(target, field);
      if (typeof field !== 'string' || value === null || typeof value !== 'object') return value;
      const below = lacks.at(field);
      if (!below) return value;
      const known = inside.get(field);
      if (known) return known;
      const made = guarded(value, below, missing, whole, `${path}${field}.`);
      inside.set(field, made);
      return made;
    },
    has: (target, field) => (isMissing(target, field) ? missing(path + field) : field in target),
    getOwnPropertyDescriptor: (target, field) =>
      isMissing(target, field) ? missing(path + field) : Reflect.getOwnPropertyDescriptor(target, field),
    ownKeys: (target) => (whole ? missing(`${path}*`) : Reflect.ownKeys(target)),
  });
}

const isField = (name: string): boolean => /^[a-zA-Z][\w-]*$/.test(name);

/** Thrown into a decision that reads what its caches have only the metadata of: it is made again with everything. */
export class NeedsWhole extends Error {
  override readonly name = 'NeedsWhole';
}

/** Read, and left out by what the controller says of its caching. */
export class DroppedField extends Error {
  override readonly name = 'DroppedField';

  constructor(controller: string, resource: string, path: string, object: KubeObject) {
    super(
      `${controller} reads ${path} of ${resource} ${object.metadata.name}, which its caching leaves out: keep it there, or read the object with observe`,
    );
  }
}
