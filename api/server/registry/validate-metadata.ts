import type { KubeObject, ObjectMeta, StatusCause } from '@trimtab/machinery';
import { invalidValue, labelValueProblems, nameProblems, nameRule, qualifiedNameProblems } from './names.js';
import type { ServedKind } from './served-kind.js';

const maxAnnotationBytes = 256 * 1024;

/** Metadata rules all kinds share (apimachinery: api/validation/objectmeta.go). */
export function validateMetadata(kind: ServedKind, object: KubeObject): StatusCause[] {
  const causes: StatusCause[] = [];
  const { metadata } = object;
  const name = metadata.name ?? '';
  if (name === '')
    causes.push({
      reason: 'FieldValueRequired',
      field: 'metadata.name',
      message: 'Required value: name or generateName is required',
    });
  else
    for (const p of nameProblems(name, nameRule(kind.storage.resource)))
      causes.push(invalidValue('metadata.name', name, p));
  if (kind.namespaced) {
    if (!metadata.namespace)
      causes.push({ reason: 'FieldValueRequired', field: 'metadata.namespace', message: 'Required value' });
    else
      for (const p of nameProblems(metadata.namespace, 'label'))
        causes.push(invalidValue('metadata.namespace', metadata.namespace, p));
  } else if (metadata.namespace)
    causes.push({
      reason: 'FieldValueForbidden',
      field: 'metadata.namespace',
      message: 'Forbidden: not allowed on this type',
    });
  causes.push(...validateMaps(metadata), ...validateOwners(metadata));
  for (const f of metadata.finalizers ?? [])
    for (const p of qualifiedNameProblems(f)) causes.push(invalidValue('metadata.finalizers', f, p));
  return causes;
}

/** Whether all that {@link validateMetadata} looks at is, by identity, as it is stored. */
export const isMetadataAsStored = ({ metadata: now }: KubeObject, { metadata: old }: KubeObject): boolean =>
  now === old ||
  (now.name === old.name &&
    now.namespace === old.namespace &&
    now.labels === old.labels &&
    now.annotations === old.annotations &&
    now.ownerReferences === old.ownerReferences &&
    now.finalizers === old.finalizers);

function validateMaps(metadata: ObjectMeta): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    for (const p of qualifiedNameProblems(key)) causes.push(invalidValue('metadata.labels', key, p));
    for (const p of labelValueProblems(String(value))) causes.push(invalidValue('metadata.labels', value, p));
  }
  let bytes = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    for (const p of qualifiedNameProblems(key.toLowerCase())) causes.push(invalidValue('metadata.annotations', key, p));
    bytes += key.length + Buffer.byteLength(String(value));
  }
  if (bytes > maxAnnotationBytes)
    causes.push({
      reason: 'FieldValueTooLong',
      field: 'metadata.annotations',
      message: `Too long: may not be more than ${maxAnnotationBytes} bytes`,
    });
  return causes;
}

function validateOwners(metadata: ObjectMeta): StatusCause[] {
  const causes: StatusCause[] = [];
  let controller: string | undefined;
  for (const [i, o] of (metadata.ownerReferences ?? []).entries()) {
    const field = `metadata.ownerReferences[${i}]`;
    for (const f of ['apiVersion', 'kind', 'name', 'uid'] as const)
      if (!o[f]) causes.push(invalidValue(`${field}.${f}`, o[f] ?? '', 'must not be empty'));
    if (o.controller !== true) continue;
    if (controller !== undefined)
      causes.push(
        invalidValue(
          'metadata.ownerReferences',
          metadata.ownerReferences,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${o.name}`,
        ),
      );
    controller = o.name;
  }
  return causes;
}

/** What no update may do to metadata. The system's own fields have been restored from `old` before. */
export function validateMetadataUpdate(object: KubeObject, old: KubeObject): StatusCause[] {
  if (old.metadata.deletionTimestamp === undefined) return [];
  const had = new Set(old.metadata.finalizers);
  const added = (object.metadata.finalizers ?? []).filter((f) => !had.has(f));
  if (added.length === 0) return [];
  return [
    {
      reason: 'FieldValueForbidden',
      field: 'metadata.finalizers',
      message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((f) => JSON.stringify(f)).join(', ')}}`,
    },
  ];
}
