import { badRequest, type KubeObject, methodNotAllowed, toTable } from '@trimtab/machinery';
import { snapshotAsked } from '../history/read-at.js';
import { bindPod } from '../registry/binding.js';
import { resourceName, type Target } from '../registry/context.js';
import type { DeleteRequest } from '../registry/delete.js';
import { evictPod } from '../registry/eviction.js';
import { getObject } from '../registry/read.js';
import { patchScale, type Scale, scaleOf, withScale } from '../registry/scale.js';
import type { Subresource } from '../registry/served-kind.js';
import { updateObject } from '../registry/update.js';
import { serveLogs } from '../streams/logs.js';
import { serveProxy } from '../streams/proxy.js';
import { notServed, pathNotFound, successStatus } from './answers.js';
import { readPatch, readSubresource } from './decode-body.js';
import type { Representation } from './negotiation.js';
import { deleteOptions, writeOptions } from './options.js';
import type { Call, HttpParts } from './parts.js';
import { includeObject, representationOf, sendObject } from './send.js';
import { admitCreate, get, handlerContext, patch, update } from './verbs.js';

const streaming = new Set(['exec', 'attach', 'portforward']);

/** Answers a request for a subresource of a stored object. */
export async function serveSubresource(parts: HttpParts, call: Call, target: Target): Promise<void> {
  const { kind, subresource: name } = target;
  const sub = Object.hasOwn(kind.subresources, name) ? kind.subresources[name] : undefined;
  if (!sub) throw pathNotFound();
  const { verb } = call.info;
  // OPTIONS is no verb of the API, but one of HTTP, and what is behind a proxy may know it.
  const passed = name === 'proxy' && verb === 'options';
  if (!passed && !(sub.verbs as readonly string[]).includes(verb))
    throw methodNotAllowed({ ...resourceName(kind), resource: `${kind.resource}/${name}` }, verb);
  const handler = parts.registry.handlers[`${kind.storage.resource}/${name}`];
  if (handler && verb === 'create') {
    const options = writeOptions(call.info.query, 'CreateOptions');
    const body = await readSubresource(call, sub, options.fieldValidation);
    const r = representationOf(call, { convertible: false, list: false, protobuf: sub.type });
    const parent = await getObject(parts.registry, target);
    const admitted = await admitCreate(parts, call, target, body, options.dryRun ?? false);
    const answer = await handler.create(admitted, handlerContext(call, target, options.dryRun ?? false, parent));
    return sendObject(parts, call, undefined, { ...typeOf(sub), ...answer } as KubeObject, r, 201);
  }
  if (name === 'log') return serveLogs(parts, call, target);
  if (name === 'proxy') return serveProxy(parts, call, target);
  if (streaming.has(name)) throw badRequest(`Upgrade request required for ${kind.resource}/${name}`);
  if (sub.scale) return serveScale(parts, call, target, sub);
  if (name === 'binding') return serveBinding(parts, call, target, sub);
  if (name === 'eviction') return serveEviction(parts, call, target, sub);
  if (sub.type.kind === kind.kind) {
    if (verb === 'get') return get(parts, call, target);
    if (verb === 'update') return update(parts, call, target);
    if (verb === 'patch') return patch(parts, call, target);
  }
  throw notServed(`${kind.resource}/${name}`);
}

function typeOf(sub: Subresource) {
  const { group, version, kind } = sub.type;
  return { kind, apiVersion: group ? `${group}/${version}` : version };
}

async function serveScale(parts: HttpParts, call: Call, target: Target, sub: Subresource): Promise<void> {
  const { kind } = target;
  const { registry } = parts;
  const paths = sub.scale!;
  const r = representationOf(call, { convertible: true, list: false, protobuf: sub.type });
  const send = (object: KubeObject) => sendScale(parts, call, scaleOf(kind, paths, object), r);
  if (call.info.verb === 'get') return send(await getObject(registry, target, {}, await snapshotAsked(parts, call)));
  const options = writeOptions(call.info.query, call.info.verb === 'update' ? 'UpdateOptions' : 'PatchOptions');
  const change =
    call.info.verb === 'update' ? await wholeScale(call, sub, options.fieldValidation) : await scalePatch(call);
  const result = await updateObject(
    registry,
    call.context,
    target,
    (old) => withScale(kind, paths, old!, change(scaleOf(kind, paths, old!))),
    options,
  );
  return send(result.object);
}

const scaleType = { group: 'autoscaling', resource: 'scale' };

function sendScale(parts: HttpParts, call: Call, scale: Scale, r: Representation): Promise<void> {
  if (r.as !== 'Table') return sendObject(parts, call, undefined, scale, r);
  const table = toTable(scaleType, [scale], { now: parts.registry.clock.now(), includeObject: includeObject(call) });
  return sendObject(parts, call, undefined, table as unknown as KubeObject, r);
}

type ScaleChange = (scale: Scale) => KubeObject;

async function wholeScale(
  call: Call,
  sub: Subresource,
  validation: 'Ignore' | 'Warn' | 'Strict',
): Promise<ScaleChange> {
  const scale = await readSubresource(call, sub, validation);
  return () => scale;
}

async function scalePatch(call: Call): Promise<ScaleChange> {
  const { patch: wanted } = await readPatch(call.exchange);
  return (scale) => patchScale(scale, wanted);
}

async function serveBinding(parts: HttpParts, call: Call, target: Target, sub: Subresource): Promise<void> {
  const options = writeOptions(call.info.query, 'CreateOptions');
  const binding = await readSubresource(call, sub, options.fieldValidation);
  const r = representationOf(call, { convertible: false, list: false, protobuf: sub.type });
  await bindPod(parts.registry, call.context, target, binding, options.dryRun ?? false);
  return sendObject(parts, call, undefined, successStatus(201), r, 201);
}

async function serveEviction(parts: HttpParts, call: Call, target: Target, sub: Subresource): Promise<void> {
  const options = writeOptions(call.info.query, 'CreateOptions');
  const eviction = await readSubresource(call, sub, options.fieldValidation);
  const r = representationOf(call, { convertible: false, list: false, protobuf: sub.type });
  const named = eviction.metadata.name;
  if (named && named !== target.name)
    throw badRequest(`name in URL does not match name in Eviction object: ${target.name} != ${named}`);
  const body = (eviction as { deleteOptions?: Readonly<Record<string, unknown>> }).deleteOptions ?? {};
  const wanted: DeleteRequest = deleteOptions(new URLSearchParams(), body);
  await evictPod(parts.registry, call.context, target, { ...wanted, dryRun: wanted.dryRun || options.dryRun });
  return sendObject(parts, call, undefined, successStatus(201), r, 201);
}
