import type { ObjectKey, ResourceType } from '@trimtab/machinery';

/** Where resources live below the server's address. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  return type.namespaced && namespace
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${type.resource}`
    : `${root}/${type.resource}`;
}

/** @throws Error for a namespaced resource without a namespace: it would be another resource's path. */
export function objectPath(type: ResourceType, key: ObjectKey, subresource?: string): string {
  if (type.namespaced && !key.namespace) throw new Error(`${type.resource} "${key.name}" needs a namespace`);
  const path = `${collectionPath(type, key.namespace)}/${encodeURIComponent(key.name)}`;
  return subresource ? `${path}/${subresource}` : path;
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** Undefined and false values are left out; lists repeat their name. */
export function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === false) continue;
    for (const each of Array.isArray(value) ? value : [value]) parameters.append(name, String(each));
  }
  const text = parameters.toString();
  return text === '' ? path : `${path}?${text}`;
}
