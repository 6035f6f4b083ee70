// From definitions to TypeScript interfaces with short names.

/** Definitions that are not interfaces of their own, and what stands for them. */
const ALIASES = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': 'string',
  'io.k8s.apimachinery.pkg.apis.meta.v1.Time': 'string',
  'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime': 'string',
  'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1': '{ readonly [path: string]: Json }',
  'io.k8s.apimachinery.pkg.apis.meta.v1.Patch': 'Json',
  'io.k8s.apimachinery.pkg.runtime.RawExtension': 'Json',
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': 'number | string',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON': 'Json',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray':
    'JSONSchemaProps | readonly JSONSchemaProps[]',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool': 'JSONSchemaProps | boolean',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray':
    'JSONSchemaProps | readonly string[]',
};
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const BY_HAND = {
  ListMeta: 'object',
  ManagedFieldsEntry: 'object',
  ObjectMeta: 'object',
  OwnerReference: 'object',
  Status: 'status',
  StatusCause: 'status',
  StatusDetails: 'status',
};
const RENAMED = { 'io.k8s.apimachinery.pkg.version.Info': 'VersionInfo' };
const GROUPS = [
  'meta',
  'core',
  'apps',
  'batch',
  'autoscaling',
  'rbac',
  'networking',
  'admissionregistration',
  'apiextensions',
];

const upper = (word) => word[0].toUpperCase() + word.slice(1);

function place(name) {
  const [kind, version, group] = name.split('.').reverse();
  return { kind, version, group };
}

/** v2 before v1 before v1beta2 before v1beta1 before v1alpha1, as Kubernetes orders versions. */
export function versionRank(version) {
  const [, major, stage, minor] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? [];
  return (stage === 'alpha' ? 2e6 : stage === 'beta' ? 1e6 : 0) - 1000 * Number(major ?? 0) - Number(minor ?? 0);
}

/** Definition name to type name. The one that keeps the bare kind is a served kind, of the foremost group, of the preferred version. */
export function shortNames(definitions) {
  const rank = (name) => {
    const { group, version } = place(name);
    const i = GROUPS.indexOf(group);
    return [definitions[name].gvk ? 0 : 1, i < 0 ? GROUPS.length : i, versionRank(version)];
  };
  const before = (a, b) => {
    const [x, y] = [rank(a), rank(b)];
    for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i] - y[i];
    return a < b ? -1 : 1;
  };
  const out = new Map();
  const owner = new Map();
  for (const name of Object.keys(definitions).sort(before)) {
    const { kind, version, group } = place(name);
    const short = RENAMED[name] ?? kind;
    if (!owner.has(short)) {
      owner.set(short, group);
      out.set(name, short);
    } else out.set(name, short + (owner.get(short) === group ? '' : upper(group)) + upper(version));
  }
  return out;
}

export function typesSource(definitions, short) {
  const scalars = { string: 'string', integer: 'number', number: 'number', boolean: 'boolean' };
  const typeOf = (f) => {
    if (f.ref) return ALIASES[f.ref] ?? short.get(f.ref);
    if (f.type === 'array') {
      const item = typeOf(f.items);
      return item.includes('|')
        ? `readonly (${item})[]`
        : `readonly ${item.startsWith('readonly') ? `(${item})` : item}[]`;
    }
    if (f.type === 'object') return `{ readonly [key: string]: ${typeOf(f.values)} }`;
    return scalars[f.type];
  };
  const key = (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : `'${name}'`);
  const out = [];
  for (const name of [...short.keys()].sort((a, b) => (short.get(a) < short.get(b) ? -1 : 1))) {
    const type = short.get(name);
    if (ALIASES[name] || (name.startsWith(META) && BY_HAND[type])) continue;
    const { fields = {}, required = [], gvk } = definitions[name];
    const meta = fields.metadata?.ref;
    const comment = `/** ${name} */\n`;
    if (gvk && meta === `${META}ListMeta` && fields.items) {
      out.push(`${comment}export type ${type} = KubeList<${typeOf(fields.items.items)}>;\n`);
      continue;
    }
    const rooted = meta === `${META}ObjectMeta` && gvk;
    const typed = fields.apiVersion && fields.kind && gvk;
    const body = Object.entries(fields)
      .filter(([f]) => !(typed && (f === 'apiVersion' || f === 'kind')) && !(rooted && f === 'metadata'))
      .map(([f, spec]) => `  readonly ${key(f)}${required.includes(f) ? '' : '?'}: ${typeOf(spec)};\n`);
    const parent = rooted ? ' extends KubeObject' : typed ? ' extends TypeMeta' : '';
    out.push(`${comment}export interface ${type}${parent} {\n${body.join('')}}\n`);
  }
  const used = (file) =>
    Object.keys(BY_HAND).filter((n) => BY_HAND[n] === file && new RegExp(`\\b${n}\\b[^:?]`).test(out.join('')));
  const imports = [
    `import type { Json, KubeList, KubeObject, TypeMeta, ${used('object').join(', ')} } from '../object.js';`,
    ...(used('status').length ? [`import type { ${used('status').join(', ')} } from '../status.js';`] : []),
  ];
  return `${imports.join('\n')}\n\n${out.join('\n')}`;
}
