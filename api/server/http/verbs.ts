import { type KubeObject, shareStructure } from '@trimtab/machinery';
import type { HandlerContext } from '../contracts.js';
import { snapshotAsked } from '../history/read-at.js';
import { mutate, validate } from '../registry/admit.js';
import type { Target } from '../registry/context.js';
import { patchObject } from '../registry/patch.js';
import { getObject } from '../registry/read.js';
import { updateObject } from '../registry/update.js';
import { readObject, readPatch } from './decode-body.js';
import { writeOptions } from './options.js';
import type { Call, HttpParts } from './parts.js';
import { representationOf, sendObject } from './send.js';

/** The verbs that a resource and its subresources share. */

export async function get(parts: HttpParts, call: Call, target: Target): Promise<void> {
  const r = representationOf(call, { convertible: true, list: false, protobuf: target.kind });
  const snapshot = await snapshotAsked(parts, call);
  const resourceVersion = call.info.query.get('resourceVersion') ?? undefined;
  const object = await getObject(parts.registry, target, { resourceVersion }, snapshot);
  return sendObject(parts, call, target.kind, object, r);
}

export async function update(parts: HttpParts, call: Call, target: Target): Promise<void> {
  const r = representationOf(call, { convertible: true, list: false, protobuf: target.kind });
  const options = writeOptions(call.info.query, 'UpdateOptions');
  const object = await readObject(parts, call, target.kind, options.fieldValidation);
  // What is as it is stored is recognized by identity from here on, which spares much work.
  const wanted = (old: KubeObject | undefined) => (old ? shareStructure(old, object) : object);
  const result = await updateObject(parts.registry, call.context, target, wanted, options);
  return sendObject(parts, call, target.kind, result.object, r, result.created ? 201 : 200);
}

export async function patch(parts: HttpParts, call: Call, target: Target): Promise<void> {
  const r = representationOf(call, { convertible: true, list: false, protobuf: target.kind });
  const options = writeOptions(call.info.query, 'PatchOptions');
  const { patch: wanted, duplicates } = await readPatch(call.exchange);
  const result = await patchObject(parts.registry, call.context, target, wanted, { ...options, duplicates });
  return sendObject(parts, call, target.kind, result.object, r, result.created ? 201 : 200);
}

export async function admitCreate(
  parts: HttpParts,
  call: Call,
  target: Target,
  object: KubeObject,
  dryRun: boolean,
): Promise<KubeObject> {
  const { registry } = parts;
  const admitted = await mutate(registry, call.context, target, { operation: 'CREATE', object, dryRun });
  await validate(registry, call.context, target, { operation: 'CREATE', object: admitted, dryRun });
  return admitted;
}

export function handlerContext(call: Call, target: Target, dryRun: boolean, parent?: KubeObject): HandlerContext {
  return {
    user: call.user,
    namespace: target.namespace,
    name: target.name,
    dryRun,
    parent,
    warn: (message) => call.context.warn(message),
  };
}
