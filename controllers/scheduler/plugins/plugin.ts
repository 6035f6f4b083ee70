import type { NodeInfo } from '../node-info.js';
import type { Picture } from '../picture.js';
import type { PodInfo } from '../pod-info.js';

/**
 * One rule of where pods may and should go (kube-scheduler: a plugin of the scheduling framework). Rules are pure: what
 * they need of the cluster is in the picture they are handed. Each `prepare…` is asked once a decision and answers
 * undefined when the rule has no say for this pod, so that a plain pod costs what plain pods should.
 */
export interface Plugin {
  readonly name: string;
  /** A refusal at once: no node will do. */
  prepareFilter?(pod: PodInfo, picture: Picture): Filter | Refusal | undefined;
  /** `nodes`: those that passed all filters. */
  prepareScore?(pod: PodInfo, nodes: readonly NodeInfo[], picture: Picture): Score | undefined;
  /** What would make a node that this rule refuses acceptable, in words; the caller knows that it does refuse. */
  mend?(pod: PodInfo, node: NodeInfo, picture: Picture): readonly string[];
  /** Changes in the cluster after which a pod that this rule refused may fit. */
  readonly wakes?: readonly WakeReason[];
}

/** Undefined: the node will do. Synchronous and without effect. */
export type Filter = (node: NodeInfo) => Refusal | undefined;

export interface Refusal {
  /** In kube-scheduler's words; counted over the nodes in the message a user reads. */
  readonly reasons: readonly string[];
  /** No pod's leaving would help, so preemption need not try. */
  readonly unresolvable?: true;
}

/** Higher is better, 0 to 100 after `normalize`. */
export interface Score {
  of(node: NodeInfo): number;
  /** Brings raw values of all nodes, in place, to 0…100; `nodes` in the same order. */
  normalize?(values: Float64Array, nodes: readonly NodeInfo[]): void;
}

export type WakeReason =
  | 'NodeAdded'
  | 'NodeChanged'
  | 'PodAdded'
  | 'PodGone'
  | 'PodChanged'
  | 'NamespaceChanged'
  | 'StorageChanged';

export const isRefusal = (prepared: Filter | Refusal): prepared is Refusal => typeof prepared !== 'function';

/** To 0…100 by the largest (kube-scheduler: DefaultNormalizeScore); `reverse` where little is good. */
export function normalizeByLargest(reverse: boolean): (values: Float64Array) => void {
  return (values) => {
    const largest = values.reduce((max, value) => Math.max(max, value), 0);
    for (let i = 0; i < values.length; i++) {
      const share = largest === 0 ? 0 : Math.floor((100 * values[i]!) / largest);
      values[i] = reverse ? 100 - share : share;
    }
  };
}
