import { Counter, Gauge, Histogram, Registry as MetricsRegistry } from 'prom-client';
import type { Seats } from './seats.js';

/** The server's own figures, under the names Kubernetes' API server uses for the same things. */
export class Metrics {
  readonly registry = new MetricsRegistry();
  readonly requests = new Counter({
    name: 'apiserver_request_total',
    help: 'Requests answered, by verb, resource and response code.',
    labelNames: ['verb', 'group', 'version', 'resource', 'subresource', 'code'],
    registers: [this.registry],
  });
  readonly duration = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Time from a request’s arrival to the end of its answer, watches and streams left out.',
    labelNames: ['verb', 'resource'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.registry],
  });
  readonly longRunning = new Gauge({
    name: 'apiserver_longrunning_requests',
    help: 'Watches and streams open now.',
    labelNames: ['verb', 'resource'],
    registers: [this.registry],
  });

  constructor(seats: Seats, revision: () => number) {
    new Gauge({
      name: 'apiserver_current_inflight_requests',
      help: 'Requests executing now.',
      registers: [this.registry],
      collect() {
        this.set(seats.executing);
      },
    });
    new Gauge({
      name: 'apiserver_current_inqueue_requests',
      help: 'Requests waiting for a seat.',
      registers: [this.registry],
      collect() {
        this.set(seats.waiting);
      },
    });
    new Gauge({
      name: 'trimtab_store_revision',
      help: 'The newest durable revision.',
      registers: [this.registry],
      collect() {
        this.set(revision());
      },
    });
  }
}
