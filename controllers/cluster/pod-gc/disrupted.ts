import { changeTo, type Effect, remove, withCondition } from '@trimtab/framework';
import { type Pod, type PodCondition, Pods } from '@trimtab/machinery';
import { isTerminal } from '../../workloads/pods.js';

/**
 * Takes away a pod that can never end by itself. It is said to have failed first: whoever holds it back with a finalizer,
 * as Jobs do, must learn how it ended (kubernetes: podgc, `DeletionByPodGC`).
 */
export function failAndRemove(pod: Pod, message: string, now: number): readonly Effect[] {
  return [...(isTerminal(pod) ? [] : markFailed(pod, message, now)), remove(Pods, pod, { gracePeriodSeconds: 0 })];
}

function markFailed(pod: Pod, message: string, now: number): readonly Effect[] {
  const { conditions } = disrupted(pod, 'DeletionByPodGC', message, now);
  return changeTo(
    Pods,
    pod,
    { ...pod, status: { ...pod.status, phase: 'Failed', conditions } },
    { subresource: 'status' },
  );
}

/** Says of a pod why it is about to be taken away, for those who judge how it ended. */
export const markDisrupted = (pod: Pod, reason: string, message: string, now: number): readonly Effect[] =>
  changeTo(Pods, pod, { ...pod, status: disrupted(pod, reason, message, now) }, { subresource: 'status' });

function disrupted({ status }: Pod, reason: string, message: string, now: number): NonNullable<Pod['status']> {
  const condition: PodCondition = { type: 'DisruptionTarget', status: 'True', reason, message };
  return { ...status, conditions: withCondition(status?.conditions, condition, now) };
}
