import type { Container, Pod } from '../generated/types.js';
import { addQuantities, compareQuantities, type ParsedQuantity, parseQuantity } from './quantity.js';

/** Amounts by resource name: `cpu`, `memory`, `ephemeral-storage`, extended resources. */
export type ResourceAmounts = ReadonlyMap<string, ParsedQuantity>;

/**
 * What a pod asks of its node (KEP-753): the larger of all app containers with the sidecars, and of each init container
 * with the sidecars started before it; a pod-level request where given; and the overhead on top.
 */
export function podRequests(pod: Pod): ResourceAmounts {
  const { spec } = pod;
  const requests = (container: Container): ResourceAmounts => parse(container.resources?.requests);
  let sidecars: ResourceAmounts = new Map();
  let starting: ResourceAmounts = new Map();
  for (const container of spec?.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      sidecars = combine(sidecars, requests(container), addQuantities);
      starting = combine(starting, sidecars, larger);
    } else starting = combine(starting, combine(sidecars, requests(container), addQuantities), larger);
  }
  const running = (spec?.containers ?? []).reduce((sum, c) => combine(sum, requests(c), addQuantities), sidecars);
  const whole = new Map([...combine(starting, running, larger), ...parse(spec?.resources?.requests)]);
  return combine(whole, parse(spec?.overhead), addQuantities);
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
