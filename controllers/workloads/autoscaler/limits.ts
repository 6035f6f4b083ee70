import type { HorizontalPodAutoscaler, HPAScalingRules } from '@trimtab/machinery';
import { type History, type Rescaling, recommendedWithin } from './history.js';

/** kube-controller-manager: horizontal-pod-autoscaler-downscale-stabilization. */
const DOWNSCALE_STABILIZATION_S = 300;

export interface Limited {
  readonly replicas: number;
  readonly able: { readonly reason: string; readonly message: string };
  readonly limited: { readonly status: 'True' | 'False'; readonly reason: string; readonly message: string };
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** The longest any window or period of the specification looks back, in milliseconds. */
export function lookBackMs({ spec }: HorizontalPodAutoscaler): number {
  const of = (rules: HPAScalingRules | undefined, fallback: number) =>
    Math.max(
      rules?.stabilizationWindowSeconds ?? fallback,
      ...(rules?.policies ?? []).map(({ periodSeconds }) => periodSeconds),
    );
  return Math.max(of(spec.behavior?.scaleUp, 0), of(spec.behavior?.scaleDown, DOWNSCALE_STABILIZATION_S)) * 1000;
}

/** What is left of a wish after stabilization, rates and bounds (kubernetes: normalizeDesiredReplicas…). */
export function limit(
  { spec }: HorizontalPodAutoscaler,
  wish: number,
  current: number,
  history: History,
  bounds: Bounds,
  now: number,
): Limited {
  const { behavior } = spec;
  const up = behavior?.scaleUp?.stabilizationWindowSeconds ?? 0;
  const down = behavior?.scaleDown?.stabilizationWindowSeconds ?? DOWNSCALE_STABILIZATION_S;
  const within = (seconds: number) => recommendedWithin(history, seconds * 1000, now);
  const highest = Math.max(wish, ...within(down));
  const stabilized = behavior ? Math.min(highest, Math.max(current, Math.min(wish, ...within(up)))) : highest;
  const able =
    stabilized === wish
      ? { reason: 'ReadyForNewScale', message: 'recommended size matches current size' }
      : behavior && wish >= current
        ? {
            reason: 'ScaleUpStabilized',
            message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
          }
        : {
            reason: 'ScaleDownStabilized',
            message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
          };
  return { able, ...bounded(stabilized, current, behavior, history, bounds, now) };
}

type Behavior = HorizontalPodAutoscaler['spec']['behavior'];

function bounded(
  wish: number,
  current: number,
  behavior: Behavior,
  { rescalings }: History,
  { min, max }: Bounds,
  now: number,
): Omit<Limited, 'able'> {
  const is = (replicas: number, reason: string, message: string, status: 'True' | 'False' = 'True') => ({
    replicas,
    limited: { status, reason, message },
  });
  const tooMany = () => is(max, 'TooManyReplicas', 'the desired replica count is more than the maximum replica count');
  const tooFew = () =>
    is(
      min,
      'TooFewReplicas',
      min === 0
        ? 'the desired replica count is zero'
        : 'the desired replica count is less than the minimum replica count',
    );
  if (behavior ? wish > current : wish >= min) {
    const fastest = behavior
      ? Math.max(current, fastestUp(current, behavior.scaleUp, rescalings, now))
      : Math.max(2 * current, 4);
    if (wish > fastest && fastest < max)
      return is(fastest, 'ScaleUpLimit', 'the desired replica count is increasing faster than the maximum scale rate');
    if (wish > max) return tooMany();
  } else if (behavior && wish < current) {
    const fastest = Math.min(current, fastestDown(current, behavior.scaleDown, rescalings, now));
    if (wish < fastest && fastest > min)
      return is(
        fastest,
        'ScaleDownLimit',
        'the desired replica count is decreasing faster than the maximum scale rate',
      );
    if (wish < min) return tooFew();
  } else if (!behavior) return tooFew();
  return is(wish, 'DesiredWithinRange', 'the desired count is within the acceptable range', 'False');
}

const fastestUp = (current: number, rules: HPAScalingRules | undefined, done: readonly Rescaling[], now: number) =>
  fastest(current, rules, done, now, {
    better: Math.max,
    worse: Math.min,
    allow: (start, type, value) => (type === 'Pods' ? start + value : Math.ceil((start * (100 + value)) / 100)),
  });

const fastestDown = (current: number, rules: HPAScalingRules | undefined, done: readonly Rescaling[], now: number) =>
  fastest(current, rules, done, now, {
    better: Math.min,
    worse: Math.max,
    allow: (start, type, value) => (type === 'Pods' ? start - value : Math.trunc((start * (100 - value)) / 100)),
  });

interface Direction {
  readonly better: (...limits: number[]) => number;
  readonly worse: (...limits: number[]) => number;
  readonly allow: (start: number, type: string, value: number) => number;
}

/** How far the policies let the number go, counted from where it was when each one's period began. */
function fastest(
  current: number,
  rules: HPAScalingRules | undefined,
  done: readonly Rescaling[],
  now: number,
  { better, worse, allow }: Direction,
): number {
  const { policies = [], selectPolicy } = rules ?? {};
  if (selectPolicy === 'Disabled' || policies.length === 0) return current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const since = done.filter(({ at }) => at > now - periodSeconds * 1000);
    const start = since.reduce((replicas, { from, to }) => replicas - (to - from), current);
    return allow(start, type, value);
  });
  return (selectPolicy === 'Min' ? worse : better)(...limits);
}
