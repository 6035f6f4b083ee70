import { nameSelected } from '../registry/selection.js';

/** What a path and method mean, by Kubernetes' path scheme. Pure: no kind is looked up here. */
export interface RequestInfo {
  /** Lower-case request verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for other paths the method. */
  readonly verb: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Absent for paths outside the resource tree. */
  readonly resource?: ResourcePath;
}

export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** What follows the subresource (`/proxy/<rest>`), with its leading slash, or `""`. */
  readonly rest: string;
}

const namespaceSubresources = new Set(['status', 'finalize']);
const verbOf: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** `url` is the request target (path and query), still percent-encoded. */
export function parseRequest(method: string, url: string): RequestInfo {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  const plain: RequestInfo = { verb: method.toLowerCase(), path, query };
  const parts = splitPath(path);
  if (!parts) return plain;

  const grouped = parts[0] === 'apis';
  if (!grouped && parts[0] !== 'api') return plain;
  const group = grouped ? parts[1] : '';
  const version = parts[grouped ? 2 : 1];
  let rest = parts.slice(grouped ? 3 : 2);
  if (group === undefined || version === undefined || rest.length === 0) return plain;

  let forcedWatch = false;
  if (rest[0] === 'watch' && rest.length > 1) {
    forcedWatch = true;
    rest = rest.slice(1);
  }
  let namespace = '';
  if (rest[0] === 'namespaces' && rest.length > 1) {
    namespace = rest[1]!;
    if (rest.length > 2 && !namespaceSubresources.has(rest[2]!)) rest = rest.slice(2);
  }
  const resource = rest[0]!;
  const name = rest[1] ?? '';
  let verb = Object.hasOwn(verbOf, method) ? verbOf[method]! : method.toLowerCase();
  if (forcedWatch) verb = 'watch';
  else if (name === '') {
    if (verb === 'get') verb = isTrue(query.get('watch')) ? 'watch' : 'list';
    else if (verb === 'delete') verb = 'deletecollection';
  } else if (verb === 'get' && rest.length === 2 && isTrue(query.get('watch'))) verb = 'watch';
  return {
    verb,
    path,
    query,
    resource: {
      group,
      version,
      namespace,
      resource,
      subresource: rest[2] ?? '',
      name: name || (verb === 'list' || verb === 'watch' ? nameSelected(query.get('fieldSelector')) : ''),
      rest: rest.length > 3 ? `/${rest.slice(3).join('/')}` : '',
    },
  };
}

/** Query booleans as Go's clients write them; a bare `?watch` counts as true. */
export function isTrue(value: string | null): boolean {
  return value !== null && !['false', '0', 'f', 'F', 'FALSE', 'False'].includes(value);
}

function splitPath(path: string): string[] | undefined {
  let start = 0;
  let end = path.length;
  while (path[start] === '/') start++;
  while (end > start && path[end - 1] === '/') end--;
  const parts = path.slice(start, end).split('/');
  if (!path.includes('%')) return parts;
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
