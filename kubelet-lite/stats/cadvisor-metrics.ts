import type { CgroupReading } from './cgroup-readings.js';
import type { Metric, Sample } from './exposition.js';
import type { InterfaceReading } from './machine-readings.js';
import type { ContainerReading, NodeReading } from './readings.js';

type Labels = Sample['labels'];

interface Group {
  readonly labels: Labels;
  readonly reading: CgroupReading;
  readonly container?: ContainerReading;
}

/** A figure by name: what it is, and where a group's reading has it. */
type Figure = readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  read: (reading: CgroupReading) => number | undefined,
];

const seconds = (nanos: number | undefined): number | undefined => (nanos === undefined ? undefined : nanos / 1e9);

const FIGURES: readonly Figure[] = [
  [
    'container_cpu_usage_seconds_total',
    'counter',
    'Cumulative cpu time consumed in seconds.',
    (r) => seconds(r.cpu?.usageNanos),
  ],
  [
    'container_cpu_user_seconds_total',
    'counter',
    'Cumulative user cpu time consumed in seconds.',
    (r) => seconds(r.cpu?.userNanos),
  ],
  [
    'container_cpu_system_seconds_total',
    'counter',
    'Cumulative system cpu time consumed in seconds.',
    (r) => seconds(r.cpu?.systemNanos),
  ],
  [
    'container_cpu_cfs_periods_total',
    'counter',
    'Number of elapsed enforcement period intervals.',
    (r) => r.cpu?.periods,
  ],
  [
    'container_cpu_cfs_throttled_periods_total',
    'counter',
    'Number of throttled period intervals.',
    (r) => r.cpu?.throttledPeriods,
  ],
  [
    'container_cpu_cfs_throttled_seconds_total',
    'counter',
    'Total time duration the container has been throttled.',
    (r) => seconds(r.cpu?.throttledNanos),
  ],
  [
    'container_memory_usage_bytes',
    'gauge',
    'Current memory usage in bytes, including all memory regardless of when it was accessed',
    (r) => r.memory?.usage,
  ],
  ['container_memory_working_set_bytes', 'gauge', 'Current working set in bytes.', (r) => r.memory?.workingSet],
  ['container_memory_rss', 'gauge', 'Size of RSS in bytes.', (r) => r.memory?.rss],
  ['container_memory_cache', 'gauge', 'Number of bytes of page cache memory.', (r) => r.memory?.cache],
  ['container_memory_mapped_file', 'gauge', 'Size of memory mapped files in bytes.', (r) => r.memory?.mappedFile],
  ['container_memory_swap', 'gauge', 'Container swap usage in bytes.', (r) => r.memory?.swap],
  ['container_memory_max_usage_bytes', 'gauge', 'Maximum memory usage recorded in bytes', (r) => r.memory?.peak],
  ['container_memory_failcnt', 'counter', 'Number of memory usage hits limits', (r) => r.memory?.failures],
  [
    'container_oom_events_total',
    'counter',
    'Count of out of memory events observed for the container',
    (r) => r.memory?.oomKills,
  ],
  [
    'container_spec_memory_limit_bytes',
    'gauge',
    'Memory limit for the container.',
    (r) => (r.memory ? (r.memory.limit ?? 0) : undefined),
  ],
  ['container_fs_reads_bytes_total', 'counter', 'Cumulative count of bytes read', (r) => r.io?.readBytes],
  ['container_fs_writes_bytes_total', 'counter', 'Cumulative count of bytes written', (r) => r.io?.writeBytes],
  ['container_processes', 'gauge', 'Number of processes running inside the container.', (r) => r.pids?.current],
];

const NETWORK: readonly (readonly [string, string, (i: InterfaceReading) => number])[] = [
  ['container_network_receive_bytes_total', 'Cumulative count of bytes received', (i) => i.rxBytes],
  [
    'container_network_receive_errors_total',
    'Cumulative count of errors encountered while receiving',
    (i) => i.rxErrors,
  ],
  ['container_network_transmit_bytes_total', 'Cumulative count of bytes transmitted', (i) => i.txBytes],
  [
    'container_network_transmit_errors_total',
    'Cumulative count of errors encountered while transmitting',
    (i) => i.txErrors,
  ],
];

/** `/metrics/cadvisor`: groups of pods and containers under the names and labels cAdvisor gives them. Pure. */
export function cadvisorMetrics(node: NodeReading): readonly Metric[] {
  const podLabels = ({ namespace, name }: { readonly namespace: string; readonly name: string }) => ({
    namespace,
    pod: name,
  });
  const groups: readonly Group[] = node.pods.flatMap((pod) => [
    { labels: { container: '', id: `/${pod.cgroup}`, image: '', name: '', ...podLabels(pod) }, reading: pod.reading },
    ...pod.containers.map((c) => ({
      labels: { container: c.name, id: `/${c.cgroup}`, image: c.image, name: c.id, ...podLabels(pod) },
      reading: c.reading,
      container: c,
    })),
  ]);
  const figures = FIGURES.map(([name, type, help, read]): Metric => {
    const samples = groups.flatMap(({ labels, reading }) => {
      const value = read(reading);
      return value === undefined ? [] : [{ labels, value }];
    });
    return { name, type, help, samples };
  });
  const network = NETWORK.map(([name, help, read]): Metric => {
    const samples = node.pods.flatMap((pod) =>
      pod.network.map((each) => ({
        labels: { container: '', id: `/${pod.cgroup}`, image: '', interface: each.name, name: '', ...podLabels(pod) },
        value: read(each),
      })),
    );
    return { name, type: 'counter', help, samples };
  });
  const ofContainers = (name: string, help: string, read: (c: ContainerReading) => number | undefined): Metric => ({
    name,
    type: 'gauge',
    help,
    samples: groups.flatMap(({ labels, container }) => {
      const value = container && read(container);
      return value === undefined ? [] : [{ labels, value }];
    }),
  });
  return [
    ...figures,
    ...network,
    ofContainers(
      'container_start_time_seconds',
      'Start time of the container since unix epoch in seconds.',
      (c) => c.startedAt / 1000,
    ),
    ofContainers('container_last_seen', 'Last time a container was seen by the exporter', () =>
      Math.floor(node.at / 1000),
    ),
    ofContainers(
      'container_fs_usage_bytes',
      'Number of bytes that are consumed by the container on this filesystem.',
      (c) => c.disk?.rootfs.bytes,
    ),
    {
      name: 'machine_memory_bytes',
      type: 'gauge',
      help: 'Amount of memory installed on the machine.',
      samples: [{ labels: {}, value: node.machine.memory.total }],
    },
  ];
}
