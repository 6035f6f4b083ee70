import type { KubeObject, OwnerReference } from '@trimtab/machinery';

export const ORPHAN = 'orphan';
export const FOREGROUND = 'foregroundDeletion';

/** How an owner stands towards its dependents: there, gone, or waiting for them to be deleted first. */
export type OwnerState = 'solid' | 'absent' | 'waiting';

export type Verdict =
  | { readonly action: 'keep' }
  /** Give up references to owners that no longer count, since another still does. */
  | { readonly action: 'release'; readonly uids: readonly string[] }
  | { readonly action: 'delete'; readonly propagationPolicy: 'Orphan' | 'Background' | 'Foreground' };

/**
 * What becomes of an object, from the live state of its owners (kubernetes: garbagecollector attemptToDeleteItem). An
 * object without owners, or already being deleted, is left alone.
 */
export function judge(
  { metadata }: KubeObject,
  owners: ReadonlyMap<string, OwnerState>,
  hasBlockingDependents: boolean,
): Verdict {
  const references = metadata.ownerReferences ?? [];
  if (references.length === 0 || metadata.deletionTimestamp) return { action: 'keep' };
  const inState = (state: OwnerState): readonly OwnerReference[] =>
    references.filter(({ uid }) => owners.get(uid) === state);
  const gone = [...inState('absent'), ...inState('waiting')].map(({ uid }) => uid);
  if (inState('solid').length > 0) return gone.length > 0 ? { action: 'release', uids: gone } : { action: 'keep' };
  if (inState('waiting').length > 0 && hasBlockingDependents)
    return { action: 'delete', propagationPolicy: 'Foreground' };
  if (metadata.finalizers?.includes(ORPHAN)) return { action: 'delete', propagationPolicy: 'Orphan' };
  if (metadata.finalizers?.includes(FOREGROUND)) return { action: 'delete', propagationPolicy: 'Foreground' };
  return { action: 'delete', propagationPolicy: 'Background' };
}
