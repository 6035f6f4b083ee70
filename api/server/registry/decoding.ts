import {
  apiVersionOf,
  badRequest,
  type Decoded,
  invalid,
  type KubeObject,
  parseApiVersion,
  type TypeMeta,
} from '@trimtab/machinery';
import type { RequestContext } from './context.js';
import type { ServedKind } from './served-kind.js';

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

type GroupVersion = { readonly group: string; readonly version: string; readonly kind: string };

/** What a body may be wrong about and still be taken, by the field validation the client asked for. */
export function acceptDecoded<T>(
  gvk: GroupVersion,
  decoded: Decoded<T>,
  duplicates: readonly string[],
  validation: FieldValidation,
  context: RequestContext,
): T {
  const cannot = `${gvk.kind} in version "${gvk.version}" cannot be handled as a ${gvk.kind}`;
  if (decoded.errors.length > 0) throw badRequest(`${cannot}: ${decoded.errors[0]!.message}`);
  const complaints = [...duplicates, ...decoded.unknown];
  if (complaints.length > 0 && validation === 'Strict')
    throw badRequest(`${cannot}: strict decoding error: ${complaints.join(', ')}`);
  if (validation === 'Warn') for (const c of complaints) context.warn(c);
  return decoded.value;
}

/** The same for the outcome of a patch, where the server answers 422 instead. */
export function acceptPatched(
  kind: ServedKind,
  name: string,
  decoded: Decoded<KubeObject>,
  patch: unknown,
  validation: FieldValidation,
  context: RequestContext,
): KubeObject {
  const refuse = (why: string) =>
    invalid(kind, name, [
      {
        reason: 'FieldValueInvalid',
        field: 'patch',
        message: `Invalid value: ${JSON.stringify(JSON.stringify(patch))}: ${why}`,
      },
    ]);
  if (decoded.errors.length > 0) throw refuse(decoded.errors[0]!.message);
  if (decoded.unknown.length > 0 && validation === 'Strict')
    throw refuse(`strict decoding error: ${decoded.unknown.join(', ')}`);
  if (validation === 'Warn') for (const c of decoded.unknown) context.warn(c);
  return decoded.value;
}

/** Refuses a body of another kind than the path's; one without a type is taken for it. */
export function checkType(gvk: GroupVersion, body: TypeMeta): void {
  for (const field of ['kind', 'apiVersion'] as const)
    if (typeof (body[field] ?? '') !== 'string')
      throw badRequest(
        `couldn't get version/kind; json parse error: cannot unmarshal ${kindOfJson(body[field])} into field ${field} of type string`,
      );
  if (body.kind && body.kind !== gvk.kind)
    throw badRequest(
      `${body.kind} in version "${parseApiVersion(body.apiVersion ?? '').version}" cannot be handled as a ${gvk.kind}: no kind "${body.kind}" is registered for version "${apiVersionOf(gvk)}"`,
    );
  if (body.apiVersion && body.apiVersion !== apiVersionOf(gvk))
    throw badRequest(
      `the API version in the data (${body.apiVersion}) does not match the expected API version (${apiVersionOf(gvk)})`,
    );
}

const kindOfJson = (value: unknown): string => (Array.isArray(value) ? 'array' : typeof value);
