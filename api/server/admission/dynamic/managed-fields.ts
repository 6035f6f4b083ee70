import { decodeFieldSet, equalJson, type KubeObject } from '@trimtab/machinery';
import type { FullAttributes } from './view.js';

/**
 * The object with managed fields that can be read: what outdated webhooks make of them is given up, with a warning
 * (kubernetes: managedfields admission).
 */
export function keepManagedFields(object: KubeObject, before: KubeObject, attributes: FullAttributes): KubeObject {
  const { managedFields } = object.metadata;
  if (equalJson(managedFields, before.metadata.managedFields)) return object;
  try {
    for (const { fieldsV1 } of managedFields ?? []) decodeFieldSet(fieldsV1);
    return object;
  } catch (error) {
    attributes.warn(
      `.metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests: ${error instanceof Error ? error.message : error}`,
    );
    return { ...object, metadata: { ...object.metadata, managedFields: before.metadata.managedFields } };
  }
}
