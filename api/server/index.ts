export * from './contracts.js';
export { type Writer, writerOf } from './history/writer.js';
export type { TlsOptions } from './http/listen.js';
export { versionInfo } from './http/version.js';
export { metricsKinds } from './metrics/metrics-kinds.js';
export { type BuiltinParts, builtinKinds } from './registry/builtin-kinds.js';
export type { Registry } from './registry/context.js';
export { KindTable } from './registry/kind-table.js';
export type {
  KindSource,
  KindStorage,
  ScalePaths,
  ServedKind,
  Subresource,
  Verb,
} from './registry/served-kind.js';
export * from './security.js';
export * from './server.js';
