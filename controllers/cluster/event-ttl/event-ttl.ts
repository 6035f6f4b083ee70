import type { Client } from '@trimtab/client';
import { type Clock, Events, isReason, type Logger } from '@trimtab/machinery';
import { sweep } from './expiry.js';

export interface EventTtlOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default an hour (kube-apiserver: --event-ttl); 0: events stay for ever. */
  readonly eventTtlMs?: number;
}

const HOUR_MS = 3_600_000;
/** Events come in crowds, and go in crowds. */
const SOONEST_MS = 60_000;
const PAGE = 500;
const CONCURRENCY = 16;

/**
 * Events go when they have not been seen for that long. Nothing is cached and nothing polled: after each look the next one
 * is when the oldest that was left will have expired, and where there are none, when the first new one could have.
 */
export class EventTtl {
  readonly #options: EventTtlOptions;
  readonly #ttlMs: number;
  #cancel: (() => void) | undefined;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: EventTtlOptions) {
    this.#options = options;
    this.#ttlMs = options.eventTtlMs ?? HOUR_MS;
  }

  /** The first look is a minute away: a start has better things to do. */
  async start(): Promise<void> {
    if (this.#ttlMs > 0) this.#lookIn(SOONEST_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#running;
  }

  #lookIn(ms: number): void {
    if (this.#stopped) return;
    const { clock, logger } = this.#options;
    this.#cancel = clock.after(ms, () => {
      this.#running = this.#look().then(
        (nextAt) => this.#lookIn(Math.max(SOONEST_MS, nextAt - clock.now())),
        (error: unknown) => {
          logger.warn({ err: error }, 'events that have expired could not be removed; trying again in a minute');
          this.#lookIn(SOONEST_MS);
        },
      );
    });
  }

  /** When to look again. */
  async #look(): Promise<number> {
    const { client, clock } = this.#options;
    let nextAt = clock.now() + this.#ttlMs;
    let token: string | undefined;
    do {
      const page = await client.list(Events, { limit: PAGE, ...(token ? { continue: token } : {}) });
      const { expired, nextAt: next } = sweep(page.items, clock.now(), this.#ttlMs);
      nextAt = Math.min(nextAt, next);
      for (let at = 0; at < expired.length && !this.#stopped; at += CONCURRENCY)
        await Promise.all(
          expired.slice(at, at + CONCURRENCY).map(({ metadata: { namespace, name = '', uid, resourceVersion } }) =>
            client
              // One that is seen again meanwhile stays.
              .delete(Events, { namespace, name }, { preconditions: { uid, resourceVersion } })
              .catch(unlessNewsOrGone),
          ),
        );
      token = page.metadata.continue || undefined;
    } while (token && !this.#stopped);
    return nextAt;
  }
}

function unlessNewsOrGone(error: unknown): void {
  if (!isReason(error, 'Conflict') && !isReason(error, 'NotFound')) throw error;
}
