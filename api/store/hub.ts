import type { Scope, StoreEvent } from './store.js';

/** A live watcher. Events up to `start` are not delivered: they were replayed when it subscribed. */
export interface Subscription {
  readonly scope: Scope;
  readonly start: number;
  readonly next: (event: StoreEvent) => void;
  readonly end: (error: Error) => void;
}

/**
 * Finds the watchers of an event by index (resource, resource and namespace, one object), never by asking each.
 * Delivery is synchronous and in subscription order within an index bucket.
 */
export class Hub {
  readonly #buckets = new Map<string, Set<Subscription>>();

  add(subscription: Subscription): () => void {
    const bucket = bucketOf(subscription.scope);
    const members = this.#buckets.get(bucket) ?? new Set();
    this.#buckets.set(bucket, members.add(subscription));
    return () => {
      members.delete(subscription);
      if (members.size === 0 && this.#buckets.get(bucket) === members) this.#buckets.delete(bucket);
    };
  }

  dispatch(event: StoreEvent): void {
    const { resource, namespace, name } = event.key;
    this.#deliver(resource, event);
    this.#deliver(`${resource}\0${namespace}`, event);
    this.#deliver(`${resource}\0${namespace}\0${name}`, event);
    this.#deliver(`${resource}\0\0\0${name}`, event);
  }

  end(error: Error): void {
    const all = [...this.#buckets.values()].flatMap((members) => [...members]);
    this.#buckets.clear();
    for (const subscription of all) subscription.end(error);
  }

  get size(): number {
    let total = 0;
    for (const members of this.#buckets.values()) total += members.size;
    return total;
  }

  #deliver(bucket: string, event: StoreEvent): void {
    const members = this.#buckets.get(bucket);
    if (members === undefined) return;
    for (const subscription of members) if (event.revision > subscription.start) subscription.next(event);
  }
}

/** One object in any namespace has a bucket of its own, so that a scope by name alone is no scan either. */
function bucketOf({ resource, namespace, name }: Scope): string {
  if (namespace === undefined) return name === undefined ? resource : `${resource}\0\0\0${name}`;
  return name === undefined ? `${resource}\0${namespace}` : `${resource}\0${namespace}\0${name}`;
}

/** Whether an event is for those who watch the scope. (Live delivery goes by bucket.) */
export function inScope(scope: Scope, event: StoreEvent): boolean {
  return (
    event.key.resource === scope.resource &&
    (scope.namespace === undefined || event.key.namespace === scope.namespace) &&
    (scope.name === undefined || event.key.name === scope.name)
  );
}
