import type { Clock, KubeObject, Logger, Random, ResourceType } from '@trimtab/machinery';
import { internalError, StatusError } from '@trimtab/machinery';
import { defer, Subscription } from 'rxjs';
import type { Client, ListOptions, WatchEvent, WatchOptions } from './client.js';
import {
  initialReflector,
  type ReflectorEffect,
  type ReflectorInput,
  type ReflectorState,
  type Scope,
  stepReflector,
} from './reflector-machine.js';
import { compareResourceVersions } from './resource-version.js';

/** Where a reflector puts what it learns. Called synchronously and in order. */
export interface ReflectorSink<T extends KubeObject> {
  /** The whole collection as of `revision`. */
  replace(items: readonly T[], revision: string): void;
  apply(event: Exclude<WatchEvent<T>, { type: 'BOOKMARK' }>): void;
  /** Nothing changed up to `revision`. */
  progress(revision: string): void;
}

/** What has been learnt of a server, shared by all reflectors that talk to it. */
export interface ServerTraits {
  watchList: boolean;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Client;
  readonly type: ResourceType<T>;
  readonly scope?: Scope;
  readonly sink: ReflectorSink<T>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly traits?: ServerTraits;
  /** How long a watch is asked to last, drawn from this range; default 5 to 10 minutes. */
  readonly watchSeconds?: WatchSeconds;
}

export interface WatchSeconds {
  readonly from: number;
  readonly to: number;
}

export interface ReflectorStats {
  readonly lists: number;
  readonly watches: number;
  /** Failures of any kind, malformed watch lines included. */
  readonly failures: number;
  /** Of the failure last reported; undefined once the server has answered again. */
  readonly lastError?: StatusError;
}

const WATCH_TIMEOUT_SECONDS: WatchSeconds = { from: 300, to: 600 };
const WATCH_GRACE_MS = 5_000;

/**
 * Keeps a sink equal to one collection of the server, for as long as it runs: lists, watches, and recovers from every
 * failure by the rules of {@link stepReflector}. `stop` is final for everything outstanding; a later `start` begins anew
 * from the last position. The shell around the machine: it alone talks to the client and the clock.
 */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #traits: ServerTraits;
  #scope: Scope;
  #state: ReflectorState<T> = initialReflector();
  readonly #inputs: ReflectorInput<T>[] = [];
  #stepping = false;
  #operation = new Subscription();
  #disarm: () => void = () => {};
  #deadline = 0;
  #lastContactAt = Number.NEGATIVE_INFINITY;
  /** Of the bookmark that came last, with nothing since; undefined otherwise. */
  #quietSince: string | undefined;
  #stats: { lists: number; watches: number; failures: number; lastError?: StatusError } = {
    lists: 0,
    watches: 0,
    failures: 0,
  };

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#scope = options.scope ?? {};
    this.#traits = options.traits ?? { watchList: true };
  }

  get phase(): ReflectorState<T>['phase']['name'] {
    return this.#state.phase.name;
  }

  /** The newest position known, empty before the first list. */
  get revision(): string {
    return this.#state.revision;
  }

  get stats(): ReflectorStats {
    return { ...this.#stats };
  }

  /** When the server was last heard of; -Infinity before. */
  get lastContactAt(): number {
    return this.#lastContactAt;
  }

  start(): void {
    this.#input({ type: 'start' });
  }

  stop(): void {
    this.#input({ type: 'stop' });
  }

  /** Another part of the collection from now on, listed anew at no older a position than the last, or `notOlderThan` if that is newer. */
  rescope(scope: Scope, notOlderThan?: string): void {
    this.#scope = scope;
    const running = this.#state.phase.name !== 'stopped';
    if (running) this.stop();
    const order = notOlderThan === undefined ? -1 : compareResourceVersions(notOlderThan, this.#state.revision);
    // Before the first list there is no position to compare with.
    if (notOlderThan !== undefined && (order === undefined || order > 0))
      this.#state = { ...this.#state, revision: notOlderThan };
    if (running) this.start();
  }

  /** Inputs that arrive during a step wait for its end, so a client that answers synchronously cannot re-enter. */
  #input(input: ReflectorInput<T>): void {
    this.#inputs.push(input);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) this.#step(next);
    } finally {
      this.#stepping = false;
    }
  }

  #step(input: ReflectorInput<T>): void {
    const now = this.#options.clock.now();
    const watching = this.#state.phase.name === 'watching' && input.type === 'event';
    this.#quietSince =
      watching && input.event.type === 'BOOKMARK' ? input.event.object.metadata.resourceVersion : undefined;
    if (input.type === 'event' || input.type === 'listed') {
      this.#lastContactAt = now;
      if (this.#stats.lastError) delete this.#stats.lastError;
    }
    const { state, effects } = stepReflector(this.#state, input, {
      now,
      scope: this.#scope,
      watchList: this.#traits.watchList,
    });
    this.#state = state;
    for (const effect of effects) this.#execute(effect);
  }

  #execute(effect: ReflectorEffect<T>): void {
    const { sink, logger, type } = this.#options;
    switch (effect.type) {
      case 'list':
        this.#list(effect.options);
        break;
      case 'watch':
        this.#watch(effect.options);
        break;
      case 'deadline':
        this.#arm(this.#deadline - this.#options.clock.now());
        break;
      case 'close':
        this.#close();
        break;
      case 'replace':
        this.#guarded(() => sink.replace(effect.items, effect.revision));
        break;
      case 'deliver':
        this.#guarded(() => sink.apply(effect.event));
        break;
      case 'progress':
        this.#guarded(() => sink.progress(effect.revision));
        break;
      case 'timer':
        this.#arm(effect.ms * (1 + effect.jitter * (effect.jitter === 0 ? 0 : this.#options.random.next())));
        break;
      case 'watchListUnsupported':
        this.#traits.watchList = false;
        logger.info({ resource: type.resource, why: effect.why }, 'server gives no watch lists; listing instead');
        break;
      case 'report':
        this.#stats.failures++;
        if (effect.error) this.#stats.lastError = effect.error;
        logger.warn({ resource: type.resource, error: effect.error?.message }, `reflector: ${effect.what}`);
        break;
    }
  }

  #list(options: ListOptions): void {
    this.#close();
    this.#stats.lists++;
    const operation = this.#operation;
    this.#options.client.list(this.#options.type, options).then(
      (list) => {
        if (!operation.closed) this.#input({ type: 'listed', list });
      },
      (error: unknown) => {
        if (!operation.closed) this.#input({ type: 'listFailed', error: asStatusError(error) });
      },
    );
  }

  #watch(options: WatchOptions): void {
    this.#close();
    this.#stats.watches++;
    const { client, type, random, watchSeconds: { from, to } = WATCH_TIMEOUT_SECONDS } = this.#options;
    const timeoutSeconds = Math.floor(from + random.next() * (to - from));
    const operation = this.#operation;
    this.#deadline = this.#options.clock.now() + timeoutSeconds * 1000 + WATCH_GRACE_MS;
    operation.add(
      defer(() => client.watch(type, { ...options, timeoutSeconds })).subscribe({
        next: (event) => {
          if (operation.closed) return;
          // Idle watches say nothing else, for hours: that somebody is there is all there is to it.
          if (event.type === 'BOOKMARK' && event.object.metadata.resourceVersion === this.#quietSince)
            this.#lastContactAt = this.#options.clock.now();
          else this.#input({ type: 'event', event });
        },
        error: (error: unknown) => {
          if (!operation.closed) this.#input({ type: 'watchFailed', error: asStatusError(error) });
        },
        complete: () => {
          if (!operation.closed) this.#input({ type: 'watchEnded' });
        },
      }),
    );
  }

  #arm(ms: number): void {
    this.#disarm();
    const operation = this.#operation;
    this.#disarm = this.#options.clock.after(ms, () => {
      if (!operation.closed) this.#input({ type: 'timer' });
    });
  }

  /** Whatever belongs to the operation given up can no longer reach the machine: its subscription is its generation. */
  #close(): void {
    this.#disarm();
    this.#operation.unsubscribe();
    this.#operation = new Subscription();
  }

  /** A sink that fails has lost an event; only a new list makes it whole again. */
  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.logger.error(
        { resource: this.#options.type.resource, error: String(error) },
        'reflector: sink failed',
      );
      this.#inputs.push({ type: 'watchFailed', error: internalError(`sink failed: ${String(error)}`) });
    }
  }
}

const asStatusError = (error: unknown): StatusError =>
  error instanceof StatusError ? error : internalError(error instanceof Error ? error.message : String(error));
