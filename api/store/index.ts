export { type EncryptionRule, parseEncryptionConfiguration } from './encryption/configuration.js';
export { encryptingCodec } from './encryption/encrypting-codec.js';
export { type EmbeddedOptions, embeddedEngine } from './engine/embedded/embedded.js';
export {
  type Engine,
  type EngineHealth,
  type Follower,
  StoreFailedError,
  UnknownOutcomeError,
} from './engine/engine.js';
export { type EtcdOptions, etcdEngine } from './engine/etcd/index.js';
export { DirectoryInUseError, directoryHolder } from './engine/lock.js';
export { memoryEngine } from './engine/memory.js';
export { durationBounds } from './figures.js';
export type { Retention } from './history.js';
export { inScope } from './hub.js';
export { forkStore, openStore, type StoreOptions } from './open-store.js';
export { type Restored, type RestoreOptions, restoreSnapshot } from './snapshot/restore.js';
export { saveSnapshot, verifyStore } from './snapshot/save.js';
export { type SnapshotSummary, verifySnapshot } from './snapshot/snapshot-file.js';
export { changesBetween } from './state.js';
export * from './store.js';
export type { ValueCodec } from './value-codec.js';
