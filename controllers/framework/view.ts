import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import type { Effect } from './effects.js';

/** Reads of the shared caches; only types the controller has declared, anything else throws. */
export interface Reader {
  get<O extends KubeObject>(type: ResourceType<O>, key: ObjectKey): O | undefined;
  list<O extends KubeObject>(type: ResourceType<O>, namespace?: string): readonly O[];
  /** `namespace`, `owner` (owner uid), `node` (spec.nodeName), and what the controller declares itself. */
  byIndex<O extends KubeObject>(type: ResourceType<O>, index: string, value: string): readonly O[];
}

/** How the last evaluation ended, if not well; kept in memory only. */
export interface Failure {
  readonly error: Error;
  /** The effect that failed; undefined when the decision itself did. */
  readonly effect?: Effect;
  /** What else failed in the same batch. */
  readonly beside?: readonly Failure[];
}

/** How recent what a cache has is. */
export interface Freshness {
  /** The revision it is complete up to. */
  readonly asOf: string;
  /** Milliseconds since the server was last heard of. */
  readonly ageMs: number;
}

/**
 * What a controller decides from. It does not change while a decision is made, contains the controller's own earlier
 * writes, and may be behind the server otherwise.
 */
export interface View<T extends KubeObject = KubeObject> extends Reader {
  readonly key: ObjectKey;
  /** Undefined once the object is gone. */
  readonly object: T | undefined;
  /** The revision the object's cache is complete up to. */
  readonly asOf: string;
  /** The same of any declared type, and how long ago the server was heard of; default the object's own. */
  freshness(type?: ResourceType): Freshness;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** Failures in a row of this key. */
  readonly attempt: number;
  /** What went wrong last time; undefined after a success. */
  readonly failure: Failure | undefined;
  /** What was last found of something outside the cluster; undefined before the first time. */
  external<V>(name: string): V | undefined;
  /** The objects whose controlling owner is `object`. */
  owned<O extends KubeObject>(type: ResourceType<O>): readonly O[];
}
