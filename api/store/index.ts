export type { Engine } from './engine/engine.js';
export { lmdbEngine } from './engine/lmdb.js';
export { DirectoryInUseError, directoryHolder } from './engine/lock.js';
export { memoryEngine } from './engine/memory.js';
export type { Retention } from './history.js';
export { openStore, type StoreOptions } from './open-store.js';
export * from './store.js';
