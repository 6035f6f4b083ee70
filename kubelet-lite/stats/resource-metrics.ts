import type { CgroupReading } from './cgroup-readings.js';
import type { Metric, Sample } from './exposition.js';
import type { NodeReading } from './readings.js';

/** `/metrics/resource` (kubernetes: pkg/kubelet/metrics/collectors/resource_metrics.go). Pure. */
export function resourceMetrics(node: NodeReading): readonly Metric[] {
  const pods = node.pods.map((pod) => ({ of: pod.reading, labels: { namespace: pod.namespace, pod: pod.name } }));
  const containers = node.pods.flatMap((pod) =>
    pod.containers.map((c) => ({
      of: c.reading,
      startedAt: c.startedAt,
      labels: { container: c.name, namespace: pod.namespace, pod: pod.name },
    })),
  );
  const cpu = ({ cpu: of }: CgroupReading) => of && of.usageNanos / 1e9;
  const memory = ({ memory: of }: CgroupReading) => of?.workingSet;
  const swap = ({ memory: of }: CgroupReading) => of?.swap;
  const { machine } = node;
  const one = (value: number): readonly Sample[] => [{ labels: {}, value }];
  const each = (
    all: readonly { readonly of: CgroupReading; readonly labels: Sample['labels'] }[],
    read: (of: CgroupReading) => number | undefined,
  ): readonly Sample[] =>
    all.flatMap(({ of, labels }) => {
      const value = read(of);
      return value === undefined ? [] : [{ labels, value }];
    });
  const counter = (name: string, help: string, samples: readonly Sample[]): Metric => ({
    name,
    help,
    type: 'counter',
    samples,
  });
  const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
    name,
    help,
    type: 'gauge',
    samples,
  });
  return [
    counter(
      'container_cpu_usage_seconds_total',
      'Cumulative cpu time consumed by the container in core-seconds',
      each(containers, cpu),
    ),
    gauge(
      'container_memory_working_set_bytes',
      'Current working set of the container in bytes',
      each(containers, memory),
    ),
    gauge(
      'container_start_time_seconds',
      'Start time of the container since unix epoch in seconds',
      containers.map(({ startedAt, labels }) => ({ labels, value: startedAt / 1000 })),
    ),
    gauge(
      'container_swap_usage_bytes',
      'Current amount of the container swap usage in bytes. Reported only on non-windows systems',
      each(containers, swap),
    ),
    counter(
      'node_cpu_usage_seconds_total',
      'Cumulative cpu time consumed by the node in core-seconds',
      one(machine.cpuNanos / 1e9),
    ),
    gauge('node_memory_working_set_bytes', 'Current working set of the node in bytes', one(machine.memory.workingSet)),
    gauge('node_swap_usage_bytes', 'Current swap usage of the node in bytes', one(machine.memory.swapUsed)),
    counter('pod_cpu_usage_seconds_total', 'Cumulative cpu time consumed by the pod in core-seconds', each(pods, cpu)),
    gauge('pod_memory_working_set_bytes', 'Current working set of the pod in bytes', each(pods, memory)),
    gauge('pod_swap_usage_bytes', 'Current amount of the pod swap usage in bytes', each(pods, swap)),
    gauge('resource_scrape_error', '1 if there was an error while getting container metrics, 0 otherwise', one(0)),
  ];
}
