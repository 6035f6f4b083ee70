import {
  type ApiCall,
  CallingClient,
  type Client,
  callKey,
  isWrite,
  type ListOptions,
  perform,
  requestVerb,
  type WatchEvent,
  type WatchOptions,
} from '@trimtab/client';
import { type Event, joinKey, type KubeObject, keyOf, type ResourceType, StatusError } from '@trimtab/machinery';
import { Observable } from 'rxjs';
import type { Cause } from './trace.js';

/** A watch in the same process need not be renewed every few minutes, which for a day of every kind is most of its cost. */
export const WATCH_SECONDS = { from: 3_600, to: 7_200 } as const;

/** A watch event on its way to a process. */
export interface LinkEvent {
  readonly type: ResourceType;
  readonly event: WatchEvent;
  /** Breaks the stream it came by off, with this error. */
  fail(error: StatusError): void;
}

/** A past that a process is shown: its lists and watches stand at `revision` until `until` resolves. */
export interface Past {
  readonly revision: string;
  readonly until: Promise<void>;
}

/** What happens between a process and the server. Each may delay, repeat, drop or refuse what it is handed. */
export interface LinkFaults {
  write?(call: ApiCall, send: () => Promise<unknown>): Promise<unknown>;
  read?(call: ApiCall, send: () => Promise<unknown>): Promise<unknown>;
  event?(event: LinkEvent, deliver: () => void): void;
  /** Why a watch cannot be opened. */
  open?(type: ResourceType, options: WatchOptions): StatusError | undefined;
  past?(): Past | undefined;
}

export interface LinkObserver {
  /** Before each request. */
  requested(call: ApiCall): void;
  refused(call: ApiCall, error: unknown, cause: Cause | undefined): void;
  delivered(type: ResourceType, event: WatchEvent): void;
}

/** A watch that is open. */
interface Stream {
  readonly type: ResourceType;
  /** Breaks it off towards the process. */
  fail(error: unknown): void;
  /** Leaves the server without a word to the process. */
  leave(): void;
}

/** Never settles: what a process that is no more would have waited for. */
const never = (): Promise<never> => new Promise(() => {});

/**
 * A process's line to the server: while it is up a client like any other; once {@link cut}, nothing is answered or told
 * any more. While {@link hold} is in force, everything waits.
 */
export class Link extends CallingClient {
  faults: LinkFaults = {};
  /** What the next request, in this very turn, is made on account of. */
  cause: Cause | undefined;
  readonly #inner: Client;
  readonly #because: ((cause: Cause) => Client) | undefined;
  readonly #observer: LinkObserver;
  #cut = false;
  #held: Promise<void> | undefined;
  #release: () => void = () => {};
  readonly #onRelease: (() => void)[] = [];
  readonly #streams = new Set<Stream>();

  /** `because` gives the client for requests whose cause is to be written down. */
  constructor(inner: Client, observer: LinkObserver, because?: (cause: Cause) => Client) {
    super();
    this.#inner = inner;
    this.#because = because;
    this.#observer = observer;
  }

  get isCut(): boolean {
    return this.#cut;
  }

  cut(): void {
    this.#cut = true;
    for (const { leave } of [...this.#streams]) leave();
    this.#streams.clear();
  }

  hold(): void {
    this.#held ??= new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#held = undefined;
    this.#release();
    for (const deliver of this.#onRelease.splice(0)) deliver();
  }

  /** Ends every open watch, or those of one kind, with this error. */
  breakStreams(error: StatusError, only?: ResourceType): void {
    for (const { type, fail } of [...this.#streams])
      if (only === undefined || (type.resource === only.resource && type.group === only.group)) fail(error);
  }

  async call(call: ApiCall): Promise<unknown> {
    const cause = this.cause ?? reportedCause(call);
    this.cause = undefined;
    if (this.#cut) return never();
    this.#observer.requested(call);
    if (this.#held) await this.#held;
    if (this.#cut) return never();
    const { write, read } = this.faults;
    const fault = isWrite(call) ? write : read;
    const through = (cause && this.#because?.(cause)) ?? this.#inner;
    const send = () => perform(through, this.#dated(call));
    try {
      const answer = await (fault ? fault(call, send) : send());
      if (this.#held) await this.#held;
      return this.#cut ? never() : answer;
    } catch (error) {
      if (this.#cut) return never();
      this.#observer.refused(call, error, cause);
      throw error;
    }
  }

  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions = {}): Observable<WatchEvent<T>> {
    return new Observable<WatchEvent<T>>((subscriber) => {
      let inner: { unsubscribe(): void } | undefined;
      const fail = (error: unknown) => {
        inner?.unsubscribe();
        this.#when(() => subscriber.error(error));
      };
      const tell = (event: WatchEvent<T>) =>
        this.#when(() => {
          if (subscriber.closed) return;
          this.#observer.delivered(type as unknown as ResourceType, event);
          subscriber.next(event);
        });
      const follow = (from: WatchOptions) => {
        if (subscriber.closed || this.#cut) return;
        inner = this.#inner.watch(type, from).subscribe({
          next: (event) => {
            if (!this.faults.event) tell(event);
            else this.faults.event({ type: type as unknown as ResourceType, event, fail }, () => tell(event));
          },
          error: fail,
          complete: () => this.#when(() => subscriber.complete()),
        });
      };
      const refusal = this.faults.open?.(type as unknown as ResourceType, options);
      if (refusal) {
        queueMicrotask(() => fail(refusal));
        return;
      }
      const stream: Stream = { type: type as unknown as ResourceType, fail, leave: () => inner?.unsubscribe() };
      this.#streams.add(stream);
      const past = this.faults.past?.();
      if (past) void this.#showPast(type, options, past, tell, fail).then(follow, fail);
      else follow(options);
      return () => {
        this.#streams.delete(stream);
        inner?.unsubscribe();
      };
    });
  }

  /** A list of the past, while that is what is shown. */
  #dated(call: ApiCall): ApiCall {
    const past = call.verb === 'list' ? this.faults.past?.() : undefined;
    if (!past || call.verb !== 'list') return call;
    return { ...call, options: exactly(call.options, past.revision) };
  }

  #when(deliver: () => void): void {
    if (this.#cut) return;
    if (this.#held) this.#onRelease.push(() => this.#cut || deliver());
    else deliver();
  }

  /** Tells what was there, waits until the past is over, and gives where to go on from. */
  async #showPast<T extends KubeObject>(
    type: ResourceType<T>,
    options: WatchOptions,
    { revision, until }: Past,
    tell: (event: WatchEvent<T>) => void,
    fail: (error: unknown) => void,
  ): Promise<WatchOptions> {
    const { sendInitialEvents, resourceVersionMatch: _, ...rest } = options;
    if (sendInitialEvents) {
      const listed = await this.#inner.list(type, exactly(rest, revision)).catch(fail);
      for (const object of listed?.items ?? []) tell({ type: 'ADDED', object });
      const annotations = { 'k8s.io/initial-events-end': 'true' };
      tell({ type: 'BOOKMARK', object: { metadata: { resourceVersion: revision, annotations } } });
    }
    await until;
    return { ...rest, ...(sendInitialEvents ? { resourceVersion: revision } : {}) };
  }
}

function exactly(options: ListOptions, revision: string): ListOptions {
  const { continue: _, limit: __, ...scope } = options;
  return { ...scope, resourceVersion: revision, resourceVersionMatch: 'Exact' };
}

/** `create pods ns/web-0`, `update deployments/scale ns/web`. */
export function callText(call: ApiCall): string {
  if (call.verb === 'raw') return `get ${call.path}`;
  const named = callKey(call);
  const scope = 'namespace' in call.options ? call.options.namespace : undefined;
  const generated = 'object' in call ? call.object.metadata.generateName : undefined;
  const name = named ? joinKey({ ...named, name: named.name || `${generated ?? ''}?` }) : (scope ?? '');
  const sub =
    call.verb === 'subresource'
      ? call.subresource
      : 'subresource' in call.options
        ? call.options.subresource
        : undefined;
  return `${requestVerb(call)} ${call.type.resource}${sub ? `/${String(sub)}` : ''} ${name}`.trimEnd();
}

export const resourceOf = (call: ApiCall): string => (call.verb === 'raw' ? '' : call.type.resource);

export const eventKey = (event: WatchEvent): string => keyOf(event.object);

/** The reason of an error, and what it says. */
export const reasonOf = (error: unknown): string =>
  error instanceof StatusError ? `${error.status.reason ?? error.code}: ${error.message}` : String(error);

/** Events are sent when there is time; they say themselves who reports on what. */
function reportedCause(call: ApiCall): Cause | undefined {
  if (call.verb !== 'create' || call.type.resource !== 'events') return undefined;
  const { source, involvedObject: about } = call.object as Event;
  return source?.component && about?.name
    ? { controller: source.component, key: joinKey({ namespace: about.namespace, name: about.name }) }
    : undefined;
}
