import { isDeleting, type View } from '@trimtab/framework';
import type { Namespace } from '@trimtab/machinery';

/** Nothing is put into a namespace that is gone or going. */
export type NamespaceStanding = 'gone' | 'closing' | 'live';

export function standingOf({ object }: View<Namespace>): NamespaceStanding {
  if (object === undefined) return 'gone';
  return isDeleting(object) || object.status?.phase === 'Terminating' ? 'closing' : 'live';
}
