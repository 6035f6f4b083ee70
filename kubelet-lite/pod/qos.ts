import type { Container, PodSpec } from '@trimtab/machinery';
import { parseQuantity, quantityMilliValue, quantityValue } from '@trimtab/machinery';
import type { ContainerParts } from './by-containers.js';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const COUNTED = ['cpu', 'memory'] as const;

const MOST_READ = 1_000;

/** Amounts that have been read: a cluster's pods ask for few different ones, and each is looked at with every pod that comes. */
const read = { milli: new Map<string | number, number>(), whole: new Map<string | number, number>() };

const amount = (list: Readonly<Record<string, string | number>> | undefined, resource: string): number => {
  const value = list?.[resource];
  return value === undefined ? 0 : amountOf(value, resource);
};

/** A quantity of CPU in millicores, of anything else in units. */
export function amountOf(value: string | number, resource: string): number {
  const known = resource === 'cpu' ? read.milli : read.whole;
  const before = known.get(value);
  if (before !== undefined) return before;
  const parsed = parseQuantity(value);
  const found = resource === 'cpu' ? quantityMilliValue(parsed) : quantityValue(parsed);
  if (known.size >= MOST_READ) known.clear();
  known.set(value, found);
  return found;
}

/** CPU in millicores, everything else in units; a missing request is the limit (API defaulting does the same). */
export function requestOf(c: Pick<Container, 'resources'>, resource: string): number {
  const { requests, limits } = c.resources ?? {};
  return amount(requests?.[resource] === undefined ? limits : requests, resource);
}

export function limitOf(c: Pick<Container, 'resources'>, resource: string): number {
  return amount(c.resources?.limits, resource);
}

/** Quality of service from requests and limits of all containers (immutable for a pod's life). */
export function qosClass(spec: ContainerParts): QosClass {
  const containers = spec.resources
    ? [{ resources: spec.resources }]
    : [...(spec.initContainers ?? []), ...spec.containers];
  let any = false;
  let guaranteed = true;
  for (const c of containers) {
    for (const resource of COUNTED) {
      const request = requestOf(c, resource);
      const limit = limitOf(c, resource);
      if (request > 0 || limit > 0) any = true;
      if (limit === 0 || request !== limit) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

/** What the pod asks of the node: max over time of what runs together, plus overhead. */
export function podRequest(spec: ContainerParts, resource: string): number {
  let sidecars = 0;
  let peak = 0;
  for (const c of spec.initContainers ?? []) {
    const request = requestOf(c, resource);
    if (c.restartPolicy === 'Always') sidecars += request;
    peak = Math.max(peak, c.restartPolicy === 'Always' ? sidecars : sidecars + request);
  }
  const together = sidecars + spec.containers.reduce((sum, c) => sum + requestOf(c, resource), 0);
  const level = spec.resources ? requestOf({ resources: spec.resources }, resource) : 0;
  return (level || Math.max(peak, together)) + amount(spec.overhead, resource);
}

/** The pod's limit, or undefined when one of its containers has none. */
export function podLimit(spec: ContainerParts, resource: string): number | undefined {
  const own = amount(spec.resources?.limits, resource);
  if (own > 0) return own + amount(spec.overhead, resource);
  const all = [...(spec.initContainers ?? []), ...spec.containers];
  if (all.some((c) => limitOf(c, resource) === 0)) return undefined;
  const lasting = [...(spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'), ...spec.containers];
  const together = lasting.reduce((sum, c) => sum + limitOf(c, resource), 0);
  const init = (spec.initContainers ?? []).map((c) => limitOf(c, resource));
  return Math.max(together, ...init) + amount(spec.overhead, resource);
}

const GUARANTEED_SCORE = -997;
const CRITICAL_PRIORITY = 2_000_000_000;

/** `oom_score_adj` of a container: the smaller its share of the node's memory, the sooner it is killed. */
export function oomScoreAdj(spec: PodSpec, c: Container, nodeMemoryBytes: number): number {
  if ((spec.priority ?? 0) >= CRITICAL_PRIORITY) return GUARANTEED_SCORE;
  const qos = qosClass(spec);
  if (qos === 'Guaranteed') return GUARANTEED_SCORE;
  if (qos === 'BestEffort') return 1000;
  const score = (one: Container) =>
    Math.min(Math.max(1000 - Math.floor((1000 * requestOf(one, 'memory')) / nodeMemoryBytes), 3), 999);
  if (c.restartPolicy !== 'Always' || !spec.initContainers?.includes(c)) return score(c);
  return Math.min(score(c), ...spec.containers.map(score));
}
