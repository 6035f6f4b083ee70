import { timestamp } from '@trimtab/machinery';

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly observedGeneration?: number;
}

/**
 * The conditions with this one set. `lastTransitionTime` moves only when `status` changes; the very same array comes back
 * when nothing changes (apimachinery meta.SetStatusCondition).
 */
export function withCondition<C extends Condition>(
  conditions: readonly C[] | undefined,
  condition: C,
  now: number,
): readonly C[] {
  const present = conditions ?? [];
  const old = present.find((c) => c.type === condition.type);
  const moved = old?.status !== condition.status || old.lastTransitionTime === undefined;
  const next: C = {
    ...old,
    ...condition,
    lastTransitionTime: moved ? (condition.lastTransitionTime ?? timestamp(now)) : old.lastTransitionTime,
  };
  if (!old) return [...present, next];
  const same = (Object.keys(next) as (keyof C)[]).every((field) => next[field] === old[field]);
  return same ? present : present.map((c) => (c === old ? next : c));
}

export const conditionOf = <C extends Condition>(conditions: readonly C[] | undefined, type: string): C | undefined =>
  conditions?.find((condition) => condition.type === type);

export const isTrue = (conditions: readonly Condition[] | undefined, type: string): boolean =>
  conditionOf(conditions, type)?.status === 'True';
