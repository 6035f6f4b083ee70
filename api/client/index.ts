export { auditCache, type Drift } from './audit.js';
export { builtinIndexes, type Indexes, type IndexFunction } from './cache.js';
export {
  type ApiCall,
  CallingClient,
  callKey,
  type Interposer,
  interpose,
  isWrite,
  perform,
  requestVerb,
} from './calls.js';
export type { Change, ChangeHandler } from './change.js';
export * from './client.js';
export { ALL_BUT_METADATA, type Dropped } from './dropped.js';
export type { Credential, CredentialSource } from './http/credentials.js';
export { HttpClient, type HttpClientOptions } from './http/http-client.js';
export {
  type Connection,
  connectionFrom,
  inClusterConnection,
  type KubeconfigOptions,
  loadKubeconfig,
} from './http/kubeconfig.js';
export { attach, exec, portForward } from './http/process-streams.js';
export { Informer, type InformerOptions, type Registration } from './informer.js';
export { type InformerRequest, Informers, type InformersOptions } from './informers.js';
export * from './node-streams.js';
export { recordingClient } from './recording-client.js';
export { Reflector, type ReflectorOptions, type ReflectorSink, type ReflectorStats } from './reflector.js';
export type { Scope } from './reflector-machine.js';
export { compareResourceVersions } from './resource-version.js';
