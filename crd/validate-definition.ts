import {
  type CustomResourceDefinition,
  causes,
  type FieldPath,
  fieldPath,
  type JSONSchemaProps,
  type StatusCause,
} from '@trimtab/machinery';
import { RE2JS } from 're2js';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** What makes a CustomResourceDefinition unusable, in Kubernetes' words where it has any. */
export function validateDefinition({ metadata, spec }: CustomResourceDefinition): readonly StatusCause[] {
  const found: StatusCause[] = [];
  const at = fieldPath('spec');
  const { names } = spec;
  if (!SUBDOMAIN.test(spec.group ?? '') || !spec.group.includes('.'))
    found.push(causes.invalid(at.child('group'), spec.group, 'should be a domain with at least one dot'));
  if (metadata.name !== `${names?.plural}.${spec.group}`)
    found.push(
      causes.invalid(fieldPath('metadata', 'name'), metadata.name, 'must be spec.names.plural+"."+spec.group'),
    );
  if (spec.scope !== 'Namespaced' && spec.scope !== 'Cluster')
    found.push(causes.notSupported(at.child('scope'), spec.scope, ['Cluster', 'Namespaced']));
  for (const field of ['plural', 'kind'] as const)
    if (!names?.[field]) found.push(causes.required(at.child('names', field)));
    else if (!LABEL.test(names[field].toLowerCase()))
      found.push(causes.invalid(at.child('names', field), names[field], 'a DNS-1035 label must start with a letter'));
  const { strategy = 'None' } = spec.conversion ?? {};
  if (strategy !== 'None') found.push(causes.notSupported(at.child('conversion', 'strategy'), strategy, ['None']));
  const versions = spec.versions ?? [];
  if (versions.length === 0) found.push(causes.required(at.child('versions'), 'must have at least one version'));
  if (versions.length > 0 && versions.filter(({ storage }) => storage).length !== 1)
    found.push(
      causes.invalid(at.child('versions'), undefined, 'must have exactly one version marked as storage version'),
    );
  const seen = new Set<string>();
  versions.forEach((version, index) => {
    const here = at.child('versions').index(index);
    if (!LABEL.test(version.name ?? ''))
      found.push(causes.invalid(here.child('name'), version.name, 'must be a DNS-1123 label'));
    if (seen.has(version.name)) found.push(causes.duplicate(here.child('name'), version.name));
    seen.add(version.name);
    const schema = version.schema?.openAPIV3Schema;
    if (schema === undefined)
      found.push(causes.required(here.child('schema', 'openAPIV3Schema'), 'schemas are required'));
    else {
      const root = here.child('schema', 'openAPIV3Schema');
      if (schema.type && schema.type !== 'object')
        found.push(causes.invalid(root.child('type'), schema.type, 'must be object at the root'));
      structural(schema, root, found, 'at the root');
    }
    for (const column of version.additionalPrinterColumns ?? [])
      if (!column.jsonPath) found.push(causes.required(here.child('additionalPrinterColumns').child('jsonPath')));
  });
  return found;
}

const FIELD = 'for specified object fields';
const COMBINATIONS = ['allOf', 'anyOf', 'oneOf'] as const;

/** The rules of structural schemas (KEP-1002): a type everywhere, no new shape inside logical combinations, no `$ref`. */
function structural(props: JSONSchemaProps, at: FieldPath, found: StatusCause[], place: string): void {
  const free = props['x-kubernetes-int-or-string'] || props['x-kubernetes-preserve-unknown-fields'];
  if (!props.type && !free) found.push(causes.required(at.child('type'), `must not be empty ${place}`));
  if (props.$ref) found.push(causes.forbidden(at.child('$ref'), '$ref is not supported'));
  if (props.uniqueItems)
    found.push(
      causes.forbidden(
        at.child('uniqueItems'),
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  if (Array.isArray(props.items))
    found.push(causes.forbidden(at.child('items'), 'items must be a schema object and not an array'));
  if (props.properties && props.additionalProperties)
    found.push(
      causes.forbidden(at.child('additionalProperties'), 'additionalProperties and properties are mutual exclusive'),
    );
  if (props['x-kubernetes-list-type'] === 'map' && !props['x-kubernetes-list-map-keys']?.length)
    found.push(
      causes.required(at.child('x-kubernetes-list-map-keys'), 'must not be empty if x-kubernetes-list-type is map'),
    );
  if (props.pattern !== undefined && !compiles(props.pattern))
    found.push(causes.invalid(at.child('pattern'), props.pattern, "must be a valid regular expression, but isn't"));
  for (const [name, child] of Object.entries(props.properties ?? {}))
    structural(child, at.child('properties').key(name), found, FIELD);
  if (isSchema(props.items)) structural(props.items, at.child('items'), found, 'for specified array items');
  if (isSchema(props.additionalProperties))
    structural(props.additionalProperties, at.child('additionalProperties'), found, FIELD);
  for (const key of COMBINATIONS)
    for (const [index, schema] of (props[key] ?? []).entries())
      combined(schema, at.child(key).index(index), found, Boolean(props['x-kubernetes-int-or-string']));
  if (props.not) combined(props.not, at.child('not'), found);
}

/** Inside a combination only constraints may stand: what shapes the object must be outside. Integers or strings may say so. */
function combined(props: JSONSchemaProps, at: FieldPath, found: StatusCause[], typed = false): void {
  for (const field of ['description', 'default', 'additionalProperties', 'nullable'] as const)
    if (props[field] !== undefined) found.push(causes.forbidden(at.child(field), 'must be undefined to be structural'));
  if (props.type !== undefined && !typed)
    found.push(causes.forbidden(at.child('type'), 'must be empty to be structural'));
  for (const [name, child] of Object.entries(props.properties ?? {}))
    combined(child, at.child('properties').key(name), found);
  if (isSchema(props.items)) combined(props.items, at.child('items'), found);
}

/** Rules this version accepts without holding objects to them; the author is told at once. */
export function definitionWarnings({ spec }: CustomResourceDefinition): readonly string[] {
  return (spec.versions ?? []).flatMap(({ name, schema }) =>
    schema?.openAPIV3Schema && hasRules(schema.openAPIV3Schema)
      ? [
          `spec.versions[name=${name}]: x-kubernetes-validations are stored and published, but not evaluated by this version`,
        ]
      : [],
  );
}

function hasRules(props: JSONSchemaProps): boolean {
  const children = [
    ...Object.values(props.properties ?? {}),
    ...[props.items, props.additionalProperties].filter(isSchema),
  ];
  return (props['x-kubernetes-validations']?.length ?? 0) > 0 || children.some(hasRules);
}

const isSchema = (value: unknown): value is JSONSchemaProps =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function compiles(pattern: string): boolean {
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    return false;
  }
}
