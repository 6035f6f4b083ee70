import { conditionOf, isDeleting, type View } from '@trimtab/framework';
import { Nodes, type ObjectKey, type Pod, Pods } from '@trimtab/machinery';
import { isTerminal } from '../../workloads/pods.js';

/** Set by people on a node that is off for good, so that its pods may go without its word. */
export const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';

/** Not a pod's: the key under which all pods that have ended are looked at together. */
export const ENDED: ObjectKey = { name: 'ended' };
/** The index of pods that have ended, and its only value. */
export const ENDED_INDEX = 'ended';

export const isForced = ({ metadata }: Pod): boolean => metadata.deletionGracePeriodSeconds === 0;

/** Why a pod that is being deleted will never be gone by itself; undefined when it may well be. */
export function stuckBecause({ object: pod, get }: View<Pod>): 'unscheduled' | 'outOfService' | undefined {
  // Whoever's finalizer holds a pod that was forced already has to take it off.
  if (!pod || !isDeleting(pod) || isForced(pod)) return undefined;
  const { nodeName } = pod.spec ?? {};
  if (!nodeName) return 'unscheduled';
  const node = get(Nodes, { name: nodeName });
  const off = node?.spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE);
  return off && conditionOf(node?.status?.conditions, 'Ready')?.status !== 'True' ? 'outOfService' : undefined;
}

/** The pods that ended first and are more than `threshold`, evicted ones before others (kubernetes: gcTerminated). */
export function excess({ byIndex }: View<Pod>, threshold: number): readonly Pod[] {
  if (threshold <= 0) return [];
  const ended = byIndex(Pods, ENDED_INDEX, '').filter((pod) => isTerminal(pod) && !isDeleting(pod));
  if (ended.length <= threshold) return [];
  const age = (pod: Pod) =>
    `${pod.status?.reason === 'Evicted' ? 0 : 1} ${pod.metadata.creationTimestamp} ${pod.metadata.name}`;
  return ended
    .map((pod) => ({ pod, age: age(pod) }))
    .sort((a, b) => (a.age < b.age ? -1 : 1))
    .slice(0, ended.length - threshold)
    .map(({ pod }) => pod);
}
