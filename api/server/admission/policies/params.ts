import {
  type KubeObject,
  matchesLabels,
  type ParamKind,
  type ParamRef,
  parseApiVersion,
  selectorFromObject,
} from '@trimtab/machinery';
import type { ObjectReader } from '../../contracts.js';
import type { FullAttributes } from '../dynamic/view.js';

/**
 * The objects a binding gives to its policy, one evaluation each; `[undefined]`: one without parameters, `[]`: none at all.
 * Throws an Error that says what is missing or wrong.
 */
export async function paramsOf(
  kind: ParamKind | undefined,
  ref: ParamRef | undefined,
  attributes: FullAttributes,
  reader: ObjectReader,
): Promise<readonly (KubeObject | undefined)[]> {
  if (!kind || !ref) return [undefined];
  const { group, version } = parseApiVersion(kind.apiVersion ?? '');
  const found = attributes.request.kinds.findKind(group, version, kind.kind ?? '');
  const gvk = `${kind.apiVersion}, Kind=${kind.kind}`;
  if (!found) throw new Error(`failed to find resource referenced by paramKind: '${gvk}'`);
  const namespace = found.namespaced ? ref.namespace || attributes.namespace : '';
  if (!found.namespaced && ref.namespace)
    throw new Error('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
  if (found.namespaced && namespace === '')
    throw new Error('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources');
  const { storage } = found;
  const params = ref.name
    ? [reader.get(storage.resource, namespace, ref.name)].filter((each) => each !== undefined)
    : selected(ref, reader.list(storage.resource, found.namespaced ? namespace : undefined));
  if (params.length === 0) {
    if (ref.parameterNotFoundAction === 'Allow') return [];
    throw new Error('no params found for policy binding with `Deny` parameterNotFoundAction');
  }
  await storage.prepare?.(params, 'served');
  return params.map((each) => storage.fromStorage(each));
}

function selected({ selector }: ParamRef, objects: Iterable<KubeObject>): readonly KubeObject[] {
  const wanted = selectorFromObject(selector ?? {});
  return [...objects].filter((object) => matchesLabels(wanted, object.metadata.labels));
}
