import type { Clock } from '@trimtab/machinery';
import { memoryEngine, openStore, type Store, type StoreEvent } from '@trimtab/store';
import type { Cause, Trace } from './trace.js';

/** A store in memory that writes down who changed what, and doors to it by actor. */
export interface Ledger {
  readonly store: Store;
  /** The same store; commits through it are `actor`'s, made on account of `cause`. */
  door(actor: string, cause?: Cause): Store;
  /** When the last commit was, in virtual time. */
  readonly lastWriteAt: number;
}

interface Author {
  readonly actor: string;
  readonly cause: Cause | undefined;
}

/** Every change is in the trace before anybody is told of it. */
export async function openLedger(clock: Clock, trace: Trace): Promise<Ledger> {
  const store = await openStore({ engine: memoryEngine({ fleeting: true }), clock });
  const authors = new Map<number, Author>();
  const followed = new Set<string>();
  let accepted = store.revision;
  let lastWriteAt = clock.now();
  const record = ({ type, revision, key, object, previous }: StoreEvent): void => {
    lastWriteAt = clock.now();
    const author = authors.get(revision);
    trace.add({
      type: 'write',
      at: lastWriteAt,
      revision,
      actor: author?.actor ?? '',
      verb: type === 'delete' ? 'delete' : previous ? 'update' : 'create',
      resource: key.resource,
      key: key.namespace ? `${key.namespace}/${key.name}` : key.name,
      object,
      previous,
      cause: author?.cause,
    });
  };
  // Watchers of a resource are told in the order they came, and this one comes first.
  const follow = (resource: string): void => {
    if (followed.has(resource)) return;
    followed.add(resource);
    store.watch({ resource }, store.revision).subscribe(record);
  };
  const watch: Store['watch'] = (scope, from) => {
    follow(scope.resource);
    return store.watch(scope, from);
  };
  // There is a door for every write that has a cause: what they have in common is made once.
  const bound = new Map<PropertyKey, unknown>([['watch', watch]]);
  const door = (actor: string, cause?: Cause): Store => {
    const commit: Store['commit'] = (operations) => {
      for (const { key } of operations) follow(key.resource);
      const changing = operations.find(({ type }) => type !== 'check');
      const before = changing && store.pending(changing.key)?.revision;
      const committed = store.commit(operations);
      const after = changing && store.pending(changing.key)?.revision;
      if (before !== after) {
        accepted = after ?? accepted + 1;
        authors.set(accepted, { actor, cause });
      }
      return committed;
    };
    return new Proxy(store, {
      get(target, property) {
        if (property === 'commit') return commit;
        const known = bound.get(property);
        if (known !== undefined) return known;
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== 'function') return value;
        const method: unknown = value.bind(target);
        bound.set(property, method);
        return method;
      },
    });
  };
  return {
    store: door(''),
    door,
    get lastWriteAt() {
      return lastWriteAt;
    },
  };
}
