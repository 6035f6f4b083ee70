import type { Clock } from '@trimtab/machinery';
import type { NativeRuntime } from '../native/index.js';
import type { PodRuntime } from '../runtime.js';
import type { OciHandler } from './handler.js';
import { OciRuntime } from './oci-runtime.js';
import { RuntimeRouter } from './runtime-router.js';

export { type OciHandler, parseHandler } from './handler.js';

/** The native core, and beside it the given handlers for pods whose RuntimeClass names one of them. */
export function withHandlers(
  base: NativeRuntime,
  handlers: readonly OciHandler[],
  options: { readonly stateDir: string; readonly clock: Clock },
): PodRuntime {
  const runtimes = handlers.map((handler) => [handler.name, new OciRuntime({ ...options, handler, base })] as const);
  return runtimes.length === 0 ? base : new RuntimeRouter(base, new Map(runtimes));
}
