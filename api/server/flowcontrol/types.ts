import type { KubeObject } from '@trimtab/machinery';

/** The `flowcontrol.apiserver.k8s.io/v1` kinds as far as deciding looks at them. */

export const flowGroup = 'flowcontrol.apiserver.k8s.io';

export interface FlowSubject {
  readonly kind: string;
  readonly user?: { readonly name: string };
  readonly group?: { readonly name: string };
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
}

export interface FlowRule {
  readonly subjects: readonly FlowSubject[];
  readonly resourceRules?: readonly {
    readonly verbs: readonly string[];
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly clusterScope?: boolean;
    readonly namespaces?: readonly string[];
  }[];
  readonly nonResourceRules?: readonly {
    readonly verbs: readonly string[];
    readonly nonResourceURLs: readonly string[];
  }[];
}

export interface FlowSchema extends KubeObject {
  readonly spec?: {
    readonly priorityLevelConfiguration?: { readonly name?: string };
    readonly matchingPrecedence?: number;
    readonly distinguisherMethod?: { readonly type?: string };
    readonly rules?: readonly FlowRule[];
  };
  readonly status?: { readonly conditions?: readonly { readonly type?: string; readonly status?: string }[] };
}

export interface PriorityLevel extends KubeObject {
  readonly spec?: {
    readonly type?: string;
    readonly exempt?: { readonly nominalConcurrencyShares?: number; readonly lendablePercent?: number };
    readonly limited?: {
      readonly nominalConcurrencyShares?: number;
      readonly lendablePercent?: number;
      readonly borrowingLimitPercent?: number;
      readonly limitResponse?: {
        readonly type?: string;
        readonly queuing?: { readonly queues?: number; readonly handSize?: number; readonly queueLengthLimit?: number };
      };
    };
  };
}

/** Why a request was turned away, in the words of the metric's label. */
export type RejectReason = 'queue-full' | 'concurrency-limit' | 'time-out' | 'cancelled';
