import { matchesLabels, type Selector } from '@trimtab/machinery';
import { matchesNodeAffinity } from '../node-affinity.js';
import type { NodeInfo } from '../node-info.js';
import type { Picture } from '../picture.js';
import { type PodInfo, type SpreadConstraint, spreadConstraints } from '../pod-info.js';
import { untoleratedTaint } from '../taints.js';
import type { Plugin, Refusal, Score } from './plugin.js';

const HOSTNAME = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';

const MISSING_LABEL: Refusal = {
  reasons: ["node(s) didn't match pod topology spread constraints (missing required label)"],
  unresolvable: true,
};
const SKEWED: Refusal = { reasons: ["node(s) didn't match pod topology spread constraints"] };

/** `DoNotSchedule` constraints filter; `ScheduleAnyway` ones, or the cluster's defaults for pods of a set, score. */
export const podTopologySpread: Plugin = {
  name: 'PodTopologySpread',
  prepareFilter(pod, picture) {
    const constraints = spreadConstraints(pod.pod, 'DoNotSchedule');
    if (constraints.length === 0) return undefined;
    const limits = constraints.map((constraint) => limitOf(constraint, constraints, pod, picture));
    return ({ labels }) => {
      for (const { constraint, counts, least, self } of limits) {
        const value = labels[constraint.topologyKey];
        if (value === undefined) return MISSING_LABEL;
        if ((counts.get(value) ?? 0) + self - least > constraint.maxSkew) return SKEWED;
      }
      return undefined;
    };
  },
  prepareScore: (pod, nodes, picture) => scoreOf(pod, nodes, picture),
  mend: (_pod, node) => [`raise maxSkew of the pod's topologySpreadConstraints, or add room beside node ${node.name}`],
  wakes: ['NodeAdded', 'NodeChanged', 'PodAdded', 'PodGone', 'PodChanged'],
};

interface Limit {
  readonly constraint: SpreadConstraint;
  /** Matching pods by value of the topology key. */
  readonly counts: ReadonlyMap<string, number>;
  readonly least: number;
  /** 1 when the pod itself would count. */
  readonly self: number;
}

function limitOf(
  constraint: SpreadConstraint,
  all: readonly SpreadConstraint[],
  pod: PodInfo,
  picture: Picture,
): Limit {
  const counts = new Map<string, number>();
  const eligible = eligibility(constraint, pod);
  for (const node of picture.nodes)
    if (all.every(({ topologyKey }) => node.labels[topologyKey] !== undefined) && eligible(node))
      counts.set(node.labels[constraint.topologyKey]!, 0);
  countMatching(constraint.selector, pod, picture, (node, count) => {
    const value = node.labels[constraint.topologyKey];
    const known = value === undefined ? undefined : counts.get(value);
    if (known !== undefined && eligible(node)) counts.set(value!, known + count);
  });
  const enough = counts.size >= constraint.minDomains;
  const least = enough && counts.size > 0 ? [...counts.values()].reduce((a, b) => Math.min(a, b)) : 0;
  return { constraint, counts, least, self: matchesLabels(constraint.selector, pod.pod.metadata.labels) ? 1 : 0 };
}

/** Whether a node's pods count at all (KEP-3094). */
function eligibility({ honorAffinity, honorTaints }: SpreadConstraint, { pod }: PodInfo): (node: NodeInfo) => boolean {
  return ({ node }) =>
    (!honorAffinity || matchesNodeAffinity(pod, node)) &&
    (!honorTaints || !untoleratedTaint(pod, node.spec?.taints ?? [], ['NoSchedule', 'NoExecute']));
}

/** Calls `fn` with every node that has pods of the same namespace that match and stay. */
function countMatching(
  selector: Selector,
  pod: PodInfo,
  picture: Picture,
  fn: (node: NodeInfo, count: number) => void,
): void {
  for (const kin of picture.kinIn(pod.pod.metadata.namespace ?? '')) {
    if (kin.leaving || !matchesLabels(selector, kin.sample.pod.metadata.labels)) continue;
    for (const [node, count] of kin.nodes) fn(node, count);
  }
}

/** What kube-scheduler assumes of a pod that belongs to a set or Service and says nothing itself. */
function systemDefaults(pod: PodInfo, picture: Picture): readonly SpreadConstraint[] {
  const selector = picture.surroundings.defaultSelector(pod.pod);
  if (!selector) return [];
  const shared = { minDomains: 1, selector, honorAffinity: true, honorTaints: false };
  return [
    { ...shared, topologyKey: HOSTNAME, maxSkew: 3 },
    { ...shared, topologyKey: ZONE, maxSkew: 5 },
  ];
}

function scoreOf(pod: PodInfo, nodes: readonly NodeInfo[], picture: Picture): Score | undefined {
  const own = (pod.pod.spec?.topologySpreadConstraints ?? []).length > 0;
  const constraints = own ? spreadConstraints(pod.pod, 'ScheduleAnyway') : systemDefaults(pod, picture);
  if (constraints.length === 0) return undefined;
  // A pod's own constraints leave nodes without their labels aside; the defaults take every node.
  const ignored = (node: NodeInfo) =>
    own && constraints.some(({ topologyKey }) => node.labels[topologyKey] === undefined);
  const parts = constraints.map((constraint) => {
    const counts = new Map<string, number>();
    const eligible = eligibility(constraint, pod);
    countMatching(constraint.selector, pod, picture, (node, count) => {
      const value = node.labels[constraint.topologyKey];
      if (value !== undefined && !ignored(node) && eligible(node)) counts.set(value, (counts.get(value) ?? 0) + count);
    });
    return { constraint, counts, weight: Math.log(domainsOf(constraint.topologyKey, nodes, ignored) + 2) };
  });
  return {
    of({ labels }) {
      let sum = 0;
      for (const { constraint, counts, weight } of parts) {
        const value = labels[constraint.topologyKey];
        if (value !== undefined) sum += (counts.get(value) ?? 0) * weight + (constraint.maxSkew - 1);
      }
      return Math.round(sum);
    },
    normalize: (scores, scored) => normalizeSpread(scores, scored, ignored),
  };
}

/** How many values of the key the nodes have; every node is taken to have a hostname of its own. */
function domainsOf(key: string, nodes: readonly NodeInfo[], ignored: (node: NodeInfo) => boolean): number {
  const taking = nodes.filter((node) => !ignored(node));
  if (key === HOSTNAME) return taking.length;
  const values = new Set<string | undefined>();
  for (const { labels } of taking) values.add(labels[key]);
  values.delete(undefined);
  return values.size;
}

/** Few matching pods are good; nodes that do not take part get nothing. */
function normalizeSpread(values: Float64Array, nodes: readonly NodeInfo[], ignored: (node: NodeInfo) => boolean): void {
  let [min, max] = [Number.POSITIVE_INFINITY, 0];
  nodes.forEach((node, i) => {
    if (ignored(node)) return;
    min = Math.min(min, values[i]!);
    max = Math.max(max, values[i]!);
  });
  nodes.forEach((node, i) => {
    if (ignored(node)) values[i] = 0;
    else values[i] = max === 0 ? 100 : Math.floor((100 * (max + min - values[i]!)) / max);
  });
}
