import {
  type ControllerDefinition,
  changeTo,
  controller,
  isDeleting,
  post,
  remove,
  requeueAfter,
} from '@trimtab/framework';
import { type Pod, Pods, timestamp } from '@trimtab/machinery';
import { isReady, isTerminal } from './pods.js';

/**
 * For tests: binds every pod, has it ready after a while, and ends deleted ones. `broken` pods never become ready; those
 * that `ends` says so of get that status so long after they were made.
 */
export function simulatedNode(
  options: {
    readonly readyAfterMs?: number;
    readonly stopsAfterMs?: number;
    readonly broken?: (pod: Pod) => boolean;
    readonly nodeFor?: (pod: Pod) => string;
    readonly ends?: (pod: Pod) => { readonly afterMs: number; readonly status: Pod['status'] } | undefined;
  } = {},
): ControllerDefinition {
  const { readyAfterMs = 0, stopsAfterMs = 0, broken = () => false, nodeFor = () => 'node-1', ends } = options;
  let addresses = 0;
  return controller({
    name: 'simulated-node',
    for: Pods,
    reconcile({ key, object: pod, now }) {
      if (!pod) return [];
      if (!pod.spec?.nodeName)
        return [post(Pods, key, 'binding', { metadata: key, target: { kind: 'Node', name: nodeFor(pod) } })];
      if (isDeleting(pod)) {
        const grace = (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000;
        const left = Date.parse(pod.metadata.deletionTimestamp!) - grace + stopsAfterMs - now;
        if (left > 0) return [requeueAfter(left)];
        // Who holds a pod back wants to see how it ended.
        const ended = { ...pod, status: { ...pod.status, phase: 'Failed' } };
        return pod.metadata.finalizers?.length && !isTerminal(pod)
          ? changeTo(Pods, pod, ended, { subresource: 'status' })
          : [remove(Pods, pod, { gracePeriodSeconds: 0 })];
      }
      if (isTerminal(pod)) return [];
      const end = ends?.(pod);
      if (end) {
        const left = Date.parse(pod.metadata.creationTimestamp!) + end.afterMs - now;
        if (left <= 0)
          return changeTo(Pods, pod, { ...pod, status: { ...pod.status, ...end.status } }, { subresource: 'status' });
        if (isReady(pod)) return [requeueAfter(left)];
      }
      if (broken(pod) || isReady(pod)) return [];
      const left = Date.parse(pod.metadata.creationTimestamp!) + readyAfterMs - now;
      if (left > 0) return [requeueAfter(left)];
      const condition = { type: 'Ready', status: 'True', lastTransitionTime: timestamp(now) };
      const podIP = pod.status?.podIP ?? `10.0.0.${++addresses}`;
      return changeTo(
        Pods,
        pod,
        { ...pod, status: { ...pod.status, phase: 'Running', podIP, conditions: [condition] } },
        { subresource: 'status' },
      );
    },
  });
}
