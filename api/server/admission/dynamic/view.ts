import type { DeleteOptions, WriteOptions } from '@trimtab/client';
import { apiVersionOf, type GroupVersionKind, type KubeObject, type Pod } from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionRequest } from '../../contracts.js';
import { scaleOf, withScale } from '../../registry/scale.js';
import type { ServedKind } from '../../registry/served-kind.js';

/** A request as webhooks and policies are told of it: the body's own kind, which subresources may have of their own. */
export interface AdmissionView {
  readonly operation: AdmissionAttributes['operation'];
  readonly kind: GroupVersionKind;
  readonly object?: KubeObject;
  readonly oldObject?: KubeObject;
  /** Whether `object` is of the resource's own kind, which can be converted to its other versions. */
  readonly whole: boolean;
  /** The object to go on with when `object` has become `changed`. */
  apply(changed: KubeObject): KubeObject;
}

export type FullAttributes = AdmissionAttributes & { readonly request: AdmissionRequest };

export function viewOf(attributes: FullAttributes): AdmissionView {
  const { operation, object, oldObject, subresource, request } = attributes;
  const { kind } = request;
  const sub = subresource === '' ? undefined : kind.subresources[subresource];
  if (operation === 'UPDATE' && sub?.scale && object) {
    const paths = sub.scale;
    return {
      operation,
      kind: sub.type,
      object: scaleOf(kind, paths, object),
      oldObject: oldObject && scaleOf(kind, paths, oldObject),
      whole: false,
      apply: (changed) => withScale(kind, paths, object, changed),
    };
  }
  if (operation === 'UPDATE' && subresource === 'binding' && object)
    return {
      operation: 'CREATE',
      kind: sub?.type ?? kind,
      object: bindingOf(attributes, object as Pod),
      whole: false,
      apply: () => object,
    };
  const own = sub && (operation === 'CREATE' || operation === 'CONNECT') ? sub.type : kind;
  return { operation, kind: own, object, oldObject, whole: own === kind, apply: (changed) => changed };
}

const bindingOf = ({ name, namespace }: AdmissionAttributes, pod: Pod): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace, uid: pod.metadata.uid },
    target: { kind: 'Node', name: pod.spec?.nodeName ?? '' },
  }) as KubeObject;

/** The other versions and groups that show the same objects and have the subresource asked for. */
export function equivalentsOf({ request, subresource }: FullAttributes): readonly ServedKind[] {
  const { kind, kinds } = request;
  const found: ServedKind[] = [];
  for (const other of kinds.all())
    if (
      other !== kind &&
      other.storage.resource === kind.storage.resource &&
      (subresource === '' || other.subresources[subresource] !== undefined)
    )
      found.push(other);
  return found;
}

/** The object in another version of its resource; custom kinds may have to ask a webhook for that. */
export async function convert(object: KubeObject, from: ServedKind, to: ServedKind): Promise<KubeObject> {
  if (from === to) return object;
  await from.storage.prepare?.([object], 'storage');
  const stored = from.storage.toStorage(object);
  await to.storage.prepare?.([stored], 'served');
  return to.storage.fromStorage(stored);
}

/** The request's options as an object of `meta.k8s.io/v1`; streams have none. */
export function optionsOf({ operation, request, dryRun }: FullAttributes): object | null {
  if (operation === 'CONNECT') return null;
  const kind = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions', DELETE: 'DeleteOptions' }[operation];
  const base = { kind, apiVersion: 'meta.k8s.io/v1', ...(dryRun ? { dryRun: ['All'] } : {}) };
  if (operation !== 'DELETE') {
    const { fieldManager, fieldValidation } = request.options as WriteOptions & { readonly fieldValidation?: string };
    return {
      ...base,
      ...(fieldManager ? { fieldManager } : {}),
      ...(fieldValidation ? { fieldValidation } : {}),
    };
  }
  const { gracePeriodSeconds, propagationPolicy, preconditions } = request.options as DeleteOptions;
  return {
    ...base,
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(preconditions ? { preconditions } : {}),
    ...(propagationPolicy ? { propagationPolicy } : {}),
  };
}

/** An object as a client of its version sends it: with its type. */
export function typedAs(kind: GroupVersionKind, object: KubeObject): KubeObject {
  const apiVersion = apiVersionOf(kind);
  if (object.apiVersion === apiVersion && object.kind === kind.kind) return object;
  const { apiVersion: _, kind: __, ...rest } = object;
  return { apiVersion, kind: kind.kind, ...rest };
}
