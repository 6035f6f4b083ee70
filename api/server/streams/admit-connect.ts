import type { KubeObject } from '@trimtab/machinery';
import type { Call, HttpParts } from '../http/parts.js';
import { admit } from '../registry/admit.js';
import type { Target } from '../registry/context.js';

/** Asks admission about a stream that is to be opened; `options` are the fields of its options kind. Throws to refuse. */
export async function admitConnect(parts: HttpParts, call: Call, target: Target, options: object): Promise<void> {
  const { type } = target.kind.subresources[target.subresource]!;
  const object = { apiVersion: 'v1', kind: type.kind, metadata: {}, ...options } as KubeObject;
  await admit(parts.registry, call.context, target, { operation: 'CONNECT', object, dryRun: false });
}
