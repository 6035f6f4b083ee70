import { Pods } from '../generated/resources.js';
import { builtinResources, compareVersions } from './resources.js';
import type { Schema } from './schema.js';
import { definitionNamesOf, kindsOf, schemaFor, schemaOf } from './table.js';

const core = (kind: string) => ({ group: '', version: 'v1', kind });
const at = (schema: Schema | undefined, ...path: string[]): Schema =>
  path.reduce((s, p) => (p === '[]' ? s!.items! : p === '{}' ? s!.values! : s!.properties![p]!), schema)!;
const resource = (plural: string, group = '', version = 'v1') =>
  builtinResources().find((r) => r.type.resource === plural && r.type.group === group && r.type.version === version)!;

describe('schemas of built-in kinds', () => {
  test('a container port carries both its merge key and its map keys', () => {
    const ports = at(schemaFor(core('Pod')), 'spec', 'containers', '[]', 'ports');
    expect(ports).toMatchObject({
      type: 'array',
      listType: 'map',
      listMapKeys: ['containerPort', 'protocol'],
      patchMergeKey: 'containerPort',
      patchStrategy: ['merge'],
    });
    expect(ports.items).toMatchObject({ name: 'io.k8s.api.core.v1.ContainerPort', required: ['containerPort'] });
    expect(at(ports, '[]', 'containerPort')).toMatchObject({ type: 'integer', format: 'int32' });
  });

  test('patch strategies, map types and quantities are kept', () => {
    expect(at(schemaFor(core('Pod')), 'spec', 'volumes').patchStrategy).toEqual(['merge', 'retainKeys']);
    const deployment = schemaFor({ group: 'apps', version: 'v1', kind: 'Deployment' });
    expect(at(deployment, 'spec', 'strategy')).toMatchObject({ type: 'object', patchStrategy: ['retainKeys'] });
    expect(at(deployment, 'spec', 'strategy', 'rollingUpdate', 'maxSurge').type).toBe('int-or-string');
    expect(at(schemaFor(core('Pod')), 'spec', 'nodeSelector').mapType).toBe('atomic');
    expect(at(schemaFor(core('Pod')), 'spec', 'containers', '[]', 'resources', 'limits', '{}').type).toBe('quantity');
    expect(at(schemaFor(core('Secret')), 'data', '{}')).toMatchObject({ type: 'string', format: 'byte' });
  });

  test('what Go leaves out when zero is told from what a zero means something to', () => {
    const pod = schemaFor(core('Pod'));
    expect(at(pod, 'spec', 'hostNetwork').omitZero).toBe(true);
    expect(at(pod, 'spec', 'terminationGracePeriodSeconds').omitZero).toBeUndefined();
    expect(at(pod, 'spec', 'volumes', '[]', 'emptyDir').omitZero).toBeUndefined();
  });

  test('recursive definitions resolve as far as they are walked', () => {
    const props = schemaOf('io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps');
    expect(at(props, 'properties', '{}', 'not', 'allOf', '[]', 'format').type).toBe('string');
  });

  test('every definition resolves to its last field', () => {
    for (const name of definitionNamesOf())
      for (const f of Object.values(schemaOf(name)!.properties ?? {})) expect(f.type).toBeTruthy();
    expect(definitionNamesOf().length).toBeGreaterThan(700);
  });

  test('kinds are found both ways; options are kinds of every group', () => {
    expect(kindsOf('io.k8s.api.core.v1.Pod')).toEqual(core('Pod'));
    expect(kindsOf('io.k8s.api.core.v1.PodSpec')).toBeUndefined();
    expect(schemaFor({ group: 'apps', version: 'v1', kind: 'DeleteOptions' })?.properties).toHaveProperty(
      'propagationPolicy',
    );
    expect(schemaFor(core('Nonsense'))).toBeUndefined();
  });
});

describe('built-in resources', () => {
  test('pods are what discovery says', () => {
    const pods = resource('pods');
    expect(pods).toMatchObject({
      type: Pods,
      singular: 'pod',
      shortNames: ['po'],
      categories: ['all'],
      preferred: true,
    });
    expect(pods.verbs).toEqual(['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']);
    expect(pods.subresources.map((s) => s.name)).toEqual([
      'attach',
      'binding',
      'ephemeralcontainers',
      'eviction',
      'exec',
      'log',
      'portforward',
      'proxy',
      'resize',
      'status',
    ]);
    expect(pods.subresources.find((s) => s.name === 'eviction')).toMatchObject({
      group: 'policy',
      version: 'v1',
      verbs: ['create'],
    });
    expect(pods.subresources.find((s) => s.name === 'exec')?.verbs).toEqual(['create', 'get']);
  });

  test('namespaces cannot be deleted as a collection, component statuses only read, reviews only created', () => {
    expect(resource('namespaces').verbs).not.toContain('deletecollection');
    expect(resource('namespaces').subresources.map((s) => s.name)).toEqual(['finalize', 'status']);
    expect(resource('componentstatuses').verbs).toEqual(['get', 'list']);
    expect(resource('subjectaccessreviews', 'authorization.k8s.io')).toMatchObject({
      verbs: ['create'],
      type: { namespaced: false },
    });
    expect(resource('localsubjectaccessreviews', 'authorization.k8s.io').type.namespaced).toBe(true);
  });

  test('versions of the same objects share their storage', () => {
    expect(resource('events', 'events.k8s.io').storage).toMatchObject({ group: '', version: 'v1', resource: 'events' });
    expect(resource('events').versions.map((t) => t.group)).toEqual(['', 'events.k8s.io']);
    expect(resource('horizontalpodautoscalers', 'autoscaling').storage.version).toBe('v2');
    expect(resource('horizontalpodautoscalers', 'autoscaling')).toMatchObject({
      preferred: false,
      enabledByDefault: true,
    });
    expect(resource('resourceclaims', 'resource.k8s.io', 'v1beta1').storage.version).toBe('v1');
    expect(resource('resourceclaims', 'resource.k8s.io', 'v1beta1').enabledByDefault).toBe(false);
  });

  test('every resource has a schema, and a name of its own', () => {
    const seen = new Set<string>();
    for (const r of builtinResources()) {
      expect(schemaFor(r.type)).toBeDefined();
      seen.add(`${r.type.group}/${r.type.version}/${r.type.resource}`);
    }
    expect(seen.size).toBe(builtinResources().length);
  });

  test('versions order as Kubernetes orders them', () => {
    const mixed = ['v1alpha1', 'v1', 'foo', 'v2', 'v1beta2', 'v10', 'v1beta1', 'bar'];
    expect(mixed.sort(compareVersions)).toEqual(['v10', 'v2', 'v1', 'v1beta2', 'v1beta1', 'v1alpha1', 'bar', 'foo']);
  });
});
