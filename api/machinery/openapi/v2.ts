import type { Json } from '../object.js';
import type { OpenApiResource, Operation } from './operations.js';
import { gvkJson, SchemaWriter } from './schemas.js';
import { type OpenApiOptions, pathsOf } from './v3.js';

/** The version 2 document of all resources, as `/openapi/v2` serves it; kubectl before 1.29 validates by it. */
export function openapiV2(
  resources: readonly OpenApiResource[],
  options: OpenApiOptions = {},
): { readonly [key: string]: Json } {
  const seen = new Map(resources.map(({ type: { group, version } }) => [`${group}/${version}`, { group, version }]));
  const writer = new SchemaWriter(2, [...seen.values()]);
  const paths = pathsOf(resources, writer, (operation) => operationV2(operation, writer));
  return {
    swagger: '2.0',
    info: { title: options.title ?? 'Kubernetes', version: options.version ?? 'unversioned' },
    paths,
    definitions: writer.components(),
  };
}

function operationV2(operation: Operation, writer: SchemaWriter): Json {
  const ok = (description: string): Json => ({ description, schema: writer.reference(operation.result) });
  return {
    operationId: operation.id,
    consumes: operation.consumes ?? ['*/*'],
    produces:
      operation.result === 'string'
        ? ['*/*']
        : ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'],
    parameters: [
      ...(operation.body
        ? [
            {
              name: 'body',
              in: 'body',
              ...(operation.action.startsWith('delete') ? {} : { required: true }),
              schema: writer.reference(operation.body),
            },
          ]
        : []),
      ...operation.query.map(({ name, type }) => ({ name, in: 'query', type, uniqueItems: true })),
    ],
    responses: {
      '200': ok('OK'),
      ...(operation.action === 'post' || operation.action === 'put' || operation.action === 'patch'
        ? { '201': ok('Created') }
        : {}),
      '401': { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': gvkJson(operation.gvk),
  };
}
