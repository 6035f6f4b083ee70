import type { PodUsage, Usage } from '@trimtab/client';
import { type KubeObject, timestamp } from '@trimtab/machinery';

/** `metrics.k8s.io/v1beta1` as metrics-server writes it (kubernetes: staging/src/k8s.io/metrics). Pure. */

const apiVersion = 'metrics.k8s.io/v1beta1';

export interface NodeMetrics extends KubeObject {
  readonly timestamp: string;
  readonly window: string;
  readonly usage: Readonly<Record<'cpu' | 'memory', string>>;
}

export interface PodMetrics extends KubeObject {
  readonly timestamp: string;
  readonly window: string;
  readonly containers: readonly {
    readonly name: string;
    readonly usage: Readonly<Record<'cpu' | 'memory', string>>;
  }[];
}

export function nodeMetrics({ metadata }: KubeObject, usage: Usage): NodeMetrics {
  return {
    kind: 'NodeMetrics',
    apiVersion,
    metadata: { name: metadata.name!, ...measured(metadata, usage.at) },
    timestamp: timestamp(usage.at),
    window: windowText(usage.windowMs),
    usage: amounts(usage),
  };
}

/** Undefined for a pod of which nothing has been measured. Time and window are those of its oldest reading. */
export function podMetrics({ metadata }: KubeObject, { containers }: PodUsage): PodMetrics | undefined {
  if (containers.length === 0) return undefined;
  const at = Math.min(...containers.map((c) => c.at));
  return {
    kind: 'PodMetrics',
    apiVersion,
    metadata: { name: metadata.name!, namespace: metadata.namespace ?? '', ...measured(metadata, at) },
    timestamp: timestamp(at),
    window: windowText(Math.max(...containers.map((c) => c.windowMs))),
    containers: containers.map((c) => ({ name: c.name, usage: amounts(c) })),
  };
}

const measured = ({ labels }: KubeObject['metadata'], at: number) => ({
  creationTimestamp: timestamp(at),
  ...(labels ? { labels } : {}),
});

const amounts = ({ cpuNanoCores, memoryBytes }: Usage) => ({
  cpu: cpuNanoCores === 0 ? '0' : `${cpuNanoCores}n`,
  memory: `${Math.round(memoryBytes / 1024)}Ki`,
});

/** As Go prints a duration of less than a minute. */
const windowText = (ms: number): string => `${ms / 1000}s`;
