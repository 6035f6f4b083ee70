import { MediaType } from '../codec/negotiate.js';
import { apiVersionOf, type GroupVersionKind, type ResourceType } from '../object.js';
import type { SubresourceInfo } from '../schema/resource-info.js';
import type { Schema } from '../schema/schema.js';
import { schemaFor } from '../schema/table.js';

/** A resource to publish. Built-in resources come from `builtinResources`; others bring their schema. */
export interface OpenApiResource {
  readonly type: ResourceType;
  readonly verbs: readonly string[];
  readonly subresources: readonly SubresourceInfo[];
  /** Of the kind; for built-in kinds the table's unless given. */
  readonly schema?: Schema;
}

export type Method = 'get' | 'put' | 'post' | 'delete' | 'patch';

/** One thing a client can do, apart from how a version of OpenAPI writes it down. */
export interface Operation {
  readonly path: string;
  readonly method: Method;
  readonly id: string;
  /** Kubernetes' own word: list, get, post, put, patch, delete, deletecollection, connect. */
  readonly action: string;
  readonly gvk: GroupVersionKind;
  readonly query: readonly QueryParameter[];
  /** Names of definitions; `string` for text. */
  readonly body?: string;
  readonly result: string;
  /** For patches, what may be sent. */
  readonly consumes?: readonly string[];
}

export interface QueryParameter {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean';
}

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const text = (...names: string[]): readonly QueryParameter[] => names.map((name) => ({ name, type: 'string' }));
const number = (...names: string[]): readonly QueryParameter[] => names.map((name) => ({ name, type: 'integer' }));
const flag = (...names: string[]): readonly QueryParameter[] => names.map((name) => ({ name, type: 'boolean' }));

const writing = text('dryRun', 'fieldManager', 'fieldValidation');
const listing = [
  ...flag('allowWatchBookmarks'),
  ...text('continue', 'fieldSelector', 'labelSelector'),
  ...number('limit'),
  ...text('resourceVersion', 'resourceVersionMatch'),
  ...flag('sendInitialEvents'),
  ...number('timeoutSeconds'),
  ...flag('watch'),
];
const deleting = [
  ...text('dryRun'),
  ...number('gracePeriodSeconds'),
  ...flag('orphanDependents'),
  ...text('propagationPolicy'),
];

/** The name a kind's schema has in the document: the definition's, or one made from group, version and kind. */
export function definitionNameOf(gvk: GroupVersionKind): string {
  const known = schemaFor(gvk)?.name;
  if (known) return known;
  const group = gvk.group.split('.').reverse().join('.');
  return `${group}.${gvk.version}.${gvk.kind}`;
}

/** All operations of a resource and its subresources, by path and method. */
export function operationsOf(resource: OpenApiResource): readonly Operation[] {
  const { type, verbs } = resource;
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${apiVersionOf(type)}`;
  const everywhere = `${root}/${type.resource}`;
  const collection = type.namespaced ? `${root}/namespaces/{namespace}/${type.resource}` : everywhere;
  const item = `${collection}/{name}`;
  const name = definitionNameOf(type);
  const list = definitionNameOf({ ...type, kind: `${type.kind}List` });
  const patches = patchTypes(resource);
  const title = idOf(type);
  const scope = type.namespaced ? 'Namespaced' : '';
  const out: Operation[] = [];
  const add = (verb: string, operation: Omit<Operation, 'gvk'>): void => {
    if (verbs.includes(verb)) out.push({ gvk: type, ...operation });
  };
  add('list', {
    path: collection,
    method: 'get',
    action: 'list',
    id: `list${title}${scope}${type.kind}`,
    query: listing,
    result: list,
  });
  add('create', {
    path: collection,
    method: 'post',
    action: 'post',
    id: `create${title}${scope}${type.kind}`,
    query: writing,
    body: name,
    result: name,
  });
  add('deletecollection', {
    path: collection,
    method: 'delete',
    action: 'deletecollection',
    id: `delete${title}Collection${scope}${type.kind}`,
    query: [
      ...deleting,
      ...listing.filter((q) => q.name.endsWith('Selector') || q.name === 'limit' || q.name === 'continue'),
    ],
    body: `${META}DeleteOptions`,
    result: `${META}Status`,
  });
  add('get', {
    path: item,
    method: 'get',
    action: 'get',
    id: `read${title}${scope}${type.kind}`,
    query: [],
    result: name,
  });
  add('update', {
    path: item,
    method: 'put',
    action: 'put',
    id: `replace${title}${scope}${type.kind}`,
    query: writing,
    body: name,
    result: name,
  });
  add('patch', {
    path: item,
    method: 'patch',
    action: 'patch',
    id: `patch${title}${scope}${type.kind}`,
    query: [...writing, ...flag('force')],
    body: `${META}Patch`,
    result: name,
    consumes: patches,
  });
  add('delete', {
    path: item,
    method: 'delete',
    action: 'delete',
    id: `delete${title}${scope}${type.kind}`,
    query: deleting,
    body: `${META}DeleteOptions`,
    result: `${META}Status`,
  });
  if (type.namespaced)
    add('list', {
      path: everywhere,
      method: 'get',
      action: 'list',
      id: `list${title}${type.kind}ForAllNamespaces`,
      query: listing,
      result: list,
    });
  for (const sub of resource.subresources)
    out.push(...subresourceOperations(resource, sub, item, `${title}${scope}${type.kind}`));
  return out;
}

function subresourceOperations(
  resource: OpenApiResource,
  sub: SubresourceInfo,
  item: string,
  title: string,
): readonly Operation[] {
  const path = `${item}/${sub.name}`;
  const word = sub.name.charAt(0).toUpperCase() + sub.name.slice(1);
  const known = schemaFor(sub) !== undefined || sub.kind === resource.type.kind;
  const name = known && sub.name !== 'log' ? definitionNameOf(sub) : 'string';
  const connect = !known;
  const out: Operation[] = [];
  const add = (verb: string, method: Method, prefix: string, more: Partial<Operation>): void => {
    if (!sub.verbs.includes(verb)) return;
    const action = connect ? 'connect' : method;
    out.push({
      path,
      method,
      action,
      id: `${connect ? `connect${method}` : prefix}${title}${word}`,
      gvk: sub,
      query: [],
      result: name,
      ...more,
    });
  };
  const body = connect ? {} : { body: name, query: writing };
  add('get', 'get', 'read', {});
  add('create', 'post', 'create', body);
  add('update', 'put', 'replace', body);
  add(
    'patch',
    'patch',
    'patch',
    connect ? {} : { body: `${META}Patch`, query: [...writing, ...flag('force')], consumes: patchTypes(resource) },
  );
  add('delete', 'delete', 'delete', {});
  return out;
}

/** Custom kinds have no strategic merge patch. */
function patchTypes(resource: OpenApiResource): readonly string[] {
  const common = [MediaType.applyPatch, MediaType.jsonPatch, MediaType.mergePatch];
  return resource.schema ? common : [...common, MediaType.strategicMergePatch];
}

function idOf({ group, version }: GroupVersionKind): string {
  const upper = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
  return (
    (group === ''
      ? 'Core'
      : group
          .replace(/\.k8s\.io$/, '')
          .split('.')
          .map(upper)
          .join('')) + upper(version)
  );
}
