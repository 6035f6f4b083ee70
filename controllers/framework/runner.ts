import type { Change, Client, Informers, Registration } from '@trimtab/client';
import type { Clock, KubeObject, Logger, Random } from '@trimtab/machinery';
import { isReason, joinKey, keyOf, splitKey } from '@trimtab/machinery';
import { Caches } from './caches.js';
import type { ControllerDefinition } from './controller.js';
import { type Decide, decideOf } from './decide.js';
import { EventRecorder } from './events.js';
import { Executor } from './executor.js';
import type { ControllerMetrics } from './metrics.js';
import { controllerOf, refersTo } from './owners.js';
import { WorkQueue } from './queue.js';
import type { Failure } from './view.js';

const DEFAULT_CONCURRENCY = 5;
const GRACEFUL_STOP_MS = 30_000;

export interface RunnerOptions {
  readonly client: Client;
  /** Shared by all controllers of a process; started by whoever made it. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics?: ControllerMetrics;
}

/**
 * Runs one controller: watches, queues, evaluates, carries out. An evaluation that fails, or whose effects do, is repeated
 * with the key's backoff; a success forgets it. The only part of a controller that awaits anything.
 */
export class ControllerRunner {
  readonly definition: ControllerDefinition;
  readonly #options: RunnerOptions;
  readonly #logger: Logger;
  readonly #caches: Caches;
  readonly #decide: Decide;
  readonly #queue: WorkQueue;
  readonly #recorder: EventRecorder;
  readonly #executor: Executor;
  readonly #failures = new Map<string, Failure>();
  readonly #states = new Map<string, string>();
  #registrations: Registration[] = [];
  #running = false;
  #pumping = false;
  readonly #idlers: (() => void)[] = [];

  constructor(definition: ControllerDefinition, options: RunnerOptions) {
    const { client, clock, random, informers, metrics } = options;
    this.definition = definition;
    this.#options = options;
    this.#logger = options.logger.child({ controller: definition.name });
    this.#caches = new Caches(definition, informers);
    this.#decide = decideOf(definition);
    this.#queue = new WorkQueue(clock, () => this.#schedule(), definition.backoff);
    this.#recorder = new EventRecorder({ client, clock, logger: this.#logger, source: definition.name });
    this.#executor = new Executor({
      controller: definition.name,
      client,
      informers,
      random,
      recorder: this.#recorder,
      ...(metrics ? { metrics } : {}),
    });
  }

  /** Begins to listen; evaluates nothing before every declared cache has its first list. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    const { owns = [], watches = [] } = this.definition;
    const listen = (type: typeof this.definition.for, handle: (change: Change<KubeObject>) => void) =>
      this.#registrations.push(this.#caches.informer(type).addHandler(handle));
    listen(this.definition.for, (change) => this.#enqueue(keyOf(change.object)));
    for (const type of owns) listen(type, (change) => eachState(change, (object) => this.#enqueueOwner(object)));
    for (const { type, to, on, ignores } of watches)
      listen(type, (change) => {
        if (on && !on.includes(change.type)) return;
        if (change.type === 'updated' && ignores?.(change.previous, change.object)) return;
        eachState(change, (object) => {
          for (const key of to(object, this.#caches)) this.#enqueue(joinKey(key));
        });
      });
    void Promise.all(this.#caches.all().map((informer) => informer.whenSynced())).then(() => this.#schedule());
  }

  /** Looks at an object again although nothing has changed. */
  enqueue(key: string): void {
    this.#enqueue(key);
  }

  /** No new evaluation begins; resolves when those under way have ended, or after 30 s. */
  async stop(): Promise<void> {
    this.#running = false;
    for (const registration of this.#registrations.splice(0)) registration.remove();
    this.#queue.close();
    if (this.#queue.active > 0) await this.#activeEnded();
    await this.#recorder.flushed();
  }

  /** The state each object's machine is in, for whoever shows them. */
  get states(): ReadonlyMap<string, string> {
    return this.#states;
  }

  /** True when nothing waits, runs, or is due later. */
  get idle(): boolean {
    return this.#queue.idle;
  }

  #activeEnded(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(GRACEFUL_STOP_MS, () => {
        this.#logger.warn({ active: this.#queue.active }, 'stopped with reconciliations under way');
        resolve();
      });
      this.#idlers.push(() => {
        cancel();
        resolve();
      });
    });
  }

  #enqueue(key: string): void {
    this.#queue.add(key);
    this.#options.metrics?.queueDepth?.(this.definition.name, this.#queue.depth);
  }

  #enqueueOwner(object: KubeObject): void {
    const reference = controllerOf(object);
    const { for: type } = this.definition;
    if (!reference || !refersTo(reference, type)) return;
    this.#enqueue(
      joinKey({
        name: reference.name,
        ...(type.namespaced ? { namespace: object.metadata.namespace } : {}),
      }),
    );
  }

  /** Once a burst of events is over: changes that arrive together are one evaluation. */
  #schedule(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (!this.#running || !this.#caches.all().every((informer) => informer.hasSynced())) return;
    const concurrency = this.definition.concurrency ?? DEFAULT_CONCURRENCY;
    while (this.#queue.active < concurrency) {
      const key = this.#queue.take();
      if (key === undefined) return;
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    const { clock, metrics } = this.#options;
    const { name } = this.definition;
    const started = clock.now();
    const seconds = () => (clock.now() - started) / 1000;
    try {
      const requeueAfterMs = await this.#evaluate(key);
      this.#queue.forget(key);
      this.#failures.delete(key);
      if (requeueAfterMs !== undefined) this.#queue.addAfter(key, requeueAfterMs);
      metrics?.reconciled?.(name, requeueAfterMs === undefined ? 'success' : 'requeue_after', seconds());
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.#failures.set(key, this.#executor.failure(error));
      const retryMs = this.#queue.addRateLimited(key);
      const expected = isReason(error, 'Conflict', 'AlreadyExists');
      this.#logger[expected ? 'debug' : 'warn']({ key, error: error.message, retryMs }, 'reconciliation failed');
      metrics?.retried?.(name);
      metrics?.reconciled?.(name, 'error', seconds());
    } finally {
      this.#queue.done(key);
      this.#schedule();
      if (this.#queue.active === 0) for (const resolve of this.#idlers.splice(0)) resolve();
    }
  }

  async #evaluate(key: string): Promise<number | undefined> {
    const { clock, client } = this.#options;
    await this.#executor.settle(key);
    const view = this.#caches.view(this.definition.for, splitKey(key), {
      now: clock.now(),
      attempt: this.#queue.failures(key),
      failure: this.#failures.get(key),
    });
    const observed = await this.definition.observe?.(view, client);
    const { effects, state } = this.#decide(view, observed);
    this.#publish(key, view.object ? state : undefined);
    const { requeueAfterMs } = await this.#executor.run(key, effects);
    if (!view.object) this.#failures.delete(key);
    return requeueAfterMs;
  }

  #publish(key: string, state: string | undefined): void {
    const before = this.#states.get(key);
    if (before === state) return;
    if (state === undefined) this.#states.delete(key);
    else {
      this.#states.set(key, state);
      this.#logger.debug({ key, from: before, to: state }, 'transition');
      this.#options.metrics?.transitioned?.(this.definition.name, key, before, state);
    }
  }
}

function eachState(change: Change<KubeObject>, visit: (object: KubeObject) => void): void {
  visit(change.object);
  if (change.type === 'updated' && change.previous !== change.object) visit(change.previous);
}

export interface Running {
  readonly runners: readonly ControllerRunner[];
  stop(): Promise<void>;
}

/** Runs several controllers on the same informers. */
export function runControllers(definitions: readonly ControllerDefinition[], options: RunnerOptions): Running {
  const runners = definitions.map((definition) => new ControllerRunner(definition, options));
  for (const runner of runners) runner.start();
  return {
    runners,
    stop: async () => {
      await Promise.all(runners.map((runner) => runner.stop()));
    },
  };
}
