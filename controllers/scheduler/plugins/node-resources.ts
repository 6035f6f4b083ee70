import { formatQuantity, milliQuantity, quantityOf } from '@trimtab/machinery';
import type { NodeInfo } from '../node-info.js';
import type { PodInfo } from '../pod-info.js';
import type { Plugin, Refusal, Score } from './plugin.js';

/** What a node lacks of one resource. */
interface Shortage {
  readonly resource: string;
  readonly missing: number;
  /** More than the whole empty node has. */
  readonly hopeless: boolean;
}

function shortages(pod: PodInfo, node: NodeInfo): readonly Shortage[] {
  const found: Shortage[] = [];
  const { requests } = pod;
  const { allocatable, requested } = node;
  const check = (resource: string, wanted: number, total: number, used: number) => {
    if (wanted > 0 && wanted > total - used)
      found.push({ resource, missing: wanted - (total - used), hopeless: wanted > total });
  };
  if (node.podCount + 1 > node.allowedPods)
    found.push({ resource: 'pods', missing: node.podCount + 1 - node.allowedPods, hopeless: node.allowedPods === 0 });
  check('cpu', requests.cpu, allocatable.cpu, requested.cpu);
  check('memory', requests.memory, allocatable.memory, requested.memory);
  check('ephemeral-storage', requests.ephemeralStorage, allocatable.ephemeralStorage, requested.ephemeralStorage);
  for (const [name, wanted] of requests.extended ?? [])
    check(name, wanted, allocatable.extended?.get(name) ?? 0, requested.extended?.get(name) ?? 0);
  return found;
}

const amount = (resource: string, value: number): string =>
  formatQuantity(
    resource === 'cpu'
      ? milliQuantity(value)
      : quantityOf(Math.ceil(value), resource === 'memory' ? 'BinarySI' : 'DecimalSI'),
  );

/** Every resource that is short is named, as kube-scheduler does. */
const fitFilter: Plugin['prepareFilter'] = (pod) => (node) => {
  // Nearly every node is either free or full, so the cheap question comes first.
  const { requests } = pod;
  const { allocatable, requested } = node;
  if (
    node.podCount < node.allowedPods &&
    (requests.cpu === 0 || requests.cpu <= allocatable.cpu - requested.cpu) &&
    (requests.memory === 0 || requests.memory <= allocatable.memory - requested.memory) &&
    requests.ephemeralStorage === 0 &&
    requests.extended === undefined
  )
    return undefined;
  const short = shortages(pod, node);
  if (short.length === 0) return undefined;
  const refusal: Refusal = {
    reasons: short.map(({ resource }) => (resource === 'pods' ? 'Too many pods' : `Insufficient ${resource}`)),
  };
  return short.some(({ hopeless }) => hopeless) ? { ...refusal, unresolvable: true } : refusal;
};

const fitMend: Plugin['mend'] = (pod, node) =>
  shortages(pod, node).map(({ resource, missing, hopeless }) => {
    if (resource === 'pods') return `take a pod off node ${node.name}, or raise its limit of ${node.allowedPods} pods`;
    const lower = `lower the pod's ${resource} request by ${amount(resource, missing)}`;
    return hopeless ? lower : `${lower}, or free that much on node ${node.name}`;
  });

type Strategy = (used: number, capacity: number) => number;

const leastAllocated: Strategy = (used, capacity) =>
  capacity === 0 || used > capacity ? 0 : Math.floor(((capacity - used) * 100) / capacity);
const mostAllocated: Strategy = (used, capacity) =>
  capacity === 0 ? 0 : Math.floor((Math.min(used, capacity) * 100) / capacity);

/** cpu and memory weigh alike; a resource a node does not have does not count. */
function allocationScore(strategy: Strategy, pod: PodInfo): Score {
  const { cpu, memory } = pod.nonZero;
  return {
    of({ allocatable, nonZeroCpu, nonZeroMemory }) {
      const parts = (allocatable.cpu > 0 ? 1 : 0) + (allocatable.memory > 0 ? 1 : 0);
      if (parts === 0) return 0;
      const sum = strategy(nonZeroCpu + cpu, allocatable.cpu) + strategy(nonZeroMemory + memory, allocatable.memory);
      return Math.floor(sum / parts);
    },
  };
}

const fit = (strategy: Strategy): Plugin => ({
  name: 'NodeResourcesFit',
  prepareFilter: fitFilter,
  prepareScore: (pod) => allocationScore(strategy, pod),
  mend: fitMend,
  wakes: ['NodeAdded', 'NodeChanged', 'PodGone', 'PodChanged'],
});

/** Resources, and room for one more pod; prefers the emptier node. */
export const nodeResourcesFit = fit(leastAllocated);

/** Resources, and room for one more pod; fills nodes up before others are begun. */
export const nodeResourcesPacked = fit(mostAllocated);

/** 100 where cpu and memory would be used in the same proportion; no say for pods that ask for neither. */
export const nodeResourcesBalancedAllocation: Plugin = {
  name: 'NodeResourcesBalancedAllocation',
  prepareScore({ requests }) {
    if (requests.cpu === 0 && requests.memory === 0) return undefined;
    return {
      of({ allocatable, requested }) {
        if (allocatable.cpu === 0 || allocatable.memory === 0) return 100;
        const cpu = Math.min(1, (requested.cpu + requests.cpu) / allocatable.cpu);
        const memory = Math.min(1, (requested.memory + requests.memory) / allocatable.memory);
        return Math.floor((1 - Math.abs(cpu - memory) / 2) * 100);
      },
    };
  },
};
