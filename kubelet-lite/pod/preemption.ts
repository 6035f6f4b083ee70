import { isCritical } from '../eviction/rank.js';
import { capacityOf, type NodeCapacity } from './admission.js';
import type { Pod } from './api.js';
import type { Verdict } from './machine.js';
import { podRequest, type QosClass, qosClass } from './qos.js';

/** Of pods that go for a critical one. */
export const PREEMPTED: Verdict = { reason: 'Preempting', message: 'Preempted in order to admit critical pod' };

type Amounts = ReadonlyMap<string, number>;

/**
 * Pods that go so that a critical one, such as a static pod, has room; undefined where it is none, or where even all that may go
 * would not be enough. As few Guaranteed ones as possible, then Burstable ones; of each class those that come closest to what is
 * wanted. (kubernetes: pkg/kubelet/preemption.) Pure.
 */
export function preemptedFor(pod: Pod, node: NodeCapacity, others: readonly Pod[]): readonly Pod[] | undefined {
  if (!isCritical(pod)) return undefined;
  const wanted = missing(pod, node, others);
  const candidates = others.filter(
    (other) => !isCritical(other) || (other.spec.priority ?? 0) < (pod.spec.priority ?? 0),
  );
  if (less(wanted, candidates).size > 0) return undefined;
  const of = (qos: QosClass) => candidates.filter(({ spec }) => qosClass(spec) === qos);
  const bestEffort = of('BestEffort');
  const burstable = of('Burstable');
  const guaranteedGoing = closest(of('Guaranteed'), less(wanted, [...bestEffort, ...burstable]));
  const burstableGoing = closest(burstable, less(wanted, [...bestEffort, ...guaranteedGoing]));
  const bestEffortGoing = closest(bestEffort, less(wanted, [...burstableGoing, ...guaranteedGoing]));
  return [...bestEffortGoing, ...burstableGoing, ...guaranteedGoing];
}

/** What is given back by a pod that goes. */
const givenBack = (pod: Pod, resource: string): number => (resource === 'pods' ? 1 : podRequest(pod.spec, resource));

function missing(pod: Pod, node: NodeCapacity, others: readonly Pod[]): Amounts {
  const found = new Map<string, number>();
  for (const resource of Object.keys(node.allocatable)) {
    const capacity = capacityOf(node, resource);
    const used = [...others, pod].reduce((sum, one) => sum + givenBack(one, resource), 0);
    if (capacity !== undefined && givenBack(pod, resource) > 0 && used > capacity) found.set(resource, used - capacity);
  }
  return found;
}

function less(wanted: Amounts, going: readonly Pod[]): Amounts {
  const left = [...wanted].map(
    ([resource, amount]) => [resource, going.reduce((sum, pod) => sum - givenBack(pod, resource), amount)] as const,
  );
  return new Map(left.filter(([, amount]) => amount > 0));
}

function closest(pods: readonly Pod[], wanted: Amounts): readonly Pod[] {
  const going: Pod[] = [];
  for (let left = wanted; left.size > 0; left = less(wanted, going)) {
    // How much of each resource a pod would leave to be found, as a share of it.
    const distance = (pod: Pod) =>
      [...left].reduce((sum, [resource, amount]) => {
        const rest = Math.max(amount - givenBack(pod, resource), 0) / amount;
        return sum + rest * rest;
      }, 0);
    const rest = pods.filter((pod) => !going.includes(pod));
    if (rest.length === 0) break;
    const order = (a: Pod, b: Pod) =>
      distance(a) - distance(b) || podRequest(a.spec, 'memory') - podRequest(b.spec, 'memory');
    going.push(rest.sort(order)[0]!);
  }
  return going;
}
