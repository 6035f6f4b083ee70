import { resourceLines } from '../generated/table.js';
import type { ResourceType } from '../object.js';
import type { ResourceInfo } from './resource-info.js';
import { categories, shortNames, storedAs } from './resource-names.js';

type Row = readonly [
  group: string,
  version: string,
  plural: string,
  kind: string,
  namespaced: boolean,
  verbs: readonly string[],
  subresources: readonly (readonly [string, string, string, string, readonly string[]])[],
];

/** Orders versions as Kubernetes does: v2, v1, v1beta2, v1beta1, v1alpha1; others after, by name. */
export function compareVersions(a: string, b: string): number {
  const rank = (v: string): number => {
    const m = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(v);
    if (!m) return Number.POSITIVE_INFINITY;
    return (m[2] === 'alpha' ? 2e9 : m[2] === 'beta' ? 1e9 : 0) - 1e4 * Number(m[1]) - Number(m[3] ?? 0);
  };
  const [x, y] = [rank(a), rank(b)];
  return x === y ? (a < b ? -1 : a > b ? 1 : 0) : x < y ? -1 : 1;
}

const isStable = (version: string): boolean => /^v\d+$/.test(version);
const qualified = (plural: string, group: string): string => (group === '' ? plural : `${plural}.${group}`);

let resources: readonly ResourceInfo[] | undefined;

/** Every built-in resource in every version, alpha and beta included; groups, then versions foremost first. */
export function builtinResources(): readonly ResourceInfo[] {
  if (resources) return resources;
  const rows = resourceLines.split('\n').map((l) => JSON.parse(l) as Row);
  const typeOf = ([group, version, resource, kind, namespaced]: Row): ResourceType => ({
    group,
    version,
    kind,
    resource,
    namespaced,
  });
  const families = new Map<string, ResourceType[]>();
  for (const row of rows) {
    const name = qualified(row[2], row[0]);
    const family = storedAs[name] ?? name;
    families.set(family, [...(families.get(family) ?? []), typeOf(row)]);
  }
  // The foremost stable version is stored; a kind that has none is stored in its foremost version.
  for (const [family, types] of families)
    types.sort(
      (a, b) =>
        Number(qualified(b.resource, b.group) === family) - Number(qualified(a.resource, a.group) === family) ||
        compareVersions(a.version, b.version),
    );
  resources = rows
    .map((row): ResourceInfo => {
      const [group, version, plural, kind, , verbs, subresources] = row;
      const name = qualified(plural, group);
      const versions = families.get(storedAs[name] ?? name)!;
      const own = versions.filter((t) => t.group === group);
      return {
        type: versions.find((t) => t.group === group && t.version === version)!,
        singular: kind.toLowerCase(),
        shortNames: shortNames[name] ?? [],
        categories: categories[name] ?? [],
        verbs,
        subresources: subresources.map(([sub, g, v, k, vs]) => ({
          name: sub,
          group: g,
          version: v,
          kind: k,
          verbs: vs,
        })),
        preferred: own[0]!.version === version,
        enabledByDefault: isStable(version),
        storage: versions[0]!,
        versions,
      };
    })
    .sort(
      (a, b) =>
        (a.type.group < b.type.group ? -1 : a.type.group > b.type.group ? 1 : 0) ||
        compareVersions(a.type.version, b.type.version) ||
        (a.type.resource < b.type.resource ? -1 : 1),
    );
  return resources;
}
