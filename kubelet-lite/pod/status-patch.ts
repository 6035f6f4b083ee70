import type { PodCondition, PodStatus } from '@trimtab/machinery';
import { PASSING_CONDITIONS } from './conditions.js';

/** Equal as the API sees it: key order does not matter, and absent, null and empty are one. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isEmpty(a) || isEmpty(b)) return isEmpty(a) && isEmpty(b);
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  const x = a as Readonly<Record<string, unknown>>;
  const y = b as Readonly<Record<string, unknown>>;
  if (Array.isArray(a) !== Array.isArray(b) || (Array.isArray(a) && a.length !== (b as unknown[]).length)) return false;
  for (const key in x) if (!same(x[key], y[key])) return false;
  for (const key in y) if (!(key in x) && !isEmpty(y[key])) return false;
  return true;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (typeof value !== 'object') return false;
  for (const _ in value) return false;
  return true;
}

/**
 * The smallest strategic merge patch that turns one status into the other, or undefined when there is nothing to do.
 * Conditions are merged by type, so those of other writers stay; addresses are merged by ip, so replaced ones are
 * deleted by name; lists of container statuses are atomic.
 */
export function statusPatch(before: PodStatus, after: PodStatus): object | undefined {
  const patch: Record<string, unknown> = {};
  const compare = (key: keyof PodStatus) => {
    if (!same(before[key], after[key])) patch[key] = after[key] ?? null;
  };
  for (const key of Object.keys(after) as (keyof PodStatus)[])
    if (key !== 'conditions' && key !== 'podIPs' && key !== 'hostIPs') compare(key);
  for (const key of ['reason', 'message'] as const) if (!(key in after)) compare(key);
  const conditions = (after.conditions ?? []).filter((c) => !isSaid(c, before.conditions));
  const over = (before.conditions ?? []).filter(
    ({ type }) => PASSING_CONDITIONS.includes(type) && !after.conditions?.some((c) => c.type === type),
  );
  if (conditions.length + over.length > 0)
    patch.conditions = [
      ...over.map(({ type }) => ({ $patch: 'delete', type })),
      ...conditions.map((c) => ({ reason: null, message: null, ...c })),
    ];
  for (const key of ['podIPs', 'hostIPs'] as const) {
    const from = before[key] ?? [];
    const to = after[key] ?? [];
    if (after[key] === undefined || same(from, to)) continue;
    const stale = from.filter((a) => !to.some((b) => b.ip === a.ip)).map(({ ip }) => ({ $patch: 'delete', ip }));
    patch[key] = [...stale, ...to];
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

/** Whether the condition is among these, but for its times. */
const isSaid = (condition: PodCondition, among: PodStatus['conditions'] = []): boolean => {
  const { type, status, reason, message, observedGeneration } = condition;
  const before = among.find((c) => c.type === type);
  return (
    before?.status === status &&
    (before.reason ?? '') === (reason ?? '') &&
    (before.message ?? '') === (message ?? '') &&
    (before.observedGeneration ?? undefined) === (observedGeneration ?? undefined)
  );
};
