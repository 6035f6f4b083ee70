import {
  change,
  changeStatus,
  concurrently,
  conditionOf,
  type Effect,
  event,
  remove,
  requeueAfter,
} from '@trimtab/framework';
import { type NodeCondition, Nodes, type Pod, Pods, timestamp } from '@trimtab/machinery';
import { failAndRemove, markDisrupted } from '../pod-gc/disrupted.js';
import { type NodeFacts, TOLD } from './facts.js';

/** Pods of a node that does not exist can never end by themselves. */
export const removeStranded = (pods: readonly Pod[], now: number): readonly Effect[] =>
  pods.flatMap((pod) => failAndRemove(pod, 'PodGC: node no longer exists', now));

export const markUnknown = ({ node, now }: NodeFacts): readonly Effect[] =>
  changeStatus(Nodes, node, (draft) => {
    const before = node.status?.conditions ?? [];
    const unknown = TOLD.map((type): NodeCondition => {
      const old = conditionOf(before, type);
      if (old?.status === 'Unknown') return old;
      return {
        ...old,
        type,
        status: 'Unknown',
        reason: old === undefined ? 'NodeStatusNeverUpdated' : 'NodeStatusUnknown',
        message: old === undefined ? 'Kubelet never posted node status.' : 'Kubelet stopped posting node status.',
        lastTransitionTime: timestamp(now),
      };
    });
    draft.status = {
      ...draft.status,
      conditions: [...unknown, ...before.filter(({ type }) => !TOLD.includes(type))],
    };
  });

/** So that Services leave out what runs on a silent node. */
export const markPodsNotReady = ({ readyPods, now }: NodeFacts): readonly Effect[] =>
  concurrently(
    readyPods.flatMap((pod) =>
      changeStatus(Pods, pod, (draft) => {
        for (const condition of draft.status!.conditions!)
          if (condition.type === 'Ready')
            Object.assign(condition, { status: 'False', reason: 'NodeLost', lastTransitionTime: timestamp(now) });
      }),
    ),
  );

export const tellSilence = ({ node }: NodeFacts): readonly Effect[] =>
  conditionOf(node.status?.conditions, 'Ready')?.status === 'Unknown'
    ? []
    : [event(node, 'Normal', 'NodeNotReady', `Node ${node.metadata.name} status is now: NodeNotReady`)];

export const taint = ({ node, taints = [] }: NodeFacts): readonly Effect[] =>
  change(Nodes, node, (draft) => {
    draft.spec ??= {};
    if (taints.length > 0) draft.spec.taints = [...taints];
    else delete draft.spec.taints;
  });

export const evict = ({ due, now }: NodeFacts): readonly Effect[] => [
  ...concurrently(
    due.flatMap((pod) =>
      markDisrupted(pod, 'DeletionByTaintManager', 'Taint manager: deleting due to NoExecute taint', now),
    ),
  ),
  ...concurrently(
    due.map((pod) =>
      remove(Pods, pod, {
        announce: {
          regarding: pod,
          done: {
            reason: 'TaintManagerEviction',
            message: `Marking for deletion Pod ${pod.metadata.namespace}/${pod.metadata.name}`,
          },
        },
      }),
    ),
  ),
];

export const lookAgain = ({ nextInMs }: NodeFacts): readonly Effect[] =>
  nextInMs === undefined ? [] : [requeueAfter(nextInMs)];
