import type { Json } from '../object.js';
import { definitionNameOf, type OpenApiResource, type Operation, operationsOf } from './operations.js';
import { gvkJson, SchemaWriter } from './schemas.js';

type Mutable = { [key: string]: Json | undefined };
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

export interface OpenApiOptions {
  readonly title?: string;
  /** The version the server reports. */
  readonly version?: string;
}

/** The version 3 document of one group-version, as `/openapi/v3/apis/GROUP/VERSION` serves it. */
export function openapiV3(
  groupVersion: { readonly group: string; readonly version: string },
  resources: readonly OpenApiResource[],
  options: OpenApiOptions = {},
): { readonly [key: string]: Json } {
  const core = { group: '', version: 'v1' };
  const writer = new SchemaWriter(3, groupVersion.group === '' ? [core] : [core, groupVersion]);
  const paths = pathsOf(resources, writer, (operation) => operationV3(operation, writer));
  return {
    openapi: '3.0.0',
    info: { title: options.title ?? 'Kubernetes', version: options.version ?? 'unversioned' },
    paths,
    components: { schemas: writer.components() },
  };
}

/** Paths with their operations; also defines the schemas that resources bring themselves. */
export function pathsOf(
  resources: readonly OpenApiResource[],
  writer: SchemaWriter,
  render: (operation: Operation) => Json,
): { readonly [path: string]: Json } {
  const paths: { [path: string]: Mutable } = {};
  for (const resource of resources) {
    if (resource.schema) {
      const item = definitionNameOf(resource.type);
      const list = { ...resource.type, kind: `${resource.type.kind}List` };
      writer.define(item, resource.schema, resource.type);
      writer.defineList(definitionNameOf(list), list, item);
    }
    for (const operation of operationsOf(resource)) {
      paths[operation.path] ??= { parameters: pathParameters(operation.path, writer.openapi) };
      paths[operation.path]![operation.method] = render(operation);
    }
  }
  return Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function pathParameters(path: string, openapi: 2 | 3): Json {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!);
  const type = openapi === 3 ? { schema: { type: 'string' } } : { type: 'string' };
  return names.map((name) => ({ name, in: 'path', required: true, ...type }));
}

function operationV3(operation: Operation, writer: SchemaWriter): Json {
  const content = (types: readonly string[], name: string): Json =>
    Object.fromEntries(types.map((t) => [t, { schema: writer.reference(name) }]));
  const results =
    operation.result === 'string'
      ? ['*/*']
      : ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
  return {
    operationId: operation.id,
    parameters: operation.query.map(({ name, type }) => ({ name, in: 'query', schema: { type, uniqueItems: true } })),
    ...(operation.body
      ? {
          requestBody: {
            content: content(operation.consumes ?? ['*/*'], operation.body),
            ...(operation.body === `${META}DeleteOptions` ? {} : { required: true }),
          },
        }
      : {}),
    responses: {
      '200': { description: 'OK', content: content(results, operation.result) },
      ...(operation.action === 'post' || operation.action === 'put' || operation.action === 'patch'
        ? { '201': { description: 'Created', content: content(results, operation.result) } }
        : {}),
      '401': { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': gvkJson(operation.gvk),
  };
}
