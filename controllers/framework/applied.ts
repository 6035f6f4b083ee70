import type { KubeObject, ManagedFieldsEntry } from '@trimtab/machinery';

/**
 * Whether applying `intent` would change nothing: `manager` has applied exactly the fields of the intent (by the object's
 * managed fields), and the object has exactly its values there. Errs only to the safe side: where the server wrote a value
 * differently (a quantity, a default within an atomic list) the answer is no, and the server finds out.
 */
export function isApplied(object: KubeObject | undefined, intent: KubeObject, manager: string): boolean {
  const { managedFields, uid } = object?.metadata ?? {};
  if (!object || (intent.metadata.uid !== undefined && intent.metadata.uid !== uid)) return false;
  const entry = managedFields?.find(
    (e) => e.manager === manager && e.operation === 'Apply' && e.subresource === undefined,
  );
  if (!entry?.fieldsV1) return false;
  const { apiVersion: _, kind: __, metadata, ...rest } = intent as KubeObject & Record<string, unknown>;
  const { name: ___, namespace: ____, uid: _____, ...fields } = metadata;
  const wanted = Object.keys(fields).length > 0 ? { ...rest, metadata: fields } : rest;
  return owns(entry.fieldsV1 as Fields, wanted, object as unknown as Json);
}

type Json = { readonly [key: string]: unknown };
type Fields = NonNullable<ManagedFieldsEntry['fieldsV1']>;

/** `fields` are those of `wanted`, no more and no fewer, and `live` has their values. */
function owns(fields: Fields, wanted: unknown, live: unknown): boolean {
  const names = Object.keys(fields).filter((name) => name !== '.');
  // The whole value is owned as one.
  if (names.length === 0) return same(wanted, live);
  if (Array.isArray(wanted)) return ownsElements(fields, names, wanted, live);
  if (!isObject(wanted) || !isObject(live)) return false;
  const keys = Object.keys(wanted).filter((key) => wanted[key] !== undefined);
  return (
    keys.length === names.length &&
    keys.every((key) => {
      const below = fields[`f:${key}`];
      return below !== undefined && owns(below as Fields, wanted[key], live[key]);
    })
  );
}

/** Lists with keys (`k:{"name":"web"}`) and sets (`v:"x"`). */
function ownsElements(fields: Fields, names: readonly string[], wanted: readonly unknown[], live: unknown): boolean {
  if (!Array.isArray(live) || names.length !== wanted.length) return false;
  return names.every((name) => {
    const key: unknown = JSON.parse(name.slice(2));
    if (name.startsWith('v:')) return wanted.some((v) => same(v, key)) && live.some((v) => same(v, key));
    if (!name.startsWith('k:') || !isObject(key)) return false;
    const is = (element: unknown) => isObject(element) && Object.entries(key).every(([k, v]) => same(element[k], v));
    const [intended, present] = [wanted.find(is), live.find(is)];
    return intended !== undefined && present !== undefined && owns(fields[name] as Fields, intended, present);
  });
}

const isObject = (value: unknown): value is Json =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((v, i) => same(v, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => same(a[key], b[key]));
}
