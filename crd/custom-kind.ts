import {
  type CustomResourceDefinition,
  type CustomResourceDefinitionVersion,
  causes,
  customFieldLabels,
  decodeStructural,
  type JSONSchemaProps,
  type KubeObject,
  type StatusCause,
  schemaFor,
  validateValue,
} from '@trimtab/machinery';
import type { ServedKind, Strategy, Subresource, Verb, WebhookCaller } from '@trimtab/server';
import { storageOf } from './custom-storage.js';
import { evaluateRules } from './evaluate-rules.js';
import { compileRules } from './rules.js';
import { objectSchema } from './structural-schema.js';

const VERBS: readonly Verb[] = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];

/** The kinds an established definition serves, one a served version. */
export function customKinds(definition: CustomResourceDefinition, webhooks?: WebhookCaller): readonly ServedKind[] {
  return definition.spec.versions
    .filter(({ served }) => served)
    .map((version) => customKind(definition, version, webhooks));
}

function customKind(
  definition: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  webhooks: WebhookCaller | undefined,
): ServedKind {
  const { spec } = definition;
  const { group, names } = spec;
  const props = version.schema?.openAPIV3Schema;
  const schema = objectSchema(props);
  const served = { group, version: version.name, kind: names.kind };
  const { status, scale } = version.subresources ?? {};
  return {
    ...served,
    resource: names.plural,
    namespaced: spec.scope === 'Namespaced',
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    listKind: names.listKind ?? `${names.kind}List`,
    // Objects of a definition that is going may still be changed, so that they can be let go.
    verbs: definition.metadata.deletionTimestamp ? VERBS.filter((verb) => verb !== 'create') : VERBS,
    schema,
    decode: (value, { defaults = true } = {}) => decodeStructural<KubeObject>(schema, value, { defaults }),
    storage: storageOf(definition, version, schema, webhooks),
    strategy: strategyOf(version),
    subresources: {
      ...(status ? { status: subresource('status', served, schema) } : {}),
      ...(scale ? { scale: { ...subresource('scale', SCALE, schemaFor(SCALE)), scale: paths(scale) } } : {}),
    },
    fieldLabels: customFieldLabels(version.selectableFields),
    custom: true,
    generation: true,
    printerColumns: version.additionalPrinterColumns ?? [],
    ...(version.deprecated
      ? { deprecation: version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated` }
      : {}),
  };
}

const SCALE = { group: 'autoscaling', version: 'v1', kind: 'Scale' } as const;

const subresource = (name: string, type: Subresource['type'], schema: Subresource['schema']): Subresource => ({
  name,
  type,
  verbs: ['get', 'patch', 'update'],
  schema,
});

const paths = (scale: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string }) => ({
  specReplicas: scale.specReplicasPath.replace(/^\./, ''),
  statusReplicas: scale.statusReplicasPath.replace(/^\./, ''),
  ...(scale.labelSelectorPath ? { selector: scale.labelSelectorPath.replace(/^\./, '') } : {}),
});

function strategyOf({ schema, subresources }: CustomResourceDefinitionVersion): Strategy {
  const check = validatorOf(schema?.openAPIV3Schema);
  return {
    allowUnconditionalUpdate: false,
    // With a status subresource nobody but it writes the status, from the very beginning.
    ...(subresources?.status ? { prepareForCreate: withoutStatus } : {}),
    validate: (object) => check(object),
    validateUpdate: (object, old) => check(object, old),
  };
}

/** Errors after which rules would only repeat what is wrong, or fail. */
const BLOCKING = new Set(['FieldValueRequired', 'FieldValueTooLong', 'FieldValueTooMany', 'FieldValueTypeInvalid']);
const UNCHECKED =
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';

/** Schema first, then the rules; they are compiled when the first object is judged. */
function validatorOf(
  props: JSONSchemaProps | undefined,
): (object: KubeObject, old?: KubeObject) => readonly StatusCause[] {
  if (props === undefined) return () => [];
  const rules = lazily(() => compileRules(props));
  return (object, old) => {
    const found = validateValue(props, object, undefined, old);
    const node = rules();
    if (node === undefined) return found;
    if (found.some(({ reason }) => BLOCKING.has(reason ?? '')))
      return [...found, causes.invalid('<nil>', undefined, UNCHECKED)];
    return [...found, ...evaluateRules(node, object, old)];
  };
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function withoutStatus(object: KubeObject): KubeObject {
  if (!('status' in object)) return object;
  const { status: _, ...rest } = object;
  return rest as KubeObject;
}
