import type { Deployment } from '@trimtab/machinery';
import { intOrPercent } from '../int-or-percent.js';

/** What a Deployment's strategy allows, in pods (kubernetes: deployment_util ResolveFenceposts and friends). */
export interface Allowance {
  readonly wanted: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

export const isRolling = (deployment: Deployment): boolean => deployment.spec?.strategy?.type !== 'Recreate';

/** Percentages of surge round up, of unavailability down; both zero would never move, so one may be unavailable. */
export function allowanceOf(deployment: Deployment): Allowance {
  const wanted = deployment.spec?.replicas ?? 1;
  if (!isRolling(deployment) || wanted === 0)
    return { wanted, maxSurge: isRolling(deployment) ? surgeOf(deployment, wanted) : 0, maxUnavailable: 0 };
  const maxSurge = surgeOf(deployment, wanted);
  const { maxUnavailable = '25%' } = deployment.spec?.strategy?.rollingUpdate ?? {};
  const unavailable = intOrPercent(maxUnavailable, wanted, Math.floor);
  const fence = maxSurge === 0 && unavailable === 0 ? 1 : unavailable;
  return { wanted, maxSurge, maxUnavailable: Math.min(fence, wanted) };
}

const surgeOf = (deployment: Deployment, wanted: number): number =>
  intOrPercent(deployment.spec?.strategy?.rollingUpdate?.maxSurge ?? '25%', wanted, Math.ceil);
