import { protobufLibrary } from '../codec/lazy.js';
import type { Json } from '../object.js';
import { builtinResources } from '../schema/resources.js';
import type { Schema } from '../schema/schema.js';
import { descriptionOf } from './descriptions.js';
import { encodeOpenapiV2 } from './gnostic.js';
import { definitionNameOf, type OpenApiResource } from './operations.js';
import { openapiV2 } from './v2.js';
import { openapiV3 } from './v3.js';

type Tree = { readonly [key: string]: Tree } & { readonly [index: number]: Tree };
const served = builtinResources().filter((r) => r.enabledByDefault);
const of = (group: string, version = 'v1') =>
  served.filter((r) => r.type.group === group && r.type.version === version);
const tree = (document: { readonly [key: string]: Json }) => document as unknown as Tree;

const widgetSchema: Schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', default: 3, constraints: { minimum: 1, oneOf: [{ multipleOf: 2 }] } },
        port: { type: 'int-or-string' },
        free: { type: 'object', preserveUnknown: true, properties: { a: { type: 'string' } } },
        maybe: { type: 'string', nullable: true },
        closed: { type: 'object', values: { type: 'string' } },
      },
    },
  },
};
const widget: OpenApiResource = {
  type: { group: 'example.com', version: 'v1', kind: 'Widget', resource: 'widgets', namespaced: true },
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
  subresources: [],
  schema: widgetSchema,
};

/** Every `$ref` anywhere below. */
function references(value: unknown, out = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return out;
  for (const [key, item] of Object.entries(value)) {
    if (key === '$ref' && typeof item === 'string') out.add(item);
    else references(item, out);
  }
  return out;
}

describe('version 3', () => {
  const apps = tree(openapiV3({ group: 'apps', version: 'v1' }, of('apps')));

  test("kubectl finds a kind's patch with its media types and field validation", () => {
    const patch = apps.paths!['/apis/apps/v1/namespaces/{namespace}/deployments/{name}']!.patch!;
    expect(patch['x-kubernetes-group-version-kind']).toEqual({ group: 'apps', version: 'v1', kind: 'Deployment' });
    expect((patch.parameters as unknown as { name: string; in: string }[]).map((p) => `${p.in} ${p.name}`)).toEqual([
      'query dryRun',
      'query fieldManager',
      'query fieldValidation',
      'query force',
    ]);
    expect(Object.keys(patch.requestBody!.content!)).toEqual([
      'application/apply-patch+yaml',
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/strategic-merge-patch+json',
    ]);
  });

  test('schemas carry what client-side patches need', () => {
    const schemas = apps.components!.schemas!;
    const pod = schemas['io.k8s.api.core.v1.PodSpec']!.properties!;
    expect(pod.containers).toMatchObject({
      type: 'array',
      items: { $ref: '#/components/schemas/io.k8s.api.core.v1.Container' },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-patch-merge-key': 'name',
      'x-kubernetes-patch-strategy': 'merge',
    });
    expect(schemas['io.k8s.api.apps.v1.DeploymentSpec']!.properties!.strategy).toMatchObject({
      allOf: [{ $ref: '#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy' }],
      'x-kubernetes-patch-strategy': 'retainKeys',
    });
    expect(schemas['io.k8s.api.apps.v1.Deployment']!['x-kubernetes-group-version-kind']).toEqual([
      { group: 'apps', version: 'v1', kind: 'Deployment' },
    ]);
    const int = schemas['io.k8s.apimachinery.pkg.util.intstr.IntOrString'];
    expect(int).toEqual({ format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] });
    expect(schemas['io.k8s.apimachinery.pkg.apis.meta.v1.Time']).toEqual({ type: 'string', format: 'date-time' });
  });

  test('explain has texts where they help', () => {
    const schemas = apps.components!.schemas!;
    expect(schemas['io.k8s.api.apps.v1.Deployment']!.description).toMatch(/^Keeps a number of equal pods/);
    expect(schemas['io.k8s.api.core.v1.Container']!.properties!.image!.description).toBe('Reference of the image.');
  });

  test('every group-version is complete in itself', () => {
    for (const { type } of served) {
      const document = openapiV3(type, of(type.group, type.version));
      const names = new Set(Object.keys(tree(document).components!.schemas!).map((n) => `#/components/schemas/${n}`));
      for (const ref of references(document)) expect(names).toContain(ref);
      for (const name of Object.keys(tree(document).components!.schemas!)) expect(name).not.toMatch(/^\.|undefined/);
    }
  });

  test('subresources have the kind they speak, text is text, options are connections', () => {
    const core = tree(openapiV3({ group: '', version: 'v1' }, of('')));
    const pod = '/api/v1/namespaces/{namespace}/pods/{name}';
    expect(core.paths![`${pod}/eviction`]!.post).toMatchObject({
      'x-kubernetes-group-version-kind': { group: 'policy', version: 'v1', kind: 'Eviction' },
      requestBody: { content: { '*/*': { schema: { $ref: '#/components/schemas/io.k8s.api.policy.v1.Eviction' } } } },
    });
    expect(core.paths![`${pod}/log`]!.get!.responses!['200']!.content).toEqual({
      '*/*': { schema: { type: 'string' } },
    });
    expect(core.paths![`${pod}/exec`]!.post!['x-kubernetes-action']).toBe('connect');
    expect(core.paths!['/api/v1/pods']!.get!.operationId).toBe('listCoreV1PodForAllNamespaces');
    expect(core.paths!['/api/v1/namespaces']!.delete).toBeUndefined();
  });

  test('custom kinds are published with their list, metadata and constraints, without strategic patches', () => {
    const document = tree(openapiV3(widget.type, [widget]));
    expect(definitionNameOf(widget.type)).toBe('com.example.v1.Widget');
    const schema = document.components!.schemas!['com.example.v1.Widget']!;
    expect(schema['x-kubernetes-group-version-kind']).toEqual([
      { group: 'example.com', version: 'v1', kind: 'Widget' },
    ]);
    expect(schema.properties!.metadata).toEqual({
      $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
    });
    expect(schema.properties!.spec!.properties).toMatchObject({
      size: { type: 'integer', default: 3, minimum: 1, oneOf: [{ multipleOf: 2 }] },
      port: { 'x-kubernetes-int-or-string': true },
      free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      maybe: { type: 'string', nullable: true },
      closed: { additionalProperties: { type: 'string' } },
    });
    expect(document.components!.schemas!['com.example.v1.WidgetList']!.properties!.items).toEqual({
      type: 'array',
      items: { $ref: '#/components/schemas/com.example.v1.Widget' },
    });
    const patch = document.paths!['/apis/example.com/v1/namespaces/{namespace}/widgets/{name}']!.patch!;
    expect(Object.keys(patch.requestBody!.content!)).not.toContain('application/strategic-merge-patch+json');
    for (const ref of references(document)) expect(document.components!.schemas).toHaveProperty([ref.slice(21)]);
  });
});

describe('version 2', () => {
  const document = openapiV2([...served, widget]);

  test('all references resolve', () => {
    for (const ref of references(document))
      expect(tree(document).definitions).toHaveProperty([ref.slice('#/definitions/'.length)]);
  });

  test('what version 2 cannot say is left out', () => {
    const spec = tree(document).definitions!['com.example.v1.Widget']!.properties!.spec!.properties!;
    expect(spec.size).toEqual({ type: 'integer', minimum: 1 });
    expect(spec.free).toEqual({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
    expect(spec.maybe).toEqual({});
    const port = tree(document).definitions!['io.k8s.api.core.v1.ServicePort']!.properties!.targetPort!;
    expect(port.$ref).toBe('#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString');
  });

  test('the protobuf form says the same: every path, definition and extension is in it', () => {
    const bytes = encodeOpenapiV2(document);
    const found = fields(bytes);
    const names = (field: number, inner: number) =>
      fields(found.get(field)![0]!)
        .get(inner)!
        .map((b) => text(fields(b).get(1)![0]!));
    expect(text(found.get(1)![0]!)).toBe('2.0');
    expect(names(8, 2)).toEqual(Object.keys(tree(document).paths!));
    expect(names(9, 1)).toEqual(Object.keys(tree(document).definitions!));
    const deployment = fields(found.get(9)![0]!)
      .get(1)!
      .map((b) => fields(b))
      .find((f) => text(f.get(1)![0]!) === 'io.k8s.api.apps.v1.Deployment')!;
    const extension = fields(fields(deployment.get(2)![0]!).get(31)![0]!);
    expect(text(extension.get(1)![0]!)).toBe('x-kubernetes-group-version-kind');
    expect(text(fields(extension.get(2)![0]!).get(2)![0]!)).toBe(
      '[{"group":"apps","kind":"Deployment","version":"v1"}]\n',
    );
  });
});

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** The length-delimited fields of a message by number. */
function fields(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const reader = protobufLibrary().Reader.create(bytes);
  const out = new Map<number, Uint8Array[]>();
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if ((tag & 7) !== 2) reader.skipType(tag & 7);
    else out.set(tag >>> 3, [...(out.get(tag >>> 3) ?? []), reader.bytes()]);
  }
  return out;
}

test('every kind says what it is, and so do the fields people look up', () => {
  const silent = builtinResources()
    .map(({ type }) => definitionNameOf(type)!)
    .filter((name) => !descriptionOf(name, ''));
  expect(silent).toEqual([]);
  const core = 'io.k8s.api.core.v1';
  for (const [type, field] of [
    ['PodSpec', 'containers'],
    ['Volume', 'configMap'],
    ['Probe', 'periodSeconds'],
    ['ServicePort', 'targetPort'],
    ['PodStatus', 'phase'],
    ['Pod', 'metadata'],
  ])
    expect([type, field, descriptionOf(`${core}.${type}`, field!)]).toEqual([
      type,
      field,
      expect.stringMatching(/\.$/),
    ]);
  expect(descriptionOf(`${core}.constructor`, 'toString')).toBeUndefined();
});
