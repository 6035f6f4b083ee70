import type { Node, TopologySelectorTerm } from '@trimtab/machinery';

/** A storage class's `allowedTopologies`: any of the terms, and in a term every label. None allows every node. */
export function matchesTopology(terms: readonly TopologySelectorTerm[] | undefined, node: Node): boolean {
  if (!terms?.length) return true;
  const labels = node.metadata.labels ?? {};
  return terms.some((term) =>
    (term.matchLabelExpressions ?? []).every(({ key, values }) => values.includes(labels[key] ?? '')),
  );
}
