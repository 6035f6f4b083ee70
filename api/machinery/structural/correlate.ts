import type { JSONSchemaProps } from '../generated/types.js';

/**
 * Finds what an element of a list was before. Only lists of type `map` say which elements are the same; elements of any other
 * list have no past (kubernetes/apiserver pkg/cel/common CorrelatedObject).
 */
export function correlated(props: JSONSchemaProps, old: unknown): (item: unknown) => unknown {
  const keys = props['x-kubernetes-list-map-keys'];
  if (props['x-kubernetes-list-type'] !== 'map' || keys === undefined || !Array.isArray(old)) return () => undefined;
  let byKey: Map<string, unknown> | undefined;
  const identity = keyOf(keys);
  return (item) => {
    byKey ??= new Map(old.map((element) => [identity(element), element]));
    return byKey.get(identity(item));
  };
}

const keyOf =
  (keys: readonly string[]) =>
  (item: unknown): string =>
    JSON.stringify(keys.map((key) => (item as Record<string, unknown> | null)?.[key]));
