import { isDeleting } from '@trimtab/framework';
import type { DaemonSet, Pod } from '@trimtab/machinery';
import { intOrPercent } from '../int-or-percent.js';
import { isOf, type Place } from './placement.js';

/** What a rolling update allows, in nodes; percentages are of the nodes that should have a pod, and round up. */
export interface Allowance {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

export const isRolling = (daemonSet: DaemonSet): boolean => daemonSet.spec?.updateStrategy?.type !== 'OnDelete';

/** Both zero would never move, so one may be unavailable. */
export function allowanceOf(daemonSet: DaemonSet, desired: number): Allowance {
  if (!isRolling(daemonSet)) return { maxSurge: 0, maxUnavailable: 0 };
  const { maxSurge = 0, maxUnavailable = 1 } = daemonSet.spec?.updateStrategy?.rollingUpdate ?? {};
  const surge = intOrPercent(maxSurge, desired, Math.ceil);
  const unavailable = intOrPercent(maxUnavailable, desired, Math.ceil);
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

/** The next step of a rolling update: old pods to delete, nodes to get a new pod beside the old one. */
export interface Rollout {
  readonly remove: readonly Pod[];
  readonly surgeOn: readonly string[];
}

export interface RolloutRules extends Allowance {
  readonly hash: string;
  readonly isAvailable: (pod: Pod) => boolean;
}

/** Kubernetes' order: pods that serve nobody go first and cost nothing, then as many others as are allowed. */
export const rolloutOf = (places: readonly Place[], rules: RolloutRules): Rollout =>
  rules.maxSurge > 0 ? surging(places, rules) : replacing(places, rules);

function replacing(places: readonly Place[], { hash, isAvailable, maxUnavailable }: RolloutRules): Rollout {
  const free: Pod[] = [];
  const costly: Pod[] = [];
  let unavailable = 0;
  for (const place of places) {
    const { current, old } = pairOn(place, hash);
    if (!old) unavailable += current && isAvailable(current) ? 0 : Number(place.should || current !== undefined);
    else if (current) unavailable++;
    else if (isAvailable(old)) costly.push(old);
    else {
      free.push(old);
      unavailable++;
    }
  }
  return { remove: [...free, ...costly.slice(0, Math.max(0, maxUnavailable - unavailable))], surgeOn: [] };
}

function surging(places: readonly Place[], { hash, isAvailable, maxSurge }: RolloutRules): Rollout {
  const remove: Pod[] = [];
  const free: string[] = [];
  const costly: string[] = [];
  let surge = 0;
  for (const place of places) {
    const { current, old } = pairOn(place, hash);
    if (!old) continue;
    if (!current) {
      if (!place.should) continue;
      (isAvailable(old) ? costly : free).push(place.node);
    } else if (isAvailable(current)) remove.push(old);
    else surge++;
  }
  return { remove, surgeOn: [...free, ...costly.slice(0, Math.max(0, maxSurge - surge))] };
}

function pairOn({ pods }: Place, hash: string): { readonly current: Pod | undefined; readonly old: Pod | undefined } {
  const present = pods.filter((pod) => !isDeleting(pod));
  return { current: present.find((pod) => isOf(pod, hash)), old: present.find((pod) => !isOf(pod, hash)) };
}
