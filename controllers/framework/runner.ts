import type { KubeObject, Logger } from '@trimtab/machinery';
import { joinKey, keyOf, splitKey } from '@trimtab/machinery';
import { Caches } from './caches.js';
import { Causes } from './causes.js';
import { Concurrency } from './concurrency.js';
import { type ControllerDefinition, PAUSED, type WatchDefinition } from './controller.js';
import { Convergence } from './convergence.js';
import { type Decide, decideOf } from './decide.js';
import { decided } from './decided.js';
import { effectText } from './effect-text.js';
import { EventRecorder } from './events.js';
import { Executor } from './executor.js';
import { Externals } from './externals.js';
import { inTime } from './in-time.js';
import { LOW_PRIORITY, WorkQueue } from './queue.js';
import { RateLimiter } from './rate-limit.js';
import { Retries } from './retries.js';
import type { Retrying } from './retry-record.js';
import type { RunnerOptions, RunnerPhase } from './runner-options.js';
import type { Cause, TracedWrite } from './trace.js';
import { type Enqueue, triggersOf, watching } from './triggers.js';

const GRACEFUL_STOP_MS = 30_000;

/** Of an object that is to be left alone. */
const PAUSE = { effects: [], state: 'paused', gone: false };

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
  readonly #externals: Externals;
  readonly #limits: { readonly together?: RateLimiter; readonly perNamespace?: RateLimiter };
  readonly #concurrency: Concurrency;
  readonly #retries: Retries;
  readonly #states = new Map<string, string>();
  readonly #causes = new Causes();
  /** By key, when what is under way began. */
  readonly #begun = new Map<string, number>();
  readonly #convergence: Convergence | undefined;
  readonly #stops: (() => void)[] = [];
  #running = false;
  #pumping = false;
  #awaiting = false;
  #restored = false;
  #throttled: (() => void) | undefined;
  #evaluations = 0;
  readonly #idlers: (() => void)[] = [];

  constructor(definition: ControllerDefinition, options: RunnerOptions) {
    const { client, clock, random, informers, metrics, handlers } = options;
    const { name, backoff, rateLimit = {}, externals = [] } = definition;
    this.definition = definition;
    this.#options = options;
    this.#logger = options.logger.child({ controller: name });
    this.#caches = new Caches(definition, informers);
    this.#convergence = metrics?.converged && new Convergence(clock, (seconds) => metrics.converged?.(name, seconds));
    this.#concurrency = new Concurrency(definition.concurrency);
    this.#decide = decideOf(definition);
    this.#queue = new WorkQueue(clock, () => this.#schedule(), backoff, random);
    this.#recorder = new EventRecorder({ client, clock, logger: this.#logger, source: name });
    this.#externals = new Externals(externals, { clock, logger: this.#logger }, (key) =>
      this.#enqueue(key, { type: 'external' }),
    );
    const { together, perNamespace } = rateLimit;
    this.#limits = {
      ...(together ? { together: new RateLimiter(together) } : {}),
      ...(perNamespace ? { perNamespace: new RateLimiter(perNamespace) } : {}),
    };
    this.#executor = new Executor({
      controller: name,
      client,
      informers,
      random,
      recorder: this.#recorder,
      ...(metrics ? { metrics } : {}),
      ...(handlers ? { handlers } : {}),
    });
    this.#retries = new Retries(definition, {
      queue: this.#queue,
      caches: this.#caches,
      executor: this.#executor,
      clock,
      logger: this.#logger,
      ...(metrics ? { metrics } : {}),
    });
  }

  /** Begins to listen; evaluates nothing before every declared cache has its first list. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#restored = false;
    this.#queue.open();
    const { sources = [], name } = this.definition;
    for (const { informer, handler } of triggersOf(this.definition, this.#caches, this.#enqueue)) {
      const registration = informer.addHandler(handler);
      this.#stops.push(() => registration.remove());
    }
    for (const source of sources) {
      const subscription = source.subscribe({
        next: (key) => this.#enqueue(joinKey(key), { type: 'source' }),
        error: (error: unknown) => this.#logger.error({ error: String(error) }, 'a source of keys has failed'),
      });
      this.#stops.push(() => subscription.unsubscribe());
    }
    const { shard, metrics } = this.#options;
    if (shard) this.#stops.push(shard.onGain(() => this.enqueueAll()));
    metrics?.workers?.(name, 0, this.#concurrency.limit);
    this.#awaitCaches();
  }

  /** Their first lists, and later whatever more of them is wanted. */
  #awaitCaches(): void {
    if (this.#awaiting) return;
    this.#awaiting = true;
    void this.#caches.whenComplete().then(() => {
      this.#awaiting = false;
      this.#schedule();
    });
  }

  /** Looks at an object again although nothing has changed. */
  enqueue(key: string): void {
    this.#enqueue(key, { type: 'asked' });
  }

  /** The same of every object, in no hurry. */
  enqueueAll(): void {
    for (const object of this.#share())
      if (!this.#retries.deferred(object)) this.#enqueue(keyOf(object), { type: 'asked' }, LOW_PRIORITY);
  }

  #share(): readonly KubeObject[] {
    const { name, for: type } = this.definition;
    const { shard } = this.#options;
    const all = this.#caches.informer(type).list();
    return shard ? all.filter((object) => shard.owns(name, keyOf(object))) : all;
  }

  /** Watches something more from now on, until the answer is called; the last to go ends the watch itself. */
  watch(definition: WatchDefinition): () => void {
    const { informers } = this.#options;
    this.#caches.add(definition.type);
    const { informer, handler } = watching(definition, this.#caches, this.#enqueue);
    const registration = informer.addHandler(handler);
    const stop = () => {
      registration.remove();
      this.#caches.remove(definition.type);
      informers.release(informer);
    };
    this.#stops.push(stop);
    return () => {
      const at = this.#stops.indexOf(stop);
      if (at < 0) return;
      this.#stops.splice(at, 1);
      stop();
    };
  }

  /**
   * No new evaluation begins; resolves when those under way have ended, or after 30 s, with those that had not, as
   * `key: effect under way`: their next effects are not begun any more.
   */
  async stop(): Promise<readonly string[]> {
    this.#running = false;
    for (const stop of this.#stops.splice(0)) stop();
    this.#throttled?.();
    this.#externals.stop();
    this.#queue.close();
    if (this.#queue.active > 0) await this.#activeEnded();
    const left = this.#queue.activeKeys.map((key) => {
      const effect = this.#executor.current(key);
      return `${key}: ${effect ? effectText(effect) : 'deciding'}`;
    });
    await this.#recorder.flushed();
    return left;
  }

  /** The state each object's machine is in, for whoever shows them. */
  get states(): ReadonlyMap<string, string> {
    return this.#states;
  }

  get phase(): RunnerPhase {
    if (!this.#running) return this.#queue.active > 0 ? 'stopping' : 'stopped';
    const waiting = this.#caches.all().filter((informer) => !informer.hasSynced());
    if (waiting.length === 0) return 'running';
    return waiting.some((informer) => informer.stats.lastError?.code === 404) ? 'waitingForKind' : 'syncing';
  }

  /** True when nothing waits, runs, or is due later. */
  get idle(): boolean {
    return this.#queue.idle;
  }

  /** How the queue is doing. */
  get queue(): Pick<WorkQueue, 'depth' | 'active' | 'oldestWaitMs'> {
    return this.#queue;
  }

  /** What has failed and waits to be tried again, by key: when, and why. */
  get retries(): ReadonlyMap<string, Retrying> {
    return this.#retries.waiting;
  }

  /** How long what is under way has taken so far: together, and the longest of it. */
  get unfinished(): { readonly totalMs: number; readonly longestMs: number } {
    const now = this.#options.clock.now();
    const times = [...this.#begun.values()].map((at) => now - at);
    return { totalMs: times.reduce((sum, ms) => sum + ms, 0), longestMs: Math.max(0, ...times) };
  }

  #activeEnded(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(GRACEFUL_STOP_MS, () => {
        this.#logger.warn({ keys: this.#queue.activeKeys }, 'stopped with reconciliations under way');
        this.#abort.abort(new Error('the controller has stopped'));
        resolve();
      });
      this.#idlers.push(() => {
        cancel();
        resolve();
      });
    });
  }

  readonly #abort = new AbortController();

  readonly #enqueue: Enqueue = (key, cause, priority) => {
    const { shard, metrics } = this.#options;
    const { name } = this.definition;
    if (shard && !shard.owns(name, key)) return;
    this.#convergence?.begun(key);
    if (this.#options.tracer) this.#causes.note(key, cause);
    this.#queue.add(key, priority);
    metrics?.queued?.(name);
    metrics?.queueDepth?.(name, this.#queue.depth);
  };

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
    if (!this.#running) return;
    if (!this.#caches.complete) {
      this.#awaitCaches();
      return;
    }
    if (!this.#restored) {
      this.#restored = true;
      for (const object of this.#share()) this.#retries.deferred(object);
    }
    const { clock, metrics, shard } = this.#options;
    const { name } = this.definition;
    while (this.#queue.active < this.#concurrency.limit && this.#queue.depth > 0) {
      const wait = this.#limits.together?.take(clock.now()) ?? 0;
      if (wait > 0) {
        this.#throttled ??= clock.after(wait, () => {
          this.#throttled = undefined;
          this.#pump();
        });
        return;
      }
      const key = this.#queue.take()!;
      const ours = !shard || shard.owns(name, key);
      const later = ours ? (this.#limits.perNamespace?.take(clock.now(), splitKey(key).namespace) ?? 0) : 0;
      if (!ours || later > 0) {
        this.#queue.done(key);
        if (ours) this.#queue.addAfter(key, later);
        else this.#retries.gone(key);
        continue;
      }
      metrics?.waited?.(name, this.#queue.lastWaitMs / 1000);
      metrics?.queueDepth?.(name, this.#queue.depth);
      metrics?.workers?.(name, this.#queue.active, this.#concurrency.limit);
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    const { clock, metrics, tracer } = this.#options;
    const { name, resyncMs } = this.definition;
    const evaluation = this.#begin(key, clock.now());
    this.#begun.set(key, evaluation.at);
    const seconds = () => (clock.now() - evaluation.at) / 1000;
    let error: Error | undefined;
    try {
      const requeueAfterMs = await inTime(this.definition.timeoutMs, clock, this.#abort.signal, (signal) =>
        this.#evaluate(key, evaluation, signal),
      );
      this.#queue.forget(key);
      if (evaluation.writes.length === 0) this.#convergence?.reached(key);
      if (requeueAfterMs !== undefined) this.#queue.addAfter(key, requeueAfterMs);
      else if (resyncMs !== undefined && this.#caches.get(this.definition.for, splitKey(key)))
        this.#queue.addAfter(key, resyncMs * (0.9 + 0.2 * this.#options.random.next()));
      metrics?.reconciled?.(name, requeueAfterMs === undefined ? 'success' : 'requeue_after', seconds());
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.#retries.failed(key, error);
      metrics?.reconciled?.(name, 'error', seconds());
    } finally {
      this.#begun.delete(key);
      metrics?.worked?.(name, seconds());
      tracer?.({
        id: evaluation.id,
        controller: name,
        key,
        at: evaluation.at,
        durationMs: clock.now() - evaluation.at,
        causes: evaluation.causes,
        asOf: evaluation.asOf,
        writes: evaluation.writes,
        ...(evaluation.state === undefined ? {} : { state: evaluation.state }),
        ...(error ? { error: error.message } : {}),
      });
      this.#concurrency.took(evaluation.at, clock.now(), evaluation.writes.length);
      this.#queue.done(key);
      metrics?.workers?.(name, this.#queue.active, this.#concurrency.limit);
      this.#schedule();
      if (this.#queue.active === 0) for (const resolve of this.#idlers.splice(0)) resolve();
    }
  }

  #begin(key: string, at: number): Evaluation {
    const causes = this.#causes.take(key, this.#queue.failures(key));
    return { id: `${this.definition.name}-${++this.#evaluations}`, at, causes, writes: [], asOf: '', state: undefined };
  }

  async #evaluate(key: string, evaluation: Evaluation, signal: AbortSignal): Promise<number | undefined> {
    const { clock, client } = this.#options;
    await this.#executor.settle(key);
    const { for: type } = this.definition;
    const current = () => this.#caches.get(type, splitKey(key));
    this.#externals.follow(key, current);
    const externals = this.#externals.of(key);
    const decision = await decided(this.#caches, async () => {
      const view = this.#caches.view(type, splitKey(key), {
        now: clock.now(),
        attempt: this.#queue.failures(key),
        failure: this.#retries.failure(key),
        externals: externals && new Map(externals),
      });
      evaluation.asOf = view.asOf;
      if (view.object?.metadata.annotations?.[PAUSED] === 'true') return PAUSE;
      const observed = await this.definition.observe?.(view, client);
      const { effects, state } = this.#decide(view, observed);
      return { effects, state, gone: !view.object };
    });
    evaluation.state = decision.state;
    this.#publish(key, decision.gone ? undefined : decision.state);
    if (decision === PAUSE) {
      this.#retries.gone(key);
      return undefined;
    }
    const { effects, gone } = decision;
    const { requeueAfterMs } = await this.#executor.run(key, effects, { signal, writes: evaluation.writes });
    if (gone) this.#retries.gone(key);
    else await this.#retries.succeeded(key);
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

/** One evaluation while it runs. */
interface Evaluation {
  readonly id: string;
  readonly at: number;
  readonly causes: readonly Cause[];
  readonly writes: TracedWrite[];
  asOf: string;
  state: string | undefined;
}
