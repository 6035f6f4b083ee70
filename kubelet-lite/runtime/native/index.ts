export type { CoreOptions } from './core.js';
export { coreSocket } from './core.js';
export { type CoreClient, type NativeRuntime, nativeRuntime } from './native-runtime.js';
