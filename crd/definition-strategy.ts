import { type CustomResourceDefinition, causes, fieldPath, type KubeObject } from '@trimtab/machinery';
import type { Strategy } from '@trimtab/server';
import { validateDefinition } from './validate-definition.js';

/** Keeps a definition until the objects made from it are gone. */
export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

const of = (object: KubeObject): CustomResourceDefinition => object as CustomResourceDefinition;

/** What is CustomResourceDefinitions' own: defaults of names, the clean-up finalizer, stored versions, validation. */
export const definitionStrategy: Strategy = {
  default(object) {
    const definition = of(object);
    const { names } = definition.spec ?? {};
    if (!names?.kind) return object;
    const { singular = names.kind.toLowerCase(), listKind = `${names.kind}List` } = names;
    const conversion = definition.spec.conversion ?? { strategy: 'None' };
    if (names.singular && names.listKind && definition.spec.conversion) return object;
    return {
      ...definition,
      spec: { ...definition.spec, names: { ...names, singular, listKind }, conversion },
    } as KubeObject;
  },
  prepareForCreate(object) {
    const finalizers = object.metadata.finalizers ?? [];
    const metadata = {
      ...object.metadata,
      finalizers: finalizers.includes(CLEANUP_FINALIZER) ? finalizers : [...finalizers, CLEANUP_FINALIZER],
    };
    return withStoredVersion({ ...object, metadata, status: undefined } as KubeObject);
  },
  prepareForUpdate: (object, _old, subresource) => (subresource === '' ? withStoredVersion(object) : object),
  validate: (object) => validateDefinition(of(object)),
  validateUpdate(object, old, subresource) {
    if (subresource !== '') return [];
    const [before, after] = [of(old).spec, of(object).spec];
    const fixed = [
      ['group', before.group, after.group],
      ['scope', before.scope, after.scope],
      ['names.kind', before.names.kind, after.names.kind],
      ['names.plural', before.names.plural, after.names.plural],
    ] as const;
    const immutable = fixed
      .filter(([, was, is]) => was !== is)
      .map(([field, , is]) => causes.invalid(fieldPath('spec', field), is, 'field is immutable'));
    const served = new Set(after.versions.map(({ name }) => name));
    const dropped = (of(old).status?.storedVersions ?? []).filter((version) => !served.has(version));
    const missing = dropped.map((version) =>
      causes.invalid('status.storedVersions', version, 'missing from spec.versions; objects may still be stored in it'),
    );
    return [...validateDefinition(of(object)), ...immutable, ...missing];
  },
};

function withStoredVersion(object: KubeObject): KubeObject {
  const { spec, status } = of(object);
  const storage = spec?.versions?.find((version) => version.storage)?.name;
  const stored = status?.storedVersions ?? [];
  if (storage === undefined || stored.includes(storage)) return object;
  const { conditions = [], acceptedNames = { plural: '', kind: '' } } = status ?? {};
  return {
    ...object,
    status: { ...status, conditions, acceptedNames, storedVersions: [...stored, storage] },
  } as KubeObject;
}
