import type { Registry as MetricsRegistry } from 'prom-client';
import type { Auditor } from '../audit/auditor.js';
import type { FlowControl } from '../flowcontrol/flow-control.js';
import type { KindTable } from '../registry/kind-table.js';
import type { ServedKind } from '../registry/served-kind.js';
import { exposeTallies } from '../tally/expose.js';
import { figures as figuresOf } from '../tally/figures.js';
import { Tally } from '../tally/tally.js';
import { flowGauges } from './flow-gauges.js';
import type { RequestInfo } from './request-info.js';
import type { Seats } from './seats.js';
import { type StoreSide, storageMetrics } from './storage-metrics.js';
import { versionInfo } from './version.js';

/** What is told of one request: the labels Kubernetes has (apiserver: endpoints/metrics). */
export interface RequestLabels {
  /** As HTTP would say it: `POST` for create; `LIST`, `WATCH`, `CONNECT` and `DELETECOLLECTION` apart. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  /** `resource` for one object, `namespace`, `cluster`, or `""`. */
  readonly scope: string;
}

const verbs: Readonly<Record<string, string>> = {
  get: 'GET',
  list: 'LIST',
  watch: 'WATCH',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETECOLLECTION',
  connect: 'CONNECT',
  post: 'POST',
  put: 'PUT',
  head: 'GET',
  options: 'OPTIONS',
};
const readOnly: ReadonlySet<string> = new Set(['GET', 'LIST', 'WATCH', 'OPTIONS']);
const nothing = { group: '', version: '', resource: '', subresource: '', scope: '' };

/**
 * A request as the figures know it. Callers choose paths and methods, and every new set of labels is kept for ever: so what
 * this server does not serve is all one.
 */
export function requestLabels(kinds: KindTable, { verb, resource }: RequestInfo, contentType = ''): RequestLabels {
  const kind = resource && kinds.find(resource.group, resource.version, resource.resource);
  const applied = verb === 'patch' && contentType.startsWith('application/apply-patch+');
  const known = applied ? 'APPLY' : Object.hasOwn(verbs, verb) ? verbs[verb]! : 'OTHER';
  if (!kind) return { verb: known, ...nothing };
  const { group, version } = kind;
  const subresource = Object.hasOwn(kind.subresources, resource.subresource) ? resource.subresource : '';
  const scope = resource.name !== '' ? 'resource' : resource.namespace !== '' ? 'namespace' : 'cluster';
  return { verb: known, group, version, resource: kind.resource, subresource, scope };
}

/** How many objects of a resource are stored, under the name `deployments.apps`. */
export type ObjectCounts = () => Iterable<readonly [resource: string, count: number]>;

const buildInfo = {
  major: versionInfo.major,
  minor: versionInfo.minor,
  compiler: versionInfo.compiler,
  platform: versionInfo.platform,
  build_date: versionInfo.buildDate,
  git_commit: versionInfo.gitCommit,
  git_tree_state: versionInfo.gitTreeState,
  git_version: versionInfo.gitVersion,
  go_version: versionInfo.goVersion,
};

const requestNames = ['verb', 'group', 'version', 'resource', 'subresource', 'scope'] as const;
const valuesOf = (labels: RequestLabels): string[] => [...requestNames.map((name) => labels[name]), 'apiserver'];
const measured: ReadonlySet<string> = new Set(['GET', 'LIST']);

/** What is known of a request that has been answered; of one that lasts, only that. */
export interface Answered {
  readonly seconds: number;
  /** Of them, those that were spent waiting for a turn or for webhooks. */
  readonly elsewhere: number;
  /** Bytes of the body. */
  readonly sent: number;
}

/**
 * The server's own figures, under the names Kubernetes' API server uses for the same things. The library is loaded after
 * the first answers are out, for starting must be quick; what happens before is counted then.
 */
export class Metrics {
  #registry: MetricsRegistry | undefined;

  readonly #inflight = { readOnly: 0, mutating: 0 };
  readonly #open = new Map<string, { readonly labels: RequestLabels; count: number }>();
  readonly #events = new Map<ServedKind, { count: number; bytes: number }>();

  constructor(
    readonly seats: Seats,
    readonly store: StoreSide,
    readonly tally = new Tally(),
    readonly objects: ObjectCounts = () => [],
    readonly others: { readonly flow?: FlowControl | undefined; readonly audit?: Auditor | undefined } = {},
  ) {}

  /** A request that is no watch and no stream begins (1) or has ended (-1). */
  executing({ verb }: RequestLabels, change: 1 | -1): void {
    this.#inflight[readOnly.has(verb) ? 'readOnly' : 'mutating'] += change;
  }

  /** One event to one watcher: counted here and looked at when asked, for there are very many. */
  watchEvent(kind: ServedKind, bytes: number): void {
    let sum = this.#events.get(kind);
    if (!sum) {
      sum = { count: 0, bytes: 0 };
      this.#events.set(kind, sum);
    }
    sum.count++;
    sum.bytes += bytes;
  }

  request(labels: RequestLabels, code: number, dryRun: boolean, answered?: Answered): void {
    const values = valuesOf(labels);
    const dry = dryRun ? 'All' : '';
    this.tally.count(figuresOf.requests, [...values, dry, String(code)]);
    if (!answered) return;
    const { seconds, elsewhere, sent } = answered;
    this.tally.observe(figuresOf.requestSeconds, [...values, dry], seconds);
    this.tally.observe(figuresOf.requestOwnSeconds, values, Math.max(seconds - elsewhere, 0));
    if (measured.has(labels.verb)) this.tally.observe(figuresOf.responseSizes, values, sent);
  }

  /** The client left before its answer, or the server gave the request up to protect itself. */
  unfinished(labels: RequestLabels, how: 'left' | number): void {
    const values = requestNames.map((name) => labels[name]);
    if (how === 'left') this.tally.count(figuresOf.aborts, values);
    else this.tally.count(figuresOf.terminations, [...values, 'apiserver', String(how)]);
  }

  /** A watch or stream has begun (1) or ended (-1). */
  longRunning(labels: RequestLabels, change: 1 | -1): void {
    const key = requestNames.map((name) => labels[name]).join(' ');
    const open = this.#open.get(key) ?? { labels, count: 0 };
    open.count += change;
    this.#open.set(key, open);
  }

  async load(): Promise<void> {
    if (this.#registry) return;
    const { Counter, Gauge, Histogram, Registry } = await import('prom-client');
    if (this.#registry) return;
    const registry = new Registry();
    const registers = [registry];
    const figures = (
      name: string,
      help: string,
      labelNames: readonly string[],
      read: () => Iterable<readonly [Record<string, string>, number]>,
    ) =>
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.set(labels, value);
        },
      });
    figures('apiserver_longrunning_requests', 'Watches and streams open now.', requestNames, () =>
      [...this.#open.values()].map(({ labels, count }) => [labels as unknown as Record<string, string>, count]),
    );
    const kinds = ['request_kind'];
    figures('apiserver_current_inflight_requests', 'Requests executing or waiting now.', kinds, () =>
      Object.entries(this.#inflight).map(([request_kind, count]) => [{ request_kind }, count]),
    );
    figures('apiserver_current_inqueue_requests', 'Requests waiting for a seat.', [], () => [[{}, this.seats.waiting]]);
    figures('apiserver_storage_objects', 'Objects stored, by resource.', ['resource'], () =>
      [...this.objects()].map(([resource, count]) => [{ resource }, count]),
    );
    const events = (part: 'count' | 'bytes') => () =>
      [...this.#events].map(
        ([{ group, version, kind }, sum]) => [{ group, version, kind }, sum[part]] as [Record<string, string>, number],
      );
    const eventNames = ['group', 'version', 'kind'];
    figures('apiserver_watch_events_total', 'Events sent to watchers.', eventNames, events('count'));
    figures('apiserver_watch_events_sizes_sum', 'Bytes of events sent to watchers.', eventNames, events('bytes'));
    figures('trimtab_store_revision', 'The newest durable revision.', [], () => [[{}, this.store.revision]]);
    const { flow, audit } = this.others;
    const tallies = [this.tally, flow?.tally, audit?.tally].filter((tally) => tally !== undefined);
    exposeTallies(registry, Object.values(figuresOf), tallies);
    if (flow) flowGauges(figures, flow);
    figures('kubernetes_build_info', 'What this server says it is.', Object.keys(buildInfo), () => [[buildInfo, 1]]);
    storageMetrics({ Counter, Gauge, Histogram }, registers, this.store);
    this.#registry = registry;
  }

  /** The exposition text and its media type. */
  async text(): Promise<{ readonly contentType: string; readonly body: string }> {
    await this.load();
    const registry = this.#registry!;
    return { contentType: registry.contentType, body: await registry.metrics() };
  }
}
