import type { Schema } from '@trimtab/machinery';

/**
 * Where a configuration reaches into what is owned as a whole: laying it over would drop what it does not name. A whole atomic
 * list of scalars is replaced knowingly, and is fine only through a JSON patch as well (kubernetes: mutation/patch).
 */
export function atomicPaths(config: unknown, schema: Schema | undefined, path = ''): readonly string[] {
  if (schema === undefined || config === null || typeof config !== 'object') return [];
  if (Array.isArray(config)) {
    if (schema.type === 'array' && (schema.listType ?? 'atomic') === 'atomic') return [path];
    return config.flatMap((item) => atomicPaths(item, schema.items, `${path}[]`));
  }
  if (schema.mapType === 'atomic') return [path];
  return Object.entries(config).flatMap(([field, value]) =>
    atomicPaths(value, schema.properties?.[field] ?? schema.values, `${path}.${field}`),
  );
}
