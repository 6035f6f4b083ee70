import { type AffinityTerm, type NamespaceLabels, termMatches } from '../affinity-term.js';
import type { NodeInfo } from '../node-info.js';
import type { Kin, Picture } from '../picture.js';
import { type PodInfo, targetOf } from '../pod-info.js';
import type { Filter, Plugin, Refusal, Score } from './plugin.js';

/** Weight of pods that require to be near the one that is placed (kube-scheduler: hardPodAffinityWeight). */
const HARD_WEIGHT = 1;

const NEAR: Refusal = { reasons: ["node(s) didn't match pod affinity rules"], unresolvable: true };
const APART: Refusal = { reasons: ["node(s) didn't match pod anti-affinity rules"] };
const UNWELCOME: Refusal = { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"] };

/** A sum for every value of every topology key: `{zone: {a: 3, b: 1}}`. */
class TopologySums {
  readonly #sums = new Map<string, Map<string, number>>();

  add(key: string, node: NodeInfo, amount: number): void {
    const value = node.labels[key];
    if (value === undefined) return;
    const values = this.#sums.get(key) ?? new Map<string, number>();
    this.#sums.set(key, values);
    values.set(value, (values.get(value) ?? 0) + amount);
  }

  of(key: string, value: string | undefined): number {
    return value === undefined ? 0 : (this.#sums.get(key)?.get(value) ?? 0);
  }

  get empty(): boolean {
    return this.#sums.size === 0;
  }

  /** The sum over all keys of the values the node has. */
  at(labels: Readonly<Record<string, string>>): number {
    let sum = 0;
    for (const [key, values] of this.#sums) {
      const value = labels[key];
      if (value !== undefined) sum += values.get(value) ?? 0;
    }
    return sum;
  }

  keysAt(labels: Readonly<Record<string, string>>): boolean {
    for (const [key, values] of this.#sums) if ((values.get(labels[key] ?? '') ?? 0) > 0) return true;
    return false;
  }
}

/** The kin a term of the pod may speak of: its own namespace's, unless the term names others. */
function kinOf(terms: readonly AffinityTerm[], picture: Picture): Iterable<Kin> {
  const namespaces = new Set(terms.flatMap(({ namespaces: names }) => [...names]));
  if (terms.some(({ namespaceSelector }) => namespaceSelector !== undefined)) return picture.allKin();
  return [...namespaces].flatMap((namespace) => [...picture.kinIn(namespace)]);
}

/** Required terms of the pod, and of the pods that are there, filter; preferred ones score. */
export const interPodAffinity: Plugin = {
  name: 'InterPodAffinity',
  prepareFilter(pod, picture) {
    const labels = picture.surroundings.namespaceLabels;
    const unwelcome = sumsOfExisting(pod, picture, labels);
    const { affinity, antiAffinity } = pod.terms;
    if (unwelcome.empty && affinity.length === 0 && antiAffinity.length === 0) return undefined;
    const near = sumsOfAll(affinity, picture, labels);
    const apart = new TopologySums();
    for (const kin of kinOf(antiAffinity, picture))
      for (const term of antiAffinity)
        if (termMatches(term, targetOf(kin.sample), labels))
          for (const [node, count] of kin.nodes) apart.add(term.topologyKey, node, count);
    // The first of a group that wants to be together has nobody to be near to.
    const first = near.empty && affinity.every((term) => termMatches(term, targetOf(pod), labels));
    const filter: Filter = (node) => {
      const here = node.labels;
      if (affinity.some(({ topologyKey }) => here[topologyKey] === undefined)) return NEAR;
      if (!first && affinity.some(({ topologyKey }) => near.of(topologyKey, here[topologyKey]) === 0)) return NEAR;
      if (antiAffinity.some(({ topologyKey }) => apart.of(topologyKey, here[topologyKey]) > 0)) return APART;
      return unwelcome.keysAt(here) ? UNWELCOME : undefined;
    };
    return filter;
  },
  prepareScore(pod, _nodes, picture): Score | undefined {
    const sums = preferenceSums(pod, picture);
    if (sums.empty) return undefined;
    return { of: ({ labels }) => sums.at(labels), normalize: normalizeByRange };
  },
  mend(pod, node) {
    const missing = [...pod.terms.affinity].filter(({ topologyKey }) => node.labels[topologyKey] === undefined);
    if (missing.length > 0) return missing.map(({ topologyKey }) => `label node ${node.name} with ${topologyKey}`);
    return [`relax the pod's affinity, or move the pods that keep it from node ${node.name}`];
  },
  wakes: ['NodeAdded', 'NodeChanged', 'PodAdded', 'PodGone', 'PodChanged', 'NamespaceChanged'],
};

/** Where pods are that must not be near this one. */
function sumsOfExisting(pod: PodInfo, picture: Picture, labels: NamespaceLabels): TopologySums {
  const sums = new TopologySums();
  const target = targetOf(pod);
  for (const kin of picture.relatedKin())
    for (const term of kin.sample.terms.antiAffinity)
      if (termMatches(term, target, labels))
        for (const [node, count] of kin.nodes) sums.add(term.topologyKey, node, count);
  return sums;
}

/** Where pods are that match all of the terms; as in kube-scheduler, a pod that matches only some of them counts for none. */
function sumsOfAll(terms: readonly AffinityTerm[], picture: Picture, labels: NamespaceLabels): TopologySums {
  const sums = new TopologySums();
  if (terms.length === 0) return sums;
  for (const kin of kinOf(terms, picture)) {
    if (!terms.every((term) => termMatches(term, targetOf(kin.sample), labels))) continue;
    for (const { topologyKey } of terms) for (const [node, count] of kin.nodes) sums.add(topologyKey, node, count);
  }
  return sums;
}

/** Own preferences for the pods that are there, and theirs for this one. */
function preferenceSums(pod: PodInfo, picture: Picture): TopologySums {
  const sums = new TopologySums();
  const labels = picture.surroundings.namespaceLabels;
  const { preferredAffinity, preferredAntiAffinity } = pod.terms;
  const own = [...preferredAffinity, ...preferredAntiAffinity];
  const weigh = (terms: readonly AffinityTerm[], kin: Kin, target: PodInfo, factor: number, fixed?: number) => {
    for (const term of terms)
      if (termMatches(term, targetOf(target), labels))
        for (const [node, count] of kin.nodes)
          sums.add(term.topologyKey, node, factor * count * (fixed ?? term.weight));
  };
  if (own.length > 0)
    for (const kin of kinOf(own, picture)) {
      weigh(preferredAffinity, kin, kin.sample, 1);
      weigh(preferredAntiAffinity, kin, kin.sample, -1);
    }
  for (const kin of picture.relatedKin()) {
    const { terms } = kin.sample;
    weigh(terms.affinity, kin, pod, 1, HARD_WEIGHT);
    weigh(terms.preferredAffinity, kin, pod, 1);
    weigh(terms.preferredAntiAffinity, kin, pod, -1);
  }
  return sums;
}

function normalizeByRange(values: Float64Array): void {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  for (let i = 0; i < values.length; i++)
    values[i] = max > min ? Math.floor((100 * (values[i]! - min)) / (max - min)) : 0;
}
