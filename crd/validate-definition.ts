import {
  type CustomResourceDefinition,
  type CustomResourceDefinitionVersion,
  causes,
  equalJson,
  type FieldPath,
  fieldPath,
  type StatusCause,
} from '@trimtab/machinery';
import { validateConversion } from './validate-conversion.js';
import { type VersionPaths, validateVersion } from './validate-version.js';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/** What makes a CustomResourceDefinition unusable, in Kubernetes' words where it has any. */
export function validateDefinition({ metadata, spec }: CustomResourceDefinition): readonly StatusCause[] {
  const found: StatusCause[] = [];
  const at = fieldPath('spec');
  if (!spec.group) found.push(causes.required(at.child('group')));
  else if (!SUBDOMAIN.test(spec.group) || !spec.group.includes('.'))
    found.push(causes.invalid(at.child('group'), spec.group, 'should be a domain with at least one dot'));
  if (metadata.name !== `${spec.names?.plural}.${spec.group}`)
    found.push(
      causes.invalid(fieldPath('metadata', 'name'), metadata.name, 'must be spec.names.plural+"."+spec.group'),
    );
  if (!spec.scope) found.push(causes.required(at.child('scope')));
  else if (spec.scope !== 'Namespaced' && spec.scope !== 'Cluster')
    found.push(causes.notSupported(at.child('scope'), spec.scope, ['Cluster', 'Namespaced']));
  checkNames(spec, at.child('names'), found);
  found.push(...validateConversion(spec.conversion, at.child('conversion')));
  if (spec.preserveUnknownFields)
    found.push(
      causes.invalid(
        at.child('preserveUnknownFields'),
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  checkVersions(spec.versions ?? [], at, found);
  return found;
}

function checkNames({ names }: CustomResourceDefinition['spec'], at: FieldPath, found: StatusCause[]): void {
  const check = (field: string, where: FieldPath, value: string | undefined, needed: boolean) => {
    if (!value) {
      if (needed) found.push(causes.required(where));
    } else if (!LABEL_1035.test(field === 'kind' ? value.toLowerCase() : value) || value.length > 63)
      found.push(
        causes.invalid(
          where,
          value,
          field === 'kind' ? `may have mixed case, but should otherwise match: ${LABEL_TEXT}` : LABEL_TEXT,
        ),
      );
  };
  check('plural', at.child('plural'), names?.plural, true);
  check('singular', at.child('singular'), names?.singular, false);
  check('kind', at.child('kind'), names?.kind, true);
  check('kind', at.child('listKind'), names?.listKind, false);
  if (names?.kind && names.kind === names.listKind)
    found.push(causes.invalid(at.child('listKind'), names.listKind, 'kind and listKind may not be the same'));
  names?.shortNames?.forEach((name, index) => {
    check('shortName', at.child('shortNames').index(index), name, true);
  });
  names?.categories?.forEach((name, index) => {
    check('category', at.child('categories').index(index), name, true);
  });
}

function checkVersions(
  versions: readonly CustomResourceDefinitionVersion[],
  at: FieldPath,
  found: StatusCause[],
): void {
  const all = at.child('versions');
  if (versions.length === 0) found.push(causes.required(all, 'must have at least one version'));
  if (versions.length > 0 && versions.filter(({ storage }) => storage).length !== 1)
    found.push(causes.invalid(all, undefined, 'must have exactly one version marked as storage version'));
  const seen = new Set<string>();
  versions.forEach(({ name, deprecated, deprecationWarning }, index) => {
    const here = all.index(index);
    if (!LABEL.test(name ?? '')) found.push(causes.invalid(here.child('name'), name, 'must be a DNS-1123 label'));
    if (seen.has(name)) found.push(causes.duplicate(here.child('name'), name));
    seen.add(name);
    if (deprecationWarning !== undefined && !deprecated)
      found.push(
        causes.invalid(here.child('deprecationWarning'), deprecationWarning, 'can only be set for deprecated versions'),
      );
    if (deprecationWarning !== undefined && deprecationWarning.length > 256)
      found.push(causes.tooLong(here.child('deprecationWarning'), 256));
  });
  const judged: VersionPaths[] = [];
  versions.forEach((version, index) => {
    const paths = pathsOf(versions, index, at);
    // What all versions share is judged with the first of them.
    const again = judged[0] !== undefined && String(judged[0].schema) === String(paths.schema);
    judged.push(paths);
    if (!again || index === 0) found.push(...validateVersion(version, paths));
  });
}

function pathsOf(versions: readonly CustomResourceDefinitionVersion[], index: number, at: FieldPath): VersionPaths {
  const here = at.child('versions').index(index);
  const shared = (part: (version: CustomResourceDefinitionVersion) => unknown): boolean =>
    versions.every((version) => part(version) !== undefined && equalJson(part(version), part(versions[0]!)));
  const place = (common: boolean, top: string, own: string) => (common ? at.child(top) : here.child(own));
  return {
    schema: place(
      shared((v) => v.schema),
      'validation',
      'schema',
    ).child('openAPIV3Schema'),
    columns: place(
      shared((v) => v.additionalPrinterColumns),
      'additionalPrinterColumns',
      'additionalPrinterColumns',
    ),
    subresources: place(
      shared((v) => v.subresources),
      'subresources',
      'subresources',
    ),
    selectable: place(
      shared((v) => v.selectableFields),
      'selectableFields',
      'selectableFields',
    ),
  };
}
