import type { Clock, KubeObject, Logger } from '@trimtab/machinery';
import { isReason, keyOf, StatusError, splitKey } from '@trimtab/machinery';
import type { Caches } from './caches.js';
import { type ControllerDefinition, type ErrorDecision, TerminalError } from './controller.js';
import type { Executor } from './executor.js';
import { TimeoutError } from './in-time.js';
import type { ControllerMetrics } from './metrics.js';
import type { WorkQueue } from './queue.js';
import {
  declaresConditions,
  forgotten,
  isOfThisGeneration,
  RETRYING,
  type Retrying,
  recorded,
  retriesOf,
} from './retry-record.js';
import type { Failure } from './view.js';
import { whereThrown } from './where-thrown.js';

/** What is tried again sooner is not worth a write. */
export const WORTH_RECORDING_MS = 10_000;

/** The condition a controller keeps its record in; undefined where it keeps none. */
export function retryConditionOf({
  retryCondition,
  for: type,
}: Pick<ControllerDefinition, 'retryCondition' | 'for'>): string | undefined {
  if (retryCondition !== undefined) return retryCondition === false ? undefined : retryCondition;
  return declaresConditions(type) ? RETRYING : undefined;
}

export interface RetriesParts {
  readonly queue: WorkQueue;
  readonly caches: Caches;
  readonly executor: Executor;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: ControllerMetrics;
}

/**
 * What has failed and is tried again: when, and why. Long waits are written down on the object, where users see them and the
 * next process finds them: it waits as long as the last one would have, unless the object asks for something else by then.
 */
export class Retries {
  readonly #definition: ControllerDefinition;
  readonly #parts: RetriesParts;
  readonly #condition: string | undefined;
  readonly #failures = new Map<string, Failure>();
  readonly #waiting = new Map<string, Retrying>();
  #warned = false;

  constructor(definition: ControllerDefinition, parts: RetriesParts) {
    this.#definition = definition;
    this.#parts = parts;
    this.#condition = retryConditionOf(definition);
  }

  /** How the last evaluation of a key failed; undefined after a success. */
  failure(key: string): Failure | undefined {
    return this.#failures.get(key);
  }

  /** Everything that waits to be tried again, by key. */
  get waiting(): ReadonlyMap<string, Retrying> {
    return this.#waiting;
  }

  /** What was waiting when the last process ended goes on waiting: true for an object of which that is so. */
  deferred(object: KubeObject): boolean {
    const { queue, clock } = this.#parts;
    const key = keyOf(object);
    if (this.#condition === undefined || this.#waiting.has(key)) return false;
    const record = this.#recordOn(object);
    const now = clock.now();
    if (!record?.until || record.until <= now || !isOfThisGeneration(object, this.#condition)) return false;
    this.#waiting.set(key, record);
    this.#failures.set(key, { error: new Error(record.why) });
    queue.defer(key, record.failures, record.until - now);
    return true;
  }

  /** After an evaluation that has succeeded, and as a part of it: the record goes. */
  async succeeded(key: string): Promise<void> {
    this.gone(key);
    if (this.#condition === undefined) return;
    const { caches, executor } = this.#parts;
    const { for: type } = this.#definition;
    const object = caches.informer(type).get(key);
    if (object && this.#recordOn(object)) await executor.run(key, forgotten(type, object, this.#condition));
  }

  /** The key is no more, or no more ours. */
  gone(key: string): void {
    this.#parts.queue.forget(key);
    this.#failures.delete(key);
    this.#waiting.delete(key);
  }

  /** Puts the key back, as the controller says of such a failure. */
  failed(key: string, error: Error): void {
    const { queue, logger, metrics, executor, clock } = this.#parts;
    const { name, onError, retries = Number.POSITIVE_INFINITY } = this.#definition;
    this.#failures.set(key, executor.failure(error));
    const attempt = queue.failures(key) + 1;
    const decision: ErrorDecision =
      error instanceof TerminalError ? { action: 'stop' } : (onError?.(error, attempt) ?? { action: 'retry' });
    if (error instanceof TimeoutError) metrics?.failed?.(name, 'timeout');
    else if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError)
      metrics?.failed?.(name, 'panic');
    const where = error instanceof StatusError ? undefined : whereThrown(error);
    const said = { error: error.message, ...(where === undefined ? {} : { at: where }) };
    const record = { controller: name, failures: attempt, why: error.message };
    if (decision.action === 'stop' || attempt > retries) {
      queue.forget(key);
      metrics?.failed?.(name, 'terminal');
      logger.error({ key, attempt, ...said }, 'reconciliation failed for good, until something changes');
      this.#wait(key, { ...record, until: undefined });
      return;
    }
    const retryMs = queue.addRateLimited(key, decision.afterMs);
    const expected = isReason(error, 'Conflict', 'AlreadyExists') || this.#isGone(key, error);
    logger[expected ? 'debug' : 'warn']({ key, ...said, retryMs }, 'reconciliation failed');
    metrics?.retried?.(name);
    this.#wait(key, { ...record, until: clock.now() + retryMs });
  }

  /** Written to when it had been deleted already: the watch is about to say so. */
  #isGone(key: string, error: Error): boolean {
    if (!isReason(error, 'NotFound')) return false;
    const { name, kind } = error.status.details ?? {};
    return kind === this.#definition.for.resource && name === splitKey(key).name;
  }

  #wait(key: string, record: Retrying): void {
    const { caches, clock } = this.#parts;
    const { for: type } = this.#definition;
    this.#waiting.set(key, record);
    const long = record.until === undefined || record.until - clock.now() >= WORTH_RECORDING_MS;
    const object = caches.informer(type).get(key);
    if (this.#condition !== undefined && long && object) void this.#record(key, object, this.#condition, record);
  }

  /** At the best of our ability: what cannot be reached is known to this process alone. */
  async #record(key: string, object: KubeObject, condition: string, record: Retrying): Promise<void> {
    const { caches, executor, logger, clock } = this.#parts;
    const { for: type } = this.#definition;
    try {
      await executor.run(key, recorded(type, object, condition, record, clock.now()));
      const now = caches.informer(type).get(key);
      if (this.#warned || !now || now === object || this.#recordOn(now)) return;
      this.#warned = true;
      logger.warn(
        { key, condition },
        'the kind keeps no conditions: what is tried again is not to be seen on its objects',
      );
    } catch (error) {
      logger.debug({ key, error: String(error) }, 'could not write down what is tried again');
    }
  }

  #recordOn(object: KubeObject): Retrying | undefined {
    const { name } = this.#definition;
    return retriesOf(object).find(({ condition, controller }) => condition === this.#condition && controller === name);
  }
}
