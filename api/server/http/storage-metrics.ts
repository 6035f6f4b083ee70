import { durationBounds, type StoreHealth, type WriteFigures } from '@trimtab/store';
import type { Registry as MetricsRegistry } from 'prom-client';
import { histogramValues } from '../tally/expose.js';

/** What the figures tell of the store. */
export interface StoreSide {
  readonly revision: number;
  readonly health: StoreHealth;
  figures?(): Iterable<WriteFigures>;
}

type Instrumenting = Pick<typeof import('prom-client'), 'Counter' | 'Gauge' | 'Histogram'>;

/** Both as Kubernetes names them now, by group and resource, and as it did before 1.34, by type. */
function storageLabels({ operation, resource: stored }: WriteFigures): Record<string, string> {
  const [group = '', resource = ''] = stored.split('/');
  return { operation, group, resource, type: group ? `${resource}.${group}` : resource };
}

/** What Kubernetes tells of etcd (apiserver: storage/etcd3/metrics), of whatever the state lies in. */
export function storageMetrics(
  { Counter, Gauge, Histogram }: Instrumenting,
  registers: MetricsRegistry[],
  store: StoreSide,
): void {
  const labelled = () => [...(store.figures?.() ?? [])].map((of) => ({ of, labels: storageLabels(of) }));
  const labelNames = ['operation', 'group', 'resource', 'type'];
  const name = 'etcd_request_duration_seconds';
  const help = 'Time from a commit’s being asked for to its being durable.';
  const duration = new Histogram({ name, help, labelNames, registers });
  // What it is asked for is worked out then; it observes nothing itself.
  const read = async () => ({
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    values: labelled().flatMap(({ of, labels }) =>
      histogramValues(name, labels, durationBounds, { count: of.count, sum: of.seconds, upTo: of.within }),
    ),
  });
  Object.assign(duration, { get: read, getForPromString: read });
  const sums: readonly (readonly [string, string, 'count' | 'errors'])[] = [
    ['etcd_requests_total', 'Commits asked for.', 'count'],
    ['etcd_request_errors_total', 'Commits that the store could not carry out.', 'errors'],
  ];
  for (const [title, text, field] of sums)
    new Counter({
      name: title,
      help: text,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { of, labels } of labelled()) this.inc(labels, of[field]);
      },
    });
  new Gauge({
    name: 'apiserver_storage_size_bytes',
    help: 'Bytes on disk of the store, where they are this server’s.',
    labelNames: ['storage_cluster_id'],
    registers,
    collect() {
      const { bytes } = store.health;
      if (bytes !== undefined) this.set({ storage_cluster_id: 'embedded' }, bytes);
    },
  });
  new Gauge({
    name: 'trimtab_store_writable',
    help: '1 while the store can be written to.',
    registers,
    collect() {
      this.set(store.health.writable ? 1 : 0);
    },
  });
}
