import type { Client } from '@trimtab/client';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import { Events, isNamespaceTerminating, timestamp } from '@trimtab/machinery';

/** What an event is about; `fieldPath` names a container as `spec.containers{name}`. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
  readonly fieldPath?: string;
}

export interface EventRecorder {
  /** Never fails and never waits: events are written behind, one at a time, and dropped when too many wait. */
  event(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export const silentRecorder: EventRecorder = { event: () => {} };

interface Waiting {
  readonly key: string;
  readonly subject: EventSubject;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly first: number;
  last: number;
  count: number;
}

interface Written {
  readonly namespace: string;
  readonly name: string;
  count: number;
}

const MAX_WAITING = 1_000;
const MAX_REMEMBERED = 4_096;
const MAX_MESSAGE = 1_024;

/** Repeats of an event raise the count of the first one, as client-go's recorder does. */
export class ApiEventRecorder implements EventRecorder {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #node: string;
  readonly #waiting = new Map<string, Waiting>();
  readonly #written = new Map<string, Written>();
  #writing = false;

  constructor(options: { client: Client; clock: Clock; random: Random; logger: Logger; nodeName: string }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger;
    this.#node = options.nodeName;
  }

  event(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, text: string): void {
    const message = text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE - 3)}...` : text;
    const key = [subject.kind, subject.namespace, subject.name, subject.uid, subject.fieldPath, reason, message].join(
      '|',
    );
    const now = this.#clock.now();
    const known = this.#waiting.get(key);
    if (known) {
      known.count++;
      known.last = now;
    } else if (this.#waiting.size >= MAX_WAITING) {
      this.#logger.warn({ reason, object: subject.name }, 'event dropped: too many wait to be written');
    } else {
      this.#waiting.set(key, { key, subject, type, reason, message, first: now, last: now, count: 1 });
    }
    if (!this.#writing) {
      this.#writing = true;
      this.#clock.after(0, () => void this.#drain());
    }
  }

  async #drain(): Promise<void> {
    for (const [key, event] of this.#waiting) {
      this.#waiting.delete(key);
      try {
        await this.#write(event);
      } catch (error) {
        const about = { reason: event.reason, object: event.subject.name, error: String(error) };
        this.#logger[isNamespaceTerminating(error) ? 'debug' : 'warn'](about, 'event not written');
      }
    }
    this.#writing = false;
  }

  async #write(event: Waiting): Promise<void> {
    const earlier = this.#written.get(event.key);
    if (earlier) {
      const count = earlier.count + event.count;
      try {
        await this.#client.patch(
          Events,
          { namespace: earlier.namespace, name: earlier.name },
          { type: 'merge', body: { count, lastTimestamp: timestamp(event.last), message: event.message } },
        );
        earlier.count = count;
        return;
      } catch {
        this.#written.delete(event.key);
      }
    }
    await this.#create(event);
  }

  async #create(event: Waiting): Promise<void> {
    const { subject } = event;
    const namespace = subject.namespace ?? 'default';
    const suffix = Buffer.from(this.#random.bytes(8)).toString('hex');
    const name = `${subject.name}.${suffix}`;
    await this.#client.create(Events, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace, name },
      involvedObject: subject,
      type: event.type,
      reason: event.reason,
      message: event.message,
      count: event.count,
      firstTimestamp: timestamp(event.first),
      lastTimestamp: timestamp(event.last),
      source: { component: 'kubelet', host: this.#node },
      reportingComponent: 'kubelet',
      reportingInstance: this.#node,
    });
    this.#written.set(event.key, { namespace, name, count: event.count });
    const oldest = this.#written.keys().next().value;
    if (this.#written.size > MAX_REMEMBERED && oldest !== undefined) this.#written.delete(oldest);
  }
}
