import {
  type LabelSelector,
  matchesLabels,
  type NamedRuleWithOperations,
  notFound,
  type Selector,
  selectorFromObject,
} from '@trimtab/machinery';
import type { ObjectReader } from '../../contracts.js';
import type { ServedKind } from '../../registry/served-kind.js';
import { type RequestPlace, ruleMatches } from './rules.js';
import { type AdmissionView, equivalentsOf, type FullAttributes } from './view.js';

/** What a webhook, a policy or a binding says of the requests it is for. */
export interface Constraints {
  readonly rules: readonly NamedRuleWithOperations[];
  readonly excluded: readonly NamedRuleWithOperations[];
  readonly equivalent: boolean;
  readonly namespaceSelector: Selector | undefined;
  readonly objectSelector: Selector | undefined;
}

export interface ConstraintsSource {
  readonly rules?: readonly NamedRuleWithOperations[];
  readonly resourceRules?: readonly NamedRuleWithOperations[];
  readonly excludeResourceRules?: readonly NamedRuleWithOperations[];
  readonly matchPolicy?: string;
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
}

export const constraintsOf = (source: ConstraintsSource): Constraints => ({
  rules: source.rules ?? source.resourceRules ?? [],
  excluded: source.excludeResourceRules ?? [],
  equivalent: source.matchPolicy !== 'Exact',
  namespaceSelector: selectorOf(source.namespaceSelector),
  objectSelector: selectorOf(source.objectSelector),
});

/** Undefined for a selector that selects everything. */
function selectorOf(selector: LabelSelector | undefined): Selector | undefined {
  if (!selector || (!selector.matchExpressions?.length && Object.keys(selector.matchLabels ?? {}).length === 0))
    return undefined;
  return selectorFromObject(selector);
}

export function placeOf({ name, namespace, subresource, type }: FullAttributes, view: AdmissionView): RequestPlace {
  const { group, version, resource } = type;
  return { operation: view.operation, group, version, resource, subresource, namespace, name };
}

/**
 * The kind whose version the request is to be shown in, or undefined where the constraints do not take it in. Throws 404 when
 * only the namespace, which does not exist, could tell. `anyRule`: no rules take in everything (policies' bindings).
 */
export function matchingKind(
  constraints: Constraints,
  attributes: FullAttributes,
  view: AdmissionView,
  reader: ObjectReader,
  anyRule = false,
): ServedKind | undefined {
  const { namespaceSelector, objectSelector } = constraints;
  const labels = namespaceSelector && namespaceLabels(attributes, reader);
  if (namespaceSelector && labels && labels !== 'missing' && !matchesLabels(namespaceSelector, labels))
    return undefined;
  if (objectSelector && !objectMatches(objectSelector, view)) return undefined;
  const place = placeOf(attributes, view);
  if (constraints.excluded.length > 0 && byRules(constraints.excluded, constraints.equivalent, attributes, place))
    return undefined;
  const found =
    anyRule && constraints.rules.length === 0
      ? attributes.request.kind
      : byRules(constraints.rules, constraints.equivalent, attributes, place);
  if (found && labels === 'missing') throw notFound({ group: '', resource: 'namespaces' }, attributes.namespace);
  return found;
}

function byRules(
  rules: readonly NamedRuleWithOperations[],
  equivalent: boolean,
  attributes: FullAttributes,
  place: RequestPlace,
): ServedKind | undefined {
  if (rules.some((rule) => ruleMatches(rule, place))) return attributes.request.kind;
  if (!equivalent) return undefined;
  const others = equivalentsOf(attributes);
  for (const rule of rules)
    for (const other of others) {
      const { group, version, resource } = other;
      if (ruleMatches(rule, { ...place, group, version, resource })) return other;
    }
  return undefined;
}

function objectMatches(selector: Selector, { object, oldObject }: AdmissionView): boolean {
  return [object, oldObject].some((each) => each?.metadata && matchesLabels(selector, each.metadata.labels));
}

type Labels = Readonly<Record<string, string>>;

/** Undefined for what lies in no namespace, which no namespace selector leaves out. */
function namespaceLabels(attributes: FullAttributes, reader: ObjectReader): Labels | 'missing' | undefined {
  const { type, operation, subresource, object, namespace, name } = attributes;
  const isNamespace = type.group === '' && type.resource === 'namespaces';
  if (isNamespace && subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'))
    return object?.metadata.labels ?? {};
  const wanted = isNamespace ? name : namespace;
  if (wanted === '') return undefined;
  const found = reader.get('/namespaces', '', wanted);
  return found ? (found.metadata.labels ?? {}) : 'missing';
}
