import type { PodGroups } from './pod-groups.js';

/** How far the ratio of use to target may be from one without anything being done. */
export interface Tolerance {
  readonly up: number;
  readonly down: number;
}

/** What a metric asks for; the reading it comes from. */
export interface Proposal {
  readonly replicas: number;
  /** In thousandths, of one pod on average. */
  readonly average: number;
  /** In percent of what is requested. */
  readonly utilization?: number;
}

/** Either a share of the requests, in percent, or an amount in thousandths. */
export type Target =
  | { readonly utilization: number; readonly requests: ReadonlyMap<string, number> }
  | { readonly amount: number };

/**
 * How many replicas a metric of pods asks for (kubernetes: pkg/controller/podautoscaler/replica_calculator.go). Pods
 * without a reading are taken to speak against a change: as full when there is too much, as idle when there is too little.
 * Throws with what is wrong where nothing can be said.
 */
export function replicasForPods(current: number, groups: PodGroups, target: Target, tolerance: Tolerance): Proposal {
  const { measured, unready, missing } = groups;
  if (measured.size === 0) throw new Error('did not receive metrics for targeted pods (pods might be unready)');
  const { ratio, ...told } = usage(measured, target);
  const growsUnready = unready.length > 0 && ratio > 1;
  if (!growsUnready && missing.length === 0)
    return { ...told, replicas: isWithin(ratio, tolerance) ? current : Math.ceil(ratio * measured.size) };
  const assumed = new Map(measured);
  if (ratio < 1) for (const pod of missing) assumed.set(pod, fullOf(pod, target));
  if (ratio > 1) for (const pod of missing) assumed.set(pod, 0);
  if (growsUnready) for (const pod of unready) assumed.set(pod, 0);
  const { ratio: cautious } = usage(assumed, target);
  const turned = (ratio < 1 && cautious > 1) || (ratio > 1 && cautious < 1);
  if (turned || isWithin(cautious, tolerance)) return { ...told, replicas: current };
  const replicas = Math.ceil(cautious * assumed.size);
  const wrongWay = (cautious < 1 && replicas > current) || (cautious > 1 && replicas < current);
  return { ...told, replicas: wrongWay ? current : replicas };
}

/** For a metric of something else, of which each pod that is ready stands for an equal part. */
export function replicasForValue(
  current: number,
  readyPods: number,
  value: number,
  target: number,
  tolerance: Tolerance,
): number {
  const ratio = value / target;
  if (current === 0) return Math.ceil(ratio);
  return isWithin(ratio, tolerance) ? current : Math.ceil(ratio * readyPods);
}

/** For a metric of something else that is divided among the replicas there are. */
export function replicasForAverage(
  present: number,
  value: number,
  target: number,
  tolerance: Tolerance,
): Pick<Proposal, 'replicas' | 'average'> {
  const replicas = isWithin(value / (target * present), tolerance) ? present : Math.ceil(value / target);
  return { replicas, average: present === 0 ? value : Math.ceil(value / present) };
}

const isWithin = (ratio: number, { up, down }: Tolerance): boolean => ratio >= 1 - down && ratio <= 1 + up;

function usage(
  measured: ReadonlyMap<string, number>,
  target: Target,
): Omit<Proposal, 'replicas'> & { readonly ratio: number } {
  let total = 0;
  let requested = 0;
  for (const [pod, value] of measured) {
    total += value;
    if ('requests' in target) requested += target.requests.get(pod) ?? 0;
  }
  const average = Math.trunc(total / measured.size);
  if (!('requests' in target)) return { average, ratio: average / target.amount };
  if (requested === 0) throw new Error('no metrics returned matched known pods');
  const utilization = Math.trunc((total * 100) / requested);
  return { average, utilization, ratio: utilization / target.utilization };
}

/** What a pod that says nothing is taken to use at the most it should. */
const fullOf = (pod: string, target: Target): number =>
  'requests' in target ? ((target.requests.get(pod) ?? 0) * Math.max(100, target.utilization)) / 100 : target.amount;
