import type { Counter, Gauge, Histogram, Registry as MetricsRegistry } from 'prom-client';
import type { KindTable } from '../registry/kind-table.js';
import type { RequestInfo } from './request-info.js';
import type { Seats } from './seats.js';

/** What is told of one request when it is done. */
export interface RequestLabels {
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
}

const verbs: ReadonlySet<string> = new Set(
  'get list watch create update patch delete deletecollection post put head options'.split(' '),
);

/**
 * A request as the figures know it. Callers choose paths and methods, and every new set of labels is kept for ever: so what
 * this server does not serve is all one.
 */
export function requestLabels(kinds: KindTable, { verb, resource }: RequestInfo): RequestLabels {
  const kind = resource && kinds.find(resource.group, resource.version, resource.resource);
  const known = verbs.has(verb) ? verb : 'other';
  if (!kind) return { verb: known, group: '', version: '', resource: '', subresource: '' };
  const { group, version } = kind;
  const subresource = Object.hasOwn(kind.subresources, resource.subresource) ? resource.subresource : '';
  return { verb: known, group, version, resource: kind.resource, subresource };
}

interface Instruments {
  readonly registry: MetricsRegistry;
  readonly requests: Counter;
  readonly duration: Histogram;
  readonly longRunning: Gauge;
}

const labelNames = ['verb', 'group', 'version', 'resource', 'subresource', 'code'] as const;

/**
 * The server's own figures, under the names Kubernetes' API server uses for the same things. The library is loaded after
 * the first answers are out, for starting must be quick; what happens before is counted then.
 */
export class Metrics {
  #instruments: Instruments | undefined;
  #early: ((instruments: Instruments) => void)[] = [];

  constructor(
    readonly seats: Seats,
    readonly revision: () => number,
  ) {}

  request(labels: RequestLabels, code: number, seconds: number | undefined): void {
    this.#note(({ requests, duration }) => {
      requests.inc({ ...labels, code: String(code) });
      if (seconds !== undefined) duration.observe({ verb: labels.verb, resource: labels.resource }, seconds);
    });
  }

  /** A watch or stream has begun (1) or ended (-1). */
  longRunning({ verb, resource }: RequestLabels, change: 1 | -1): void {
    this.#note(({ longRunning }) => longRunning.inc({ verb, resource }, change));
  }

  async load(): Promise<void> {
    if (this.#instruments) return;
    const { Counter, Gauge, Histogram, Registry } = await import('prom-client');
    if (this.#instruments) return;
    const registry = new Registry();
    const registers = [registry];
    const instruments: Instruments = {
      registry,
      requests: new Counter({
        name: 'apiserver_request_total',
        help: 'Requests answered, by verb, resource and response code.',
        labelNames,
        registers,
      }),
      duration: new Histogram({
        name: 'apiserver_request_duration_seconds',
        help: 'Time from a request’s arrival to the end of its answer, watches and streams left out.',
        labelNames: ['verb', 'resource'],
        buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
        registers,
      }),
      longRunning: new Gauge({
        name: 'apiserver_longrunning_requests',
        help: 'Watches and streams open now.',
        labelNames: ['verb', 'resource'],
        registers,
      }),
    };
    const figure = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    figure('apiserver_current_inflight_requests', 'Requests executing now.', () => this.seats.executing);
    figure('apiserver_current_inqueue_requests', 'Requests waiting for a seat.', () => this.seats.waiting);
    figure('trimtab_store_revision', 'The newest durable revision.', this.revision);
    this.#instruments = instruments;
    for (const note of this.#early.splice(0)) note(instruments);
  }

  /** The exposition text and its media type. */
  async text(): Promise<{ readonly contentType: string; readonly body: string }> {
    await this.load();
    const { registry } = this.#instruments!;
    return { contentType: registry.contentType, body: await registry.metrics() };
  }

  #note(note: (instruments: Instruments) => void): void {
    if (this.#instruments) note(this.#instruments);
    else this.#early.push(note);
  }
}
