import type { KubeObject, ResourceType } from '@trimtab/machinery';
import { apiVersionOf } from '@trimtab/machinery';
import type { ApiCall } from '../calls.js';
import type { DeleteOptions, Patch, ReadOptions, WatchOptions, WriteOptions } from '../client.js';
import type { HttpRequest } from './exchange.js';
import { collectionPath, objectPath, type Query, withQuery } from './paths.js';

const PATCH_TYPES: Readonly<Record<Patch['type'], string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** How a call is asked for over HTTP. Pure. */
export function httpRequestOf(call: ApiCall): HttpRequest {
  switch (call.verb) {
    case 'get': {
      const { subresource, accept, metadataOnly, ...query } = call.options;
      const path = objectPath(call.type, call.key, subresource);
      return {
        method: 'GET',
        path: withQuery(path, query),
        ...accepting({ accept, metadataOnly }, 'PartialObjectMetadata'),
      };
    }
    case 'list': {
      const { namespace, accept, metadataOnly, ...query } = call.options;
      const path = collectionPath(call.type, namespace);
      return {
        method: 'GET',
        path: withQuery(path, query),
        ...accepting({ accept, metadataOnly }, 'PartialObjectMetadataList'),
      };
    }
    case 'create': {
      const { namespace, name = '' } = call.object.metadata;
      const { subresource } = call.options;
      const path = subresource
        ? objectPath(call.type, { namespace, name }, subresource)
        : collectionPath(call.type, namespace);
      return { method: 'POST', path: withQuery(path, written(call.options)), ...body(typed(call.type, call.object)) };
    }
    case 'update': {
      const { namespace, name = '' } = call.object.metadata;
      const path = objectPath(call.type, { namespace, name }, call.options.subresource);
      return { method: 'PUT', path: withQuery(path, written(call.options)), ...body(typed(call.type, call.object)) };
    }
    case 'patch': {
      const { patch, options } = call;
      const path = objectPath(call.type, call.key, options.subresource);
      const content = patch.type === 'apply' ? typed(call.type, patch.body as KubeObject) : patch.body;
      return {
        method: 'PATCH',
        path: withQuery(path, { ...written(options), force: options.force }),
        ...body(content, PATCH_TYPES[patch.type]),
      };
    }
    case 'delete':
      return { method: 'DELETE', path: objectPath(call.type, call.key), ...body(deleteBody(call.options)) };
    case 'deleteCollection': {
      const { namespace, gracePeriodSeconds, propagationPolicy, preconditions, dryRun, ...query } = call.options;
      return {
        method: 'DELETE',
        path: withQuery(collectionPath(call.type, namespace), { ...query }),
        ...body(deleteBody({ gracePeriodSeconds, propagationPolicy, preconditions, dryRun })),
      };
    }
    case 'subresource': {
      const path = objectPath(call.type, call.key, call.subresource);
      if (call.how === 'get') return { method: 'GET', path };
      const method = call.how === 'create' ? 'POST' : 'PUT';
      return { method, path: withQuery(path, written(call.options)), ...body(call.body ?? {}) };
    }
    case 'raw':
      return { method: 'GET', path: call.path };
  }
}

export function watchRequestOf(type: ResourceType, options: WatchOptions): HttpRequest {
  const { namespace, accept, metadataOnly, ...query } = options;
  return {
    method: 'GET',
    path: withQuery(collectionPath(type, namespace), { ...query, watch: true }),
    ...accepting({ accept, metadataOnly }, 'PartialObjectMetadata'),
  };
}

/** Only metadata where the server can; whole objects from one that cannot. */
const accepting = ({ accept, metadataOnly }: ReadOptions, kind: string): Pick<HttpRequest, 'headers'> => {
  if (accept) return { headers: { accept } };
  return metadataOnly ? { headers: { accept: `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json` } } : {};
};

const written = ({ fieldManager, dryRun }: WriteOptions): Query => ({
  fieldManager,
  ...(dryRun ? { dryRun: 'All' } : {}),
});

const body = (content: unknown, type = 'application/json') => ({
  headers: { 'content-type': type },
  body: JSON.stringify(content),
});

const deleteBody = ({ dryRun, ...options }: DeleteOptions) => ({
  apiVersion: 'v1',
  kind: 'DeleteOptions',
  ...options,
  ...(dryRun ? { dryRun: ['All'] } : {}),
});

/** Objects made in memory often carry no kind; the wire needs it. */
const typed = (type: ResourceType, object: KubeObject): KubeObject =>
  object.kind && object.apiVersion ? object : { ...object, apiVersion: apiVersionOf(type), kind: type.kind };
