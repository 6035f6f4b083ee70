import { apiVersionOf, type KubeObject, methodNotAllowed, type Status } from '@trimtab/machinery';
import { listOptionsAsked } from '../history/read-at.js';
import { bindPod } from '../registry/binding.js';
import { resourceName, type Target } from '../registry/context.js';
import { createObject } from '../registry/create.js';
import { deleteCollection, deletedStatus, deleteObject } from '../registry/delete.js';
import { listObjects } from '../registry/read.js';
import type { ServedKind } from '../registry/served-kind.js';
import { figures } from '../tally/figures.js';
import { notServed, pathNotFound, successStatus } from './answers.js';
import { readDeleteOptions, readObject } from './decode-body.js';
import { deleteOptions, listOptions, writeOptions } from './options.js';
import type { Call, HttpParts } from './parts.js';
import type { ResourcePath } from './request-info.js';
import { representationOf, sendList, sendObject } from './send.js';
import { serveSubresource } from './subresource.js';
import { admitCreate, get, handlerContext, patch, update } from './verbs.js';
import { serveWatch } from './watch-stream.js';

const ofOne: ReadonlySet<string> = new Set(['get', 'update', 'patch', 'delete']);

/**
 * Whether the kind is where the path looks for it. A namespace lies in itself and in no other: rights in one namespace must
 * not reach another through `namespaces/mine/namespaces/theirs`.
 */
function placed(kind: ServedKind, { namespace, name, subresource, rest }: ResourcePath): boolean {
  if (rest !== '' && subresource !== 'proxy') return false;
  return kind.namespaced || namespace === '' || (kind.resource === 'namespaces' && namespace === name);
}

/** Answers one request for a resource; the caller may do it, that has been checked. */
export async function serveResource(parts: HttpParts, call: Call): Promise<void> {
  const path = call.info.resource!;
  const kind = parts.registry.kinds.find(path.group, path.version, path.resource);
  if (!kind) throw pathNotFound();
  if (kind.deprecation) {
    call.context.warn(kind.deprecation);
    // When they go nobody has said.
    const labels = [kind.group, kind.version, kind.resource, path.subresource, ''];
    parts.registry.tally.cell(figures.deprecated, labels).count = 1;
  }
  if (!placed(kind, path)) throw pathNotFound();
  const target: Target = { kind, namespace: path.namespace, name: path.name, subresource: path.subresource };
  if (path.subresource !== '') return serveSubresource(parts, call, target);
  const { verb } = call.info;
  if (!(kind.verbs as readonly string[]).includes(verb)) throw methodNotAllowed(resourceName(kind), verb);
  if (kind.namespaced && path.namespace === '' && !['list', 'watch'].includes(verb)) {
    // All namespaces together have a collection that can be read, and no single objects.
    if (ofOne.has(verb) && path.name !== '') throw pathNotFound();
    throw methodNotAllowed(resourceName(kind), verb);
  }
  if (ofOne.has(verb) ? path.name === '' : verb === 'create' && path.name !== '')
    throw methodNotAllowed(resourceName(kind), verb);

  switch (verb) {
    case 'get':
      return get(parts, call, target);
    case 'list':
      return list(parts, call, kind, path.namespace);
    case 'watch':
      return serveWatch(parts, call, kind);
    case 'create':
      return create(parts, call, target);
    case 'update':
      return update(parts, call, target);
    case 'patch':
      return patch(parts, call, target);
    case 'delete':
      return remove(parts, call, target);
    case 'deletecollection':
      return removeCollection(parts, call, kind, path.namespace);
    default:
      throw methodNotAllowed(resourceName(kind), verb);
  }
}

async function list(parts: HttpParts, call: Call, kind: ServedKind, namespace: string): Promise<void> {
  const r = representationOf(call, { convertible: true, list: true, protobuf: kind });
  const page = await listObjects(parts.registry, kind, namespace, await listOptionsAsked(parts, call));
  return sendList(parts, call, kind, page, r);
}

async function create(parts: HttpParts, call: Call, target: Target): Promise<void> {
  const { kind, namespace } = target;
  const { registry } = parts;
  const handler = registry.handlers[kind.storage.resource];
  const r = representationOf(call, { convertible: !handler, list: false, protobuf: kind });
  const options = writeOptions(call.info.query, 'CreateOptions');
  const object = await readObject(parts, call, kind, options.fieldValidation);
  if (handler) {
    const context = handlerContext(call, target, options.dryRun ?? false);
    const admitted = await admitCreate(parts, call, target, object, options.dryRun ?? false);
    return sendObject(parts, call, undefined, typedAs(kind, await handler.create(admitted, context)), r, 201);
  }
  if (kind.storage.resource === '/bindings') {
    const pods = registry.kinds.find('', 'v1', 'pods')!;
    const place: Target = { kind: pods, namespace, name: object.metadata.name ?? '', subresource: 'binding' };
    await bindPod(registry, call.context, place, object, options.dryRun ?? false);
    return sendObject(parts, call, undefined, successStatus(201), r, 201);
  }
  if (!kind.verbs.includes('get')) throw notServed(kind.resource);
  const created = await createObject(registry, call.context, kind, namespace, object, options);
  return sendObject(parts, call, kind, created, r, 201);
}

function typedAs(kind: ServedKind, object: KubeObject): KubeObject {
  const { apiVersion: _, kind: __, ...rest } = object;
  return { kind: kind.kind, apiVersion: apiVersionOf(kind), ...rest };
}

async function remove(parts: HttpParts, call: Call, target: Target): Promise<void> {
  const r = representationOf(call, { convertible: false, list: false, protobuf: target.kind });
  const options = deleteOptions(call.info.query, await readDeleteOptions(call.exchange));
  const result = await deleteObject(parts.registry, call.context, target, options);
  if (!result.gone) return sendObject(parts, call, target.kind, result.object, r);
  return sendObject(parts, call, undefined, deletedStatus(target.kind, result.object) as Status & KubeObject, r);
}

async function removeCollection(parts: HttpParts, call: Call, kind: ServedKind, namespace: string): Promise<void> {
  const r = representationOf(call, { convertible: false, list: true, protobuf: kind });
  const options = deleteOptions(call.info.query, await readDeleteOptions(call.exchange));
  const items = await deleteCollection(
    parts.registry,
    call.context,
    kind,
    namespace,
    listOptions(call.info.query),
    options,
  );
  return sendList(parts, call, kind, { items, resourceVersion: String(parts.registry.store.revision) }, r);
}
