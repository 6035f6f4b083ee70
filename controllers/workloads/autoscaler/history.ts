import type { HorizontalPodAutoscaler } from '@trimtab/machinery';
import { timestamp } from '@trimtab/machinery';

/** Where an autoscaler keeps what it cannot derive. */
export const HISTORY = 'autoscaling.trimtab.dev/history';

/** How often metrics are looked at (kube-controller-manager: horizontal-pod-autoscaler-sync-period). */
export const PERIOD_MS = 15_000;

/** A number of replicas the metrics asked for, and until when; the last goes on. */
export interface Recommendation {
  readonly replicas: number;
  /** In milliseconds since the epoch; absent: still so. */
  readonly until?: number;
}

export interface Rescaling {
  readonly at: number;
  readonly from: number;
  readonly to: number;
}

/**
 * What was recommended and done, as far back as windows and periods reach. A recommendation that stays the same is written
 * once, so an autoscaler at rest writes nothing; one without any history has recommended what there is.
 */
export interface History {
  readonly recommendations: readonly Recommendation[];
  readonly rescalings: readonly Rescaling[];
}

type Written = readonly [readonly (readonly [number, string?])[], readonly (readonly [string, number, number])[]];

/** What is unreadable counts as none. */
export function historyOf({ metadata }: HorizontalPodAutoscaler, current: number): History {
  const none: History = { recommendations: [{ replicas: current }], rescalings: [] };
  const text = metadata.annotations?.[HISTORY];
  if (text === undefined) return none;
  try {
    const [recommendations, rescalings] = JSON.parse(text) as Written;
    return {
      recommendations: recommendations.map(([replicas, until]) => ({
        replicas,
        ...(until === undefined ? {} : { until: Date.parse(until) }),
      })),
      // One that was announced and never carried out did not happen.
      rescalings: rescalings
        .map(([at, from, to]) => ({ at: Date.parse(at), from, to }))
        .filter(({ from, to }, i, all) => i < all.length - 1 || !(from === current && to !== current)),
    };
  } catch {
    return none;
  }
}

export function historyText({ recommendations, rescalings }: History): string {
  const written: Written = [
    recommendations.map(({ replicas, until }) => (until === undefined ? [replicas] : [replicas, timestamp(until)])),
    rescalings.map(({ at, from, to }) => [timestamp(at), from, to]),
  ];
  return JSON.stringify(written);
}

/** With this recommendation made now; the very same history when it was the last already. */
export function recommend(history: History, replicas: number, now: number, keepMs: number): History {
  const last = history.recommendations.at(-1);
  if (last?.replicas === replicas && last.until === undefined) return history;
  const recommendations = [
    ...history.recommendations.map((each) => (each.until === undefined ? { ...each, until: now - PERIOD_MS } : each)),
    { replicas },
  ].filter(({ until = now }) => until > now - keepMs);
  return { ...history, recommendations };
}

export const rescale = (history: History, from: number, to: number, now: number, keepMs: number): History => ({
  ...history,
  rescalings: [...history.rescalings.filter(({ at }) => at > now - keepMs), { at: now, from, to }],
});

/** The recommendations made within a window. */
export const recommendedWithin = ({ recommendations }: History, windowMs: number, now: number): readonly number[] =>
  recommendations.filter(({ until = now }) => until > now - windowMs).map(({ replicas }) => replicas);
