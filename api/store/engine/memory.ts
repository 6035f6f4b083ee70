import type { Engine, EngineMeta, EngineRecord } from './engine.js';

/** Keeps records in memory: for tests and throw-away clusters. `reopen` after a `close` finds them again. */
export function memoryEngine(): Engine {
  const records = new Map<number, EngineRecord>();
  let meta: EngineMeta = { compacted: 0, revision: 0 };
  return {
    async load() {
      return { meta, records: [...records.values()].sort((a, b) => a.number - b.number) };
    },
    async append(batch) {
      for (const record of batch) records.set(record.number, record);
    },
    async forget(numbers, next) {
      for (const number of numbers) records.delete(number);
      meta = next;
    },
    async close() {},
  };
}
