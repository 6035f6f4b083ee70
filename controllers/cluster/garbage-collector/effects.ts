import { change, concurrently, type Effect, remove } from '@trimtab/framework';
import type { KubeObject, ResourceType } from '@trimtab/machinery';
import { type Facts, FOREGROUND, ORPHAN } from './facts.js';

/** Writes that one judgement has under way at a time. */
const AT_ONCE = 50;

/** An owner's references go before its finalizer does: a crash between them begins again where it was. */
export const releaseDependents = ({ object, dependents }: Facts): readonly Effect[] => {
  const releases = dependents.flatMap((dependent) => drop(dependent.type, dependent.object, [object.metadata.uid!]));
  const groups = Array.from({ length: Math.ceil(releases.length / AT_ONCE) }, (_, i) =>
    releases.slice(i * AT_ONCE, (i + 1) * AT_ONCE),
  );
  return groups.flatMap(concurrently);
};

export const dropOrphan = ({ type, object }: Facts): readonly Effect[] => dropFinalizer(type, object, ORPHAN);

export const dropForeground = ({ type, object }: Facts): readonly Effect[] => dropFinalizer(type, object, FOREGROUND);

/** Another owner still counts. */
export const leaveLost = ({ type, object, lost }: Facts): readonly Effect[] => drop(type, object, lost);

export const unblockOwners = ({ type, object }: Facts): readonly Effect[] =>
  change(type, object, (draft) => {
    draft.metadata.ownerReferences = object.metadata.ownerReferences?.map((reference) => ({
      ...reference,
      blockOwnerDeletion: false,
    }));
  });

export const deleteForeground = (facts: Facts): readonly Effect[] => destroy(facts, 'Foreground');

/** What it was told about its own dependents still holds. */
export const deleteAsTold = (facts: Facts): readonly Effect[] => {
  const { finalizers = [] } = facts.object.metadata;
  if (finalizers.includes(ORPHAN)) return destroy(facts, 'Orphan');
  return destroy(facts, finalizers.includes(FOREGROUND) ? 'Foreground' : 'Background');
};

/** Only the very state that was judged: whoever gave it a new owner meanwhile has saved it. */
function destroy(
  { type, object }: Facts,
  propagationPolicy: 'Orphan' | 'Background' | 'Foreground',
): readonly Effect[] {
  const { resourceVersion } = object.metadata;
  return [remove(type, object, { propagationPolicy, ...(resourceVersion ? { resourceVersion } : {}) })];
}

const drop = (type: ResourceType, object: KubeObject, uids: readonly string[]): readonly Effect[] =>
  change(type, object, (draft) => {
    const kept = (object.metadata.ownerReferences ?? []).filter(({ uid }) => !uids.includes(uid));
    if (kept.length > 0) draft.metadata.ownerReferences = kept;
    else delete draft.metadata.ownerReferences;
  });

const dropFinalizer = (type: ResourceType, object: KubeObject, finalizer: string): readonly Effect[] =>
  change(type, object, (draft) => {
    const kept = (object.metadata.finalizers ?? []).filter((other) => other !== finalizer);
    if (kept.length > 0) draft.metadata.finalizers = kept;
    else delete draft.metadata.finalizers;
  });
