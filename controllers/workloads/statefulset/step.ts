import { isDeleting } from '@trimtab/framework';
import type { Pod, StatefulSet } from '@trimtab/machinery';
import { intOrPercent } from '../int-or-percent.js';
import { isReady, isTerminal } from '../pods.js';
import { isMonotonic, isRolling, partitionOf, revisionOf } from './identity.js';

/** A place in the set, and the pod that holds it. */
export interface Slot {
  readonly ordinal: number;
  readonly pod: Pod | undefined;
  /** A claim of a former pod of this place has to go before it can be taken again. */
  readonly blocked: boolean;
}

/** What to do now (kubernetes: StatefulSetControl). At most one of these is not empty, in ordered sets one pod at a time. */
export interface Step {
  /** Ordinals, ascending. */
  readonly make: readonly number[];
  /** Pods that have ended and whose place is to be taken anew. */
  readonly recreate: readonly Pod[];
  readonly scaleDown: readonly Pod[];
  readonly update: readonly Pod[];
}

export interface StepRules {
  readonly set: StatefulSet;
  readonly slots: readonly Slot[];
  /** Pods beyond the wanted number, highest ordinal first. */
  readonly condemned: readonly Pod[];
  /** Name of the newest revision. */
  readonly updateRevision: string;
  readonly isAvailable: (pod: Pod) => boolean;
}

const NOTHING: Step = { make: [], recreate: [], scaleDown: [], update: [] };

export const isRunningAndReady = (pod: Pod): boolean => pod.status?.phase === 'Running' && isReady(pod);
const isHealthy = (pod: Pod | undefined): boolean => pod !== undefined && isRunningAndReady(pod) && !isDeleting(pod);

export function stepOf(rules: StepRules): Step {
  const { set } = rules;
  const filling = fill(rules);
  if (filling === 'waits') return NOTHING;
  if (filling.make.length + filling.recreate.length > 0) return filling;
  const scaleDown = scaledDown(rules);
  if (scaleDown === 'waits') return NOTHING;
  if (scaleDown.length > 0) return { ...NOTHING, scaleDown };
  return isRolling(set) ? { ...NOTHING, update: updated(rules) } : NOTHING;
}

/** Every place is taken before anything else; in ordered sets none before those below it are available. */
function fill({ set, slots, isAvailable }: StepRules): Step | 'waits' {
  const monotonic = isMonotonic(set);
  const make: number[] = [];
  const recreate: Pod[] = [];
  for (const { ordinal, pod, blocked } of slots) {
    if (!pod) {
      if (!blocked) make.push(ordinal);
      if (!monotonic) continue;
      return blocked ? 'waits' : { ...NOTHING, make };
    }
    if (isTerminal(pod)) {
      if (!isDeleting(pod)) recreate.push(pod);
      if (!monotonic) continue;
      return recreate.length > 0 ? { ...NOTHING, recreate } : 'waits';
    }
    if (monotonic && !(isHealthy(pod) && isAvailable(pod))) return 'waits';
  }
  return { ...NOTHING, make, recreate };
}

/** From the top; in ordered sets one at a time, and none while another is unhealthy, unless that one is the next to go. */
function scaledDown({ set, slots, condemned, isAvailable }: StepRules): readonly Pod[] | 'waits' {
  if (!isMonotonic(set)) return condemned.filter((pod) => !isDeleting(pod));
  const next = condemned[0];
  if (!next) return [];
  if (isDeleting(next)) return 'waits';
  const byOrdinal = [...slots.map(({ pod }) => pod), ...[...condemned].reverse()];
  const firstUnhealthy = byOrdinal.find((pod) => !isHealthy(pod));
  const fit = isHealthy(next) && isAvailable(next);
  return fit || next === firstUnhealthy ? [next] : 'waits';
}

/** From the top down to the partition; the next one when the one before is healthy. */
function updated(rules: StepRules): readonly Pod[] {
  const { set, slots, updateRevision, isAvailable } = rules;
  const most = maxUnavailableOf(set);
  const reached = slots.filter(({ ordinal }) => ordinal >= partitionOf(set) + (slots[0]?.ordinal ?? 0)).reverse();
  const isOutdated = (pod: Pod | undefined): pod is Pod =>
    pod !== undefined && !isDeleting(pod) && revisionOf(pod) !== updateRevision;
  if (most > 1) {
    const unavailable = slots.filter(({ pod }) => !(pod && isHealthy(pod) && isAvailable(pod))).length;
    return reached
      .map(({ pod }) => pod)
      .filter(isOutdated)
      .slice(0, Math.max(0, most - unavailable));
  }
  for (const { pod } of reached) {
    if (isOutdated(pod)) return [pod];
    if (!(pod && isHealthy(pod) && isAvailable(pod))) return [];
  }
  return [];
}

function maxUnavailableOf(set: StatefulSet): number {
  const value = set.spec?.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1;
  return Math.max(1, intOrPercent(value, set.spec?.replicas ?? 1, Math.floor));
}
