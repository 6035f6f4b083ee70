import {
  matchesLabels,
  type Pod,
  type PodAffinityTerm,
  requirement,
  type Selector,
  selectorFromObject,
} from '@trimtab/machinery';

/** A pod affinity term, read once: which pods it speaks of, and in which topology. */
export interface AffinityTerm {
  readonly topologyKey: string;
  readonly weight: number;
  readonly selector: Selector;
  readonly namespaces: ReadonlySet<string>;
  /** Beside `namespaces`, those whose labels match. */
  readonly namespaceSelector?: Selector;
}

/** What a term is held against. */
export interface TermTarget {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>> | undefined;
}

export type NamespaceLabels = (namespace: string) => Readonly<Record<string, string>> | undefined;

/** Without namespaces and namespace selector a term speaks of the namespace of the pod that carries it. */
export function affinityTerm(term: PodAffinityTerm, pod: Pod, weight = 1): AffinityTerm {
  const own = pod.metadata.namespace ?? '';
  const alone = (term.namespaces?.length ?? 0) === 0 && term.namespaceSelector === undefined;
  return {
    topologyKey: term.topologyKey,
    weight,
    selector: withLabelKeys(term.labelSelector, pod, term.matchLabelKeys, term.mismatchLabelKeys),
    namespaces: new Set(alone ? [own] : term.namespaces),
    ...(term.namespaceSelector ? { namespaceSelector: selectorFromObject(term.namespaceSelector) } : {}),
  };
}

/** The selector narrowed to the values that the pod itself has (or has not) for some labels. */
export function withLabelKeys(
  selector: PodAffinityTerm['labelSelector'],
  pod: Pod,
  match: readonly string[] = [],
  mismatch: readonly string[] = [],
): Selector {
  const base = selectorFromObject(selector);
  const labels = pod.metadata.labels ?? {};
  const more = [
    ...match.filter((key) => labels[key] !== undefined).map((key) => requirement(key, 'in', [labels[key]!])),
    ...mismatch.filter((key) => labels[key] !== undefined).map((key) => requirement(key, 'notin', [labels[key]!])),
  ];
  return more.length === 0 ? base : { ...base, requirements: [...base.requirements, ...more] };
}

export function termMatches(term: AffinityTerm, target: TermTarget, namespaceLabels: NamespaceLabels): boolean {
  const here =
    term.namespaces.has(target.namespace) ||
    (term.namespaceSelector !== undefined &&
      matchesLabels(term.namespaceSelector, namespaceLabels(target.namespace) ?? {}));
  return here && matchesLabels(term.selector, target.labels);
}
