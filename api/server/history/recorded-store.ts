import type { Commit, Operation, Store } from '@trimtab/store';

/**
 * The same store, telling of every commit that is made through it: what people write, told apart from what the parts of a
 * cluster make of it. Called once the commit is durable, before whoever made it hears of it.
 */
export function recordedStore(store: Store, record: (operations: readonly Operation[], commit: Commit) => void): Store {
  return {
    ...(store.shared === undefined ? {} : { shared: store.shared }),
    get revision() {
      return store.revision;
    },
    get compacted() {
      return store.compacted;
    },
    get health() {
      return store.health;
    },
    get oldest() {
      return store.oldest;
    },
    snapshot: (revision) => store.snapshot(revision),
    pending: (key) => store.pending(key),
    watch: (scope, from) => store.watch(scope, from),
    text: (object) => store.text?.(object),
    figures: () => store.figures?.() ?? [],
    compact: (revision) => store.compact(revision),
    latest: () => store.latest(),
    revisionAt: (time) => store.revisionAt(time),
    timeOf: (revision) => store.timeOf(revision),
    commitsAfter: (after) => store.commitsAfter(after),
    rewriteStale: () => store.rewriteStale(),
    close: () => store.close(),
    async commit(operations) {
      const commit = await store.commit(operations);
      record(operations, commit);
      return commit;
    },
  };
}
