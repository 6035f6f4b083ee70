// From the API's paths to one row a resource, and to the ResourceType constants.

const COLLECTION = { list: 'list', post: 'create', deletecollection: 'deletecollection' };
const ITEM = { get: 'get', put: 'update', patch: 'patch', delete: 'delete', post: 'create' };
const PROXY = ['create', 'delete', 'get', 'patch', 'update'];

/** Rows are [group, version, plural, kind, namespaced, verbs, [[subresource, group, version, kind, verbs]]]. */
export function resourceRows(paths) {
  const rows = new Map();
  const pattern =
    /^\/(?:api|apis\/([^/]+))\/(v[^/]+)(\/watch)?(\/namespaces\/\{namespace\})?\/([^/{]+)(\/\{name\})?(?:\/([^/{]+))?$/;
  for (const [path, { gvk, actions }] of Object.entries(paths)) {
    const match = pattern.exec(path);
    if (!match) continue;
    const [, group = '', version, watch, namespaced, plural, item, subresource] = match;
    const id = `${group}/${version}/${plural}`;
    if (!rows.has(id))
      rows.set(id, { group, version, plural, kind: gvk.kind, namespaced: false, verbs: new Set(), sub: new Map() });
    const row = rows.get(id);
    if (subresource) {
      const verbs = new Set();
      for (const action of Object.keys(actions)) {
        if (action !== 'connect') verbs.add(ITEM[action]);
        else for (const v of subresource === 'proxy' ? PROXY : ['create', 'get']) verbs.add(v);
      }
      row.sub.set(subresource, [subresource, gvk.group, gvk.version, gvk.kind, [...verbs].sort()]);
      continue;
    }
    row.kind = gvk.kind;
    row.namespaced ||= namespaced !== undefined;
    if (watch) row.verbs.add('watch');
    else for (const action of Object.keys(actions)) row.verbs.add((item ? ITEM : COLLECTION)[action]);
  }
  return [...rows.values()].map((r) => [
    r.group,
    r.version,
    r.plural,
    r.kind,
    r.namespaced,
    [...r.verbs].sort(),
    [...r.sub.values()].sort((a, b) => (a[0] < b[0] ? -1 : 1)),
  ]);
}

/** The kind's plural with the kind's capitals: NetworkPolicy and networkpolicies give NetworkPolicies. */
function pluralKind(kind, plural) {
  const lower = kind.toLowerCase();
  let same = 0;
  while (same < lower.length && lower[same] === plural[same]) same++;
  return kind.slice(0, same) + plural.slice(same);
}

export function resourceConstants(rows, definitions, short) {
  const definitionOf = new Map();
  for (const [name, d] of Object.entries(definitions))
    if (d.gvk?.length === 1) definitionOf.set(`${d.gvk[0].group}/${d.gvk[0].version}/${d.gvk[0].kind}`, name);
  const types = new Set();
  const lines = rows.map(([group, version, resource, kind, namespaced]) => {
    const type = short.get(definitionOf.get(`${group}/${version}/${kind}`));
    types.add(type);
    let name = pluralKind(kind, resource) + type.slice(kind.length);
    if (name === type) name += 'Resource';
    const value = `{ group: '${group}', version: '${version}', kind: '${kind}', resource: '${resource}', namespaced: ${namespaced} }`;
    return `export const ${name}: ResourceType<${type}> = ${value};`;
  });
  return [
    "import type { ResourceType } from '../object.js';",
    `import type { ${[...types].sort().join(', ')} } from './types.js';`,
    '',
    ...lines.sort(),
    '',
  ].join('\n');
}
