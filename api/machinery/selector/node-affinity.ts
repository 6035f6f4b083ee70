import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod } from '../generated/types.js';
import { matchesRequirement, type RequirementOperator, requirement } from './requirement.js';

const OPERATORS: Readonly<Record<string, RequirementOperator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
  Gt: 'gt',
  Lt: 'lt',
};

/** `spec.nodeSelector` and required node affinity: both must hold; affinity terms are alternatives. */
export function matchesNodeAffinity(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(pod.spec?.nodeSelector ?? {})) if (labels[key] !== value) return false;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || matchesNodeSelector(required, node);
}

/** Whether any of the selector's terms holds for the node. */
export const matchesNodeSelector = (selector: NodeSelector, node: Node): boolean =>
  selector.nodeSelectorTerms.some((term) => matchesTerm(term, node));

/** Sum of the weights of preferred terms the node satisfies. */
export function preferredNodeAffinity(pod: Pod, node: Node): number {
  const preferred = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return preferred.reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0);
}

/** A term without expressions matches nothing. */
function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  const fields = { 'metadata.name': node.metadata.name! };
  return (
    matchExpressions.every((expression) => matches(expression, node.metadata.labels)) &&
    matchFields.every((expression) => matches(expression, fields))
  );
}

function matches(
  { key, operator, values = [] }: NodeSelectorRequirement,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const known = OPERATORS[operator];
  // Field names are no label keys, so they are compared without the key's syntax check.
  if (key === 'metadata.name') return values.includes(labels?.[key] ?? '') === (operator === 'In');
  return known !== undefined && matchesRequirement(requirement(key, known, values), labels);
}
