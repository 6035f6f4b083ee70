import type { Client } from '@trimtab/client';
import type { Clock, Event, KubeObject, Logger, ResourceType } from '@trimtab/machinery';
import { Events, isReason, timestamp } from '@trimtab/machinery';
import type { EventRecord } from './effects.js';

const REMEMBERED = 4096;
const BURST = 25;
const REFILL_MS = 300_000;
const NAME_ATTEMPTS = 8;
/** Events that wait to be written; what comes while so many do is not recorded (client-go record: maxQueuedEvents). */
const MOST_WAITING = 1000;

interface Remembered {
  readonly namespace: string;
  readonly name: string;
  count: number;
}

/**
 * Records events about objects, best-effort and one after the other: repeated ones (same object, type, reason, message)
 * count up instead of piling up, and one object gets 25 at once and one every 5 minutes after that (client-go record).
 */
export class EventRecorder {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #source: string;
  readonly #seen = new Map<string, Remembered>();
  readonly #budget = new Map<string, { tokens: number; at: number }>();
  #sequence = 0;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(options: { client: Client; clock: Clock; logger: Logger; source: string }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#source = options.source;
  }

  record(event: EventRecord): void {
    if (!this.#affords(event.regarding) || this.#waiting >= MOST_WAITING) return;
    const at = this.#clock.now();
    this.#waiting++;
    this.#last = this.#last
      .then(() => this.#write(event, at))
      .catch((error: unknown) => this.#failed(event, error))
      .then(() => {
        this.#waiting--;
      });
  }

  /** Resolves when everything recorded so far has been written or given up. */
  flushed(): Promise<void> {
    return this.#last;
  }

  #affords(regarding: KubeObject): boolean {
    const id = regarding.metadata.uid ?? '';
    const now = this.#clock.now();
    const known = this.#budget.get(id) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, known.tokens + (now - known.at) / REFILL_MS);
    remember(this.#budget, id, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    return tokens >= 1;
  }

  async #write(event: EventRecord, at: number, attempt = 1): Promise<void> {
    const { regarding, type, reason, message } = event;
    const time = timestamp(at);
    const id = [regarding.metadata.uid, type, reason, message].join('\0');
    const known = this.#seen.get(id);
    if (known) {
      known.count++;
      try {
        await this.#client.patch(
          Events as ResourceType,
          { namespace: known.namespace, name: known.name },
          { type: 'merge', body: { count: known.count, lastTimestamp: time } },
        );
        return;
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    }
    const namespace = regarding.metadata.namespace ?? 'default';
    const name = `${regarding.metadata.name}.${(at * 1000 + (this.#sequence++ % 1000)).toString(16)}`;
    const { apiVersion, kind, metadata } = regarding;
    const object: Event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace, name },
      involvedObject: {
        apiVersion,
        kind,
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      },
      type,
      reason,
      message,
      source: { component: this.#source },
      reportingComponent: this.#source,
      reportingInstance: '',
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    };
    try {
      await this.#client.create(Events, object);
      remember(this.#seen, id, { namespace, name, count: 1 });
    } catch (error) {
      // Another recorder wrote about the same object in the same instant.
      if (!isReason(error, 'AlreadyExists') || attempt >= NAME_ATTEMPTS) throw error;
      await this.#write(event, at, attempt + 1);
    }
  }

  #failed(event: EventRecord, error: unknown): void {
    const { reason, message } = event;
    this.#logger.debug({ reason, message, error: String(error) }, 'event not recorded');
  }
}

/** Least recently set goes first. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > REMEMBERED) map.delete(map.keys().next().value!);
}
