import type { Change, Client, Indexes, Scope } from '@trimtab/client';
import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import { joinKey } from '@trimtab/machinery';
import type { Observable } from 'rxjs';
import type { AnyStateMachine } from 'xstate';
import type { AdaptiveConcurrency } from './concurrency.js';
import type { Effect } from './effects.js';
import type { Predicate } from './predicates.js';
import type { Backoff } from './queue.js';
import type { Rate } from './rate-limit.js';
import type { Reader, View } from './view.js';

/**
 * A controller as data: which objects it is for, whose changes make it look again, and a pure decision. Everything else
 * (caches, queue, retries, writes, events) is the runner's.
 */
export interface ControllerDefinition<T extends KubeObject = KubeObject, O = unknown> {
  /** Names queue, metrics, field manager and event source: `replicaset-controller`. */
  readonly name: string;
  readonly for: ResourceType<T>;
  /** Changes of these look again at their controlling owner of kind `for`. */
  readonly owns?: readonly ResourceType[];
  readonly watches?: readonly WatchDefinition[];
  /** What objects refer to: see {@link feeds}. */
  readonly feeds?: readonly Feed[];
  /** Cached and readable, but a change alone is no reason to look again. */
  readonly reads?: readonly ResourceType[];
  readonly indexes?: readonly IndexDefinition[];
  /** Which changes of `for` are a reason to look again; default all. */
  readonly where?: Predicate<T>;
  /** What of a type is cached at all, and how much of it. Types not named here are cached whole. */
  readonly caching?: readonly CachingDefinition[];
  /** Keys from elsewhere: webhooks, queues, files. A stream that errors is logged and not listened to again. */
  readonly sources?: readonly Observable<ObjectKey>[];
  /** Things outside the cluster, polled for each object; the view has what was found last. */
  readonly externals?: readonly ExternalDefinition[];
  /** How many keys at a time; default 5. One key is never worked on twice at a time. */
  readonly concurrency?: number | AdaptiveConcurrency;
  /** Waits after failed evaluations of a key; default 5 ms, doubling up to 1000 s. */
  readonly backoff?: Backoff;
  /** Higher is earlier; default 0, and -100 for the first list and resyncs. Nobody waits longer than 10 s for others. */
  readonly priority?: (change: Change<T>) => number;
  /** At most so many evaluations, together and for each namespace; more wait. Default: no limit. */
  readonly rateLimit?: { readonly together?: Rate; readonly perNamespace?: Rate };
  /** Looks at every object again this often, 10 % sooner or later. Default never: events suffice. */
  readonly resyncMs?: number;
  /** An evaluation that has not ended by then is a failure, and what it still would write is not written. Default none. */
  readonly timeoutMs?: number;
  /** What a failure means; default: again after the backoff, for ever. */
  readonly onError?: (error: Error, attempt: number) => ErrorDecision;
  /** After so many failures in a row the key rests until something changes. Default: no end. */
  readonly retries?: number;
  /**
   * The type of the condition that says what is tried again, when and why, once the wait is 10 s or more; a process that starts
   * waits as it says. Default `Retrying` for a `customKind` whose status has conditions, none otherwise; false for none. Of
   * several controllers of a kind each needs its own.
   */
  readonly retryCondition?: string | false;
  /**
   * Last things to do before an object goes; decided like `reconcile`, over again until it says {@link done}, or like a derived
   * `machine`, until that is in a final state.
   */
  readonly cleanup?: ((view: View<T>, observed: O) => readonly Effect[]) | AnyStateMachine;
  /** Default `cleanup.trimtab.dev/<name>`. */
  readonly finalizer?: string;
  /** What it does beyond what its declaration tells: kinds it writes without owning them. For derived RBAC rules. */
  readonly permissions?: readonly Permission[];
  /**
   * Live reads that a decision needs and no cache can answer, made before each evaluation: what it resolves with is handed
   * to the decision beside the view it was given. A rejection is a failed evaluation. The only part that is not pure; it
   * reads and never decides.
   */
  readonly observe?: (view: View<T>, client: LiveReader) => Promise<O>;
  /**
   * Pure and synchronous. Exactly one of `reconcile` and `machine` is given.
   */
  readonly reconcile?: (view: View<T>, observed: O) => readonly Effect[];
  /**
   * A statechart evaluated purely; its actions return effects. With `durable: false` (default) the state is derived: each
   * evaluation enters the machine anew with input `{view, observed}` and takes its `always` transitions. With `durable: true` the
   * state is kept on the object (annotation `state.trimtab.dev/<name>`): the machine then gets `{type: 'OBSERVED', view}`
   * on every change and its `after` transitions at their absolute due times, also across restarts. Effects of a durable
   * step are carried out before its state is written, so a crash repeats them rather than losing them. No actors.
   */
  readonly machine?: AnyStateMachine;
  readonly durable?: boolean;
}

/** `retry` with the backoff or after `afterMs`; `stop` until something changes. */
export type ErrorDecision = { readonly action: 'retry'; readonly afterMs?: number } | { readonly action: 'stop' };

/** Thrown by a decision, it means that trying again is of no use until something changes. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

export interface Permission {
  readonly type: ResourceType;
  readonly verbs: readonly string[];
  readonly subresource?: string;
}

export interface CachingDefinition {
  readonly type: ResourceType;
  /** Namespace, selectors; or `metadataOnly`. */
  readonly scope?: Scope;
  /** Run once on every object before it is stored; must be idempotent. */
  readonly transform?: (object: KubeObject) => KubeObject;
}

export interface ExternalDefinition {
  readonly name: string;
  readonly everyMs: number;
  /** May fail: the view then keeps what was found before. Not asked for objects it answers undefined for in `when`. */
  readonly read: (object: KubeObject, signal: AbortSignal) => Promise<unknown>;
  readonly when?: (object: KubeObject) => boolean;
}

/** `trimtab.dev/paused: "true"` on an object: it is left alone until the annotation goes. */
export const PAUSED = 'trimtab.dev/paused';

export interface WatchDefinition {
  readonly type: ResourceType;
  /** Which objects to look at again; asked of both the old and the new state. Pure. */
  readonly to: (object: KubeObject, reader: Reader) => readonly ObjectKey[];
  /** Only changes that pass; default all. */
  readonly where?: Predicate;
  /** Only these changes; default all. */
  readonly on?: readonly Change<KubeObject>['type'][];
  /** Updates between which nothing that matters differs. Pure. */
  readonly ignores?: (previous: KubeObject, object: KubeObject) => boolean;
}

export interface IndexDefinition {
  readonly type: ResourceType;
  readonly indexes: Indexes<KubeObject>;
}

/** The input of a machine, and its event when durable. */
export interface Observed<T extends KubeObject = KubeObject, O = unknown> {
  readonly type: 'OBSERVED';
  readonly view: View<T>;
  /** What the controller's `observe` resolved with. */
  readonly observed?: O;
}

/** Reads that ask the server, not a cache. */
export type LiveReader = Pick<Client, 'get' | 'list'>;

/** Checks the definition and erases its type, so that definitions can be listed together. */
export function controller<T extends KubeObject, O = unknown>(
  definition: ControllerDefinition<T, O>,
): ControllerDefinition {
  if (!definition.reconcile === !definition.machine)
    throw new Error(`controller ${definition.name} needs exactly one of reconcile and machine`);
  const { feeds: fed = [], watches = [], indexes = [], ...rest } = definition;
  return {
    ...rest,
    watches: [...watches, ...fed.map((feed) => feed.watch)],
    indexes: [...indexes, ...fed.map((feed) => feed.index)],
  } as unknown as ControllerDefinition;
}

/** A watch whose mapping sees the watched type. */
export const watch = <O extends KubeObject>(
  type: ResourceType<O>,
  to: (object: O, reader: Reader) => readonly ObjectKey[],
  only: {
    readonly where?: Predicate<O>;
    readonly on?: WatchDefinition['on'];
    readonly ignores?: (previous: O, object: O) => boolean;
  } = {},
): WatchDefinition => ({ ...only, type, to }) as unknown as WatchDefinition;

/** Indexes, by the values an object is found under. */
export const index = <O extends KubeObject>(type: ResourceType<O>, indexes: Indexes<O>): IndexDefinition => ({
  type: type as ResourceType,
  indexes: indexes as Indexes<KubeObject>,
});

/** A watch and the index it needs, from saying which objects of `type` one of kind `fed` refers to. */
export interface Feed {
  readonly watch: WatchDefinition;
  readonly index: IndexDefinition;
}

/**
 * Changes of what an object refers to look at the object again: from the forward reference come the reverse index and the
 * mapping. Names without a namespace are in the object's own.
 */
export function feeds<F extends KubeObject, T extends KubeObject>(
  type: ResourceType<F>,
  fed: ResourceType<T>,
  refers: (object: T) => ObjectKey | readonly ObjectKey[] | undefined,
): Feed {
  const name = `feeds/${type.group}/${type.resource}`;
  const keys = (object: T): readonly string[] => {
    const found = refers(object);
    const list =
      found === undefined ? [] : Array.isArray(found) ? (found as readonly ObjectKey[]) : [found as ObjectKey];
    return list.map((key) =>
      joinKey(type.namespaced ? { namespace: key.namespace ?? object.metadata.namespace, name: key.name } : key),
    );
  };
  const key = (object: KubeObject): ObjectKey => ({
    namespace: object.metadata.namespace,
    name: object.metadata.name!,
  });
  return {
    watch: watch(type, (object, reader) => reader.byIndex(fed, name, joinKey(key(object))).map(key)),
    index: index(fed, { [name]: keys }),
  };
}
