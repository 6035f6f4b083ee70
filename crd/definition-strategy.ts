import {
  type CustomResourceDefinition,
  causes,
  equalJson,
  fieldPath,
  type KubeObject,
  type StatusCause,
} from '@trimtab/machinery';
import type { Strategy } from '@trimtab/server';
import { validateApproval } from './approval.js';
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
  validate: (object) => [...validateDefinition(of(object)), ...validateApproval(of(object), undefined)],
  validateUpdate(object, old, subresource) {
    if (subresource !== '')
      return [...storedVersions(of(object), of(object).spec), ...storageVersion(of(object), of(old))];
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
    return [
      // What was taken once is not judged again by rules that have come since.
      ...(equalJson(before, after) ? [] : validateDefinition(of(object))),
      ...immutable,
      ...validateApproval(of(object), of(old)),
      ...storedVersions(of(old), after),
    ];
  },
};

/** Objects may lie in every version that was ever stored, so each of them must stay, until its objects were rewritten. */
function storedVersions(
  { status }: CustomResourceDefinition,
  spec: CustomResourceDefinition['spec'],
): readonly StatusCause[] {
  const at = fieldPath('status', 'storedVersions');
  const stored = status?.storedVersions ?? [];
  const names = new Set(spec.versions.map(({ name }) => name));
  return stored.flatMap((version, index) =>
    names.has(version) ? [] : [causes.invalid(at.index(index), version, 'must appear in spec.versions')],
  );
}

/** The version objects are written in now cannot be one that none of them is in. */
function storageVersion(
  { spec, status }: CustomResourceDefinition,
  old: CustomResourceDefinition,
): readonly StatusCause[] {
  const storage = spec.versions.find((version) => version.storage)?.name;
  const stored = status?.storedVersions ?? [];
  if (storage === undefined || stored.includes(storage) || equalJson(stored, old.status?.storedVersions ?? []))
    return [];
  return [causes.invalid(fieldPath('status', 'storedVersions'), stored, `must have the storage version ${storage}`)];
}

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
