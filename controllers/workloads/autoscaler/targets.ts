import type { View } from '@trimtab/framework';
import { builtinResources, CustomResourceDefinitions, type ResourceType } from '@trimtab/machinery';

/** The resource that a kind is served as; throws where no such kind is known. */
export function resourceNamed(
  { apiVersion = 'v1', kind }: { readonly apiVersion?: string; readonly kind: string },
  view: Pick<View, 'list'>,
): { readonly type: ResourceType } {
  const [version, group = ''] = apiVersion.split('/').reverse() as [string, string?];
  const builtin = builtinResources().find(
    ({ type }) => type.group === group && type.version === version && type.kind === kind,
  );
  if (builtin) return builtin;
  const definition = view
    .list(CustomResourceDefinitions)
    .find(({ spec }) => spec.group === group && spec.names.kind === kind);
  if (!definition?.spec.versions.some(({ name, served }) => name === version && served))
    throw new Error(`no matches for kind "${kind}" in version "${apiVersion}"`);
  const { names, scope } = definition.spec;
  return { type: { group, version, kind, resource: names.plural, namespaced: scope === 'Namespaced' } };
}
