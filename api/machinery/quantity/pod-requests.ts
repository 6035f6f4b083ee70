import type { Container, Pod, PodSpec } from '../generated/types.js';
import { addQuantities, compareQuantities, type ParsedQuantity, parseQuantity } from './quantity.js';

/** Amounts by resource name: `cpu`, `memory`, `ephemeral-storage`, extended resources. */
export type ResourceAmounts = ReadonlyMap<string, ParsedQuantity>;

/** What a pod asks of its node (KEP-753): its containers' requests, and the overhead on top. */
export function podRequests({ spec }: Pod): ResourceAmounts {
  return combine(podAmounts(spec, 'requests'), parse(spec?.overhead), addQuantities);
}

/**
 * The larger of all app containers with the sidecars, and of each init container with the sidecars started before it; where
 * the pod names an amount itself, that.
 */
export function podAmounts(spec: PodSpec | undefined, kind: 'requests' | 'limits'): ResourceAmounts {
  const amounts = (container: Container): ResourceAmounts => parse(container.resources?.[kind]);
  let sidecars: ResourceAmounts = new Map();
  let starting: ResourceAmounts = new Map();
  for (const container of spec?.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      sidecars = combine(sidecars, amounts(container), addQuantities);
      starting = combine(starting, sidecars, larger);
    } else starting = combine(starting, combine(sidecars, amounts(container), addQuantities), larger);
  }
  const running = (spec?.containers ?? []).reduce((sum, c) => combine(sum, amounts(c), addQuantities), sidecars);
  return new Map([...combine(starting, running, larger), ...parse(spec?.resources?.[kind])]);
}

/** Per resource `merge` of both amounts where both have one, else the one there is. */
export function combine(
  a: ResourceAmounts,
  b: ResourceAmounts,
  merge: (a: ParsedQuantity, b: ParsedQuantity) => ParsedQuantity,
): ResourceAmounts {
  const result = new Map(a);
  for (const [name, amount] of b) {
    const other = result.get(name);
    result.set(name, other === undefined ? amount : merge(other, amount));
  }
  return result;
}

/** A `resources.requests` map, parsed. */
export function parse(list: Readonly<Record<string, string>> | undefined): ResourceAmounts {
  return new Map(Object.entries(list ?? {}).map(([name, text]) => [name, parseQuantity(text)]));
}

const larger = (a: ParsedQuantity, b: ParsedQuantity): ParsedQuantity => (compareQuantities(a, b) < 0 ? b : a);
