import type { KubeObject } from '@trimtab/machinery';
import type { ServedKind } from '../../registry/served-kind.js';
import { keepManagedFields } from './managed-fields.js';
import { convert, type FullAttributes } from './view.js';

/**
 * What was made of an object of `kind`, pruned and filled in as if a client had sent it, in the request's own version. Throws what
 * `refusal` makes of the first thing that is wrong with it.
 */
export async function asSent(
  made: unknown,
  before: KubeObject,
  kind: ServedKind,
  attributes: FullAttributes,
  refusal: (why: string) => Error,
): Promise<KubeObject> {
  const { errors, value } = kind.decode(made);
  if (errors.length > 0) throw refusal(errors[0]!.message);
  const filled = kind.strategy.default?.(value) ?? value;
  return convert(keepManagedFields(filled, before, attributes), kind, attributes.request.kind);
}
