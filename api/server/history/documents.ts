import { createJsonPatch, timestamp } from '@trimtab/machinery';
import type { Branch } from './branches.js';
import { placeOf } from './changes.js';
import type { Plan, Step } from './plan.js';

/** What `/trimtab/…` answers: plain JSON, described in `docs/history.md`. Pure. */

export function planDocument(plan: Plan, revision: number, done: boolean): object {
  return {
    kind: 'Plan',
    revision,
    done,
    steps: plan.steps.map(stepDocument),
    conflicts: plan.conflicts.map(({ kind, key, fields, reason }) => ({ ...placeOf(kind, key), fields, reason })),
  };
}

function stepDocument({ action, kind, key, object, present, fields }: Step): object {
  return {
    action,
    ...placeOf(kind, key),
    fields,
    ...(action === 'update' ? { patch: createJsonPatch(present, object) } : {}),
    ...(present ? { before: present } : {}),
    ...(object ? { after: object } : {}),
  };
}

export const branchDocument = ({ name, base, createdAt, store, writes }: Branch): object => ({
  kind: 'Branch',
  name,
  path: `/branches/${name}`,
  createdAt: timestamp(createdAt),
  base: base.revision,
  revision: store.revision,
  writes: writes.length,
});
