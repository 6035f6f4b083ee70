import type { Informers } from '@trimtab/client';
import type { ControllerMetrics, ReconcileResult } from './metrics.js';
import type { ControllerRunner } from './runner.js';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const CONVERGENCE_SECONDS = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3600];
const QUEUE_SECONDS = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000];

type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly buckets?: readonly number[];
  readonly values: Map<string, number>;
  readonly histograms: Map<string, { readonly counts: number[]; sum: number }>;
}

interface Cached {
  readonly seconds: number;
  readonly objects: number;
  readonly lists: number;
  readonly watches: number;
  readonly failures: number;
}

const NOT_CACHED: Cached = { seconds: 0, objects: 0, lists: 0, watches: 0, failures: 0 };

/**
 * A controller's metrics under controller-runtime's names, so that its dashboards and alerts fit unchanged, and a few that
 * nobody else has: how old what is known is, how many writes an evaluation makes, which states objects are in. Text
 * exposition format 0.0.4.
 */
export class PrometheusMetrics implements ControllerMetrics {
  readonly #families = new Map<string, Family>();

  reconciled(controller: string, result: ReconcileResult, seconds: number): void {
    this.#count('controller_runtime_reconcile_total', 'Evaluations by result.', { controller, result });
    if (result === 'error')
      this.#count('controller_runtime_reconcile_errors_total', 'Evaluations that failed.', { controller });
    this.#observe(
      'controller_runtime_reconcile_time_seconds',
      'How long evaluations took.',
      SECONDS,
      { controller },
      seconds,
    );
  }

  failed(controller: string, how: 'terminal' | 'panic' | 'timeout'): void {
    const name = { terminal: 'terminal_reconcile_errors', panic: 'reconcile_panics', timeout: 'reconcile_timeouts' }[
      how
    ];
    this.#count(`controller_runtime_${name}_total`, `Evaluations that ended as: ${how}.`, { controller });
  }

  workers(controller: string, active: number, most: number): void {
    this.#set('controller_runtime_active_workers', 'Evaluations under way.', { controller }, active);
    this.#set('controller_runtime_max_concurrent_reconciles', 'Evaluations at most at a time.', { controller }, most);
  }

  queueDepth(controller: string, depth: number): void {
    this.#set('workqueue_depth', 'Keys that wait.', queueOf(controller), depth);
  }

  queued(controller: string): void {
    this.#count('workqueue_adds_total', 'Keys added.', queueOf(controller));
  }

  waited(controller: string, seconds: number): void {
    this.#observe(
      'workqueue_queue_duration_seconds',
      'How long keys waited.',
      QUEUE_SECONDS,
      queueOf(controller),
      seconds,
    );
  }

  worked(controller: string, seconds: number): void {
    this.#observe(
      'workqueue_work_duration_seconds',
      'How long keys were worked on.',
      QUEUE_SECONDS,
      queueOf(controller),
      seconds,
    );
  }

  retried(controller: string): void {
    this.#count('workqueue_retries_total', 'Keys added again after a failure.', queueOf(controller));
  }

  wrote(controller: string, verb: string, resource: string): void {
    this.#count('trimtab_writes_total', 'Writes that reached the server.', { controller, verb, resource });
  }

  converged(controller: string, seconds: number): void {
    const help = 'From the first event until a look found nothing left to write.';
    this.#observe('trimtab_convergence_seconds', help, CONVERGENCE_SECONDS, { controller }, seconds);
  }

  transitioned(controller: string, _key: string, from: string | undefined, to: string): void {
    this.#count('trimtab_transitions_total', 'Changes of state.', { controller, from: from ?? '', to });
  }

  /** For `LeaderElection`. */
  leading(name: string, leading: boolean): void {
    this.#set('leader_election_master_status', 'Whether this process leads.', { name }, leading ? 1 : 0);
  }

  /** For a client that counts its requests. */
  requested(verb: string, code: string, seconds: number): void {
    this.#count('rest_client_requests_total', 'Requests by verb and answer.', { code, method: verb });
    this.#observe('rest_client_request_duration_seconds', 'How long requests took.', SECONDS, { verb }, seconds);
  }

  /** For `runOperator`'s audits: objects a cache and the server disagree about. */
  audited(resource: string, objects: number): void {
    this.#set('trimtab_cache_drift_objects', 'Objects wrong in the cache at the last audit.', { resource }, objects);
  }

  /** Everything so far, and how fresh the caches are and what is under way now. */
  text(
    informers?: Informers,
    runners: readonly Pick<ControllerRunner, 'definition' | 'unfinished' | 'retries'>[] = [],
  ): string {
    for (const { definition, unfinished, retries } of runners) {
      const { totalMs, longestMs } = unfinished;
      const labels = queueOf(definition.name);
      this.#set('workqueue_unfinished_work_seconds', 'Work under way, summed up.', labels, totalMs / 1000);
      this.#set('workqueue_longest_running_processor_seconds', 'The longest of it.', labels, longestMs / 1000);
      const { name: controller } = definition;
      this.#set('trimtab_retrying_objects', 'Objects that wait to be tried again.', { controller }, retries.size);
    }
    // A kind that is cached in several forms is told of as one.
    const caches = new Map<string, Cached>();
    for (const informer of informers?.all() ?? []) {
      const { resource } = informer.type;
      const { objects, lists, watches, failures } = informer.stats;
      const before = caches.get(resource) ?? NOT_CACHED;
      caches.set(resource, {
        seconds: Math.max(before.seconds, informer.staleness() / 1000),
        objects: before.objects + objects,
        lists: before.lists + lists,
        watches: before.watches + watches,
        failures: before.failures + failures,
      });
    }
    for (const [resource, { seconds, objects, lists, watches, failures }] of caches) {
      this.#set('trimtab_cache_staleness_seconds', 'Since the server was last heard of.', { resource }, seconds);
      this.#set('trimtab_cache_objects', 'Objects cached.', { resource }, objects);
      this.#set('trimtab_cache_lists', 'Lists made.', { resource }, lists);
      this.#set('trimtab_cache_watches', 'Watches opened.', { resource }, watches);
      this.#set('trimtab_cache_failures', 'Lists and watches that failed.', { resource }, failures);
    }
    return [...this.#families].map(([name, family]) => exposition(name, family)).join('');
  }

  #family(name: string, type: Family['type'], help: string, buckets?: readonly number[]): Family {
    let family = this.#families.get(name);
    if (!family) {
      family = { type, help, values: new Map(), histograms: new Map(), ...(buckets ? { buckets } : {}) };
      this.#families.set(name, family);
    }
    return family;
  }

  #count(name: string, help: string, labels: Labels): void {
    const { values } = this.#family(name, 'counter', help);
    const id = labelText(labels);
    values.set(id, (values.get(id) ?? 0) + 1);
  }

  #set(name: string, help: string, labels: Labels, value: number): void {
    this.#family(name, 'gauge', help).values.set(labelText(labels), value);
  }

  #observe(name: string, help: string, buckets: readonly number[], labels: Labels, value: number): void {
    const { histograms } = this.#family(name, 'histogram', help, buckets);
    const id = labelText(labels);
    let histogram = histograms.get(id);
    if (!histogram) {
      histogram = { counts: new Array<number>(buckets.length + 1).fill(0), sum: 0 };
      histograms.set(id, histogram);
    }
    const at = buckets.findIndex((bound) => value <= bound);
    histogram.counts[at < 0 ? buckets.length : at]! += 1;
    histogram.sum += value;
  }
}

const queueOf = (name: string): Labels => ({ name, controller: name });

const labelText = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/["\\\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`)
    .join(',');

const number = (value: number): string => (value === Number.POSITIVE_INFINITY ? '+Inf' : String(value));

function exposition(name: string, { type, help, values, histograms, buckets = [] }: Family): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
  for (const [labels, value] of values) lines.push(`${name}{${labels}} ${number(value)}`);
  for (const [labels, { counts, sum }] of histograms) {
    let total = 0;
    counts.forEach((count, i) => {
      total += count;
      lines.push(`${name}_bucket{${labels},le="${i < buckets.length ? buckets[i] : '+Inf'}"} ${total}`);
    });
    lines.push(`${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${total}`);
  }
  return `${lines.join('\n')}\n`;
}
