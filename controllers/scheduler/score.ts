import { type Pod, podRequests, quantityNumber, type ResourceAmounts } from '@trimtab/machinery';
import { preferredNodeAffinity } from './node-affinity.js';
import type { NodeState } from './node-state.js';
import { untoleratedTaint } from './taints.js';

/**
 * Scores of the feasible nodes, higher is better, with kube-scheduler's plugins and default weights: least allocated 1,
 * balanced allocation 1, image locality 1, preferred node affinity 2, tolerated PreferNoSchedule taints 3.
 */
export function scoreNodes(pod: Pod, states: readonly NodeState[]): readonly number[] {
  const requests = podRequests(pod);
  const affinity = normalize(states.map(({ node }) => preferredNodeAffinity(pod, node)));
  const intolerable = normalize(states.map(({ node }) => preferNoSchedule(pod, node.spec?.taints ?? [])));
  return states.map(
    (state, i) =>
      leastAllocated(state, requests) +
      balancedAllocation(state, requests) +
      imageLocality(pod, state) +
      2 * affinity[i]! +
      3 * (100 - intolerable[i]!),
  );
}

/** To 0…100 by the largest. */
function normalize(values: readonly number[]): readonly number[] {
  const largest = Math.max(0, ...values);
  return values.map((value) => (largest === 0 ? 0 : (100 * value) / largest));
}

function preferNoSchedule(pod: Pod, taints: NonNullable<NonNullable<NodeState['node']['spec']>['taints']>): number {
  return taints.filter((taint) => untoleratedTaint(pod, [taint], ['PreferNoSchedule'])).length;
}

/** Containers that ask for nothing count as a little, so that many of them still spread. */
const DEFAULT_REQUEST: Readonly<Record<string, number>> = { cpu: 0.1, memory: 200 * 1024 * 1024 };

function fractions({ allocatable, requested }: NodeState, requests: ResourceAmounts): number[] {
  return ['cpu', 'memory'].flatMap((name) => {
    const capacity = allocatable.get(name);
    if (capacity === undefined || quantityNumber(capacity) === 0) return [];
    const wanted = requests.get(name);
    const used = requested.get(name);
    const total = (used ? quantityNumber(used) : 0) + (wanted ? quantityNumber(wanted) : DEFAULT_REQUEST[name]!);
    return [Math.min(1, total / quantityNumber(capacity))];
  });
}

function leastAllocated(state: NodeState, requests: ResourceAmounts): number {
  const used = fractions(state, requests);
  return used.length === 0 ? 0 : (100 * used.reduce((sum, f) => sum + (1 - f), 0)) / used.length;
}

/** 100 when cpu and memory are used in the same proportion. */
function balancedAllocation(state: NodeState, requests: ResourceAmounts): number {
  const used = fractions(state, requests);
  const mean = used.reduce((sum, f) => sum + f, 0) / Math.max(1, used.length);
  const deviation = Math.sqrt(used.reduce((sum, f) => sum + (f - mean) ** 2, 0) / Math.max(1, used.length));
  return 100 * (1 - deviation);
}

const MB = 1024 * 1024;

/** Linear between 23 MB and 1,000 MB a container of image bytes already on the node. */
function imageLocality(pod: Pod, { node }: NodeState): number {
  const containers = pod.spec?.containers ?? [];
  const sizes = new Map(
    (node.status?.images ?? []).flatMap((i) => (i.names ?? []).map((name) => [name, i.sizeBytes ?? 0])),
  );
  const present = containers.reduce((sum, { image = '' }) => sum + (sizes.get(image) ?? 0), 0);
  const [low, high] = [23 * MB, 1000 * MB * containers.length];
  return present <= low ? 0 : (100 * (Math.min(present, high) - low)) / (high - low);
}
