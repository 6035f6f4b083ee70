import type { KubeObject, ResourceType } from '@trimtab/machinery';
import { changeStatus } from './change.js';
import { type Condition, withCondition } from './conditions.js';
import type { PatchEffect } from './effects.js';
import { controllerReference } from './owners.js';
import type { View } from './view.js';

/**
 * An object that belongs to `owner`: in its namespace, under its name unless it has one of its own, deleted with it. For
 * `apply`, which wants whole names.
 */
export function owned<P extends object>(
  type: ResourceType,
  owner: KubeObject,
  part: P & { readonly metadata?: KubeObject['metadata'] },
): P & KubeObject {
  const { namespace, name } = owner.metadata;
  return {
    ...part,
    metadata: { namespace, name: name!, ...part.metadata, ownerReferences: [controllerReference(type, owner)] },
  };
}

type Conditioned = KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } };

/** Sets one condition of the object a view is of; nothing when it is so already. */
export function setCondition(
  type: ResourceType,
  view: Pick<View, 'object' | 'now'>,
  condition: string,
  status: boolean | 'Unknown',
  reason: string,
  message = '',
): readonly PatchEffect[] {
  const object = view.object as Conditioned | undefined;
  if (!object) return [];
  const { generation } = object.metadata;
  const present = object.status?.conditions;
  const conditions = withCondition(
    present,
    {
      type: condition,
      status: status === 'Unknown' ? status : status ? 'True' : 'False',
      reason,
      message,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    },
    view.now,
  );
  if (conditions === present) return [];
  return changeStatus(type as ResourceType<Conditioned>, object, (draft) => {
    draft.status = { ...draft.status, conditions: [...conditions] };
  });
}
