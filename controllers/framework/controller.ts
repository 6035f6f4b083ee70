import type { Change, Client, Indexes } from '@trimtab/client';
import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import type { AnyStateMachine } from 'xstate';
import type { Effect } from './effects.js';
import type { Backoff } from './queue.js';
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
  /** Cached and readable, but a change alone is no reason to look again. */
  readonly reads?: readonly ResourceType[];
  readonly indexes?: readonly IndexDefinition[];
  /** How many keys at a time; default 5. One key is never worked on twice at a time. */
  readonly concurrency?: number;
  /** Waits after failed evaluations of a key; default 5 ms, doubling up to 1000 s. */
  readonly backoff?: Backoff;
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

export interface WatchDefinition {
  readonly type: ResourceType;
  /** Which objects to look at again; asked of both the old and the new state. Pure. */
  readonly to: (object: KubeObject, reader: Reader) => readonly ObjectKey[];
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
  return definition as unknown as ControllerDefinition;
}

/** A watch whose mapping sees the watched type. */
export const watch = <O extends KubeObject>(
  type: ResourceType<O>,
  to: (object: O, reader: Reader) => readonly ObjectKey[],
  only: { readonly on?: WatchDefinition['on']; readonly ignores?: (previous: O, object: O) => boolean } = {},
): WatchDefinition => ({ ...only, type, to }) as unknown as WatchDefinition;

/** Indexes, by the values an object is found under. */
export const index = <O extends KubeObject>(type: ResourceType<O>, indexes: Indexes<O>): IndexDefinition => ({
  type: type as ResourceType,
  indexes: indexes as Indexes<KubeObject>,
});
