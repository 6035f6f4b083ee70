import { type Engine, type Follower, OPERATIONS, StoreFailedError, type Transaction } from './engine.js';

/**
 * Counts revisions on from one, and keeps nothing: for a store whose state begins as somebody else's and is thrown away. Where
 * everything is gone with the process anyway, a transaction is durable once the turn of the event loop that took it is over.
 */
export function overlayEngine(from: number): Engine {
  let follower: Follower | undefined;
  let accepted = from;
  let durable = from;
  return {
    health: { writable: true },
    get next() {
      return accepted + 1;
    },
    async open(own) {
      follower = own;
      return { revision: from, compacted: from, batches: (async function* () {})() };
    },
    async transact({ compares, changes, time }: Transaction) {
      if (follower === undefined) throw new StoreFailedError('the store is closed');
      // Its store is the only writer and has settled them.
      if (compares.length > 0) throw new RangeError('an overlay keeps nothing to compare with');
      if (changes.length > OPERATIONS) throw new RangeError(`a transaction holds at most ${OPERATIONS} changes`);
      const revision = changes.length === 0 ? undefined : ++accepted;
      await Promise.resolve();
      if (revision === undefined) return durable;
      durable = revision;
      follower?.next({ revision, time, changes });
      return revision;
    },
    confirm: async () => durable,
    compact: async () => {},
    async close() {
      follower = undefined;
    },
  };
}
