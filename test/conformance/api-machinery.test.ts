import type { KubeObject, Status } from '@trimtab/machinery';
import { type ApiCluster, apiCluster } from '../api-cluster.js';
import { run } from '../e2e/cluster.js';
import { namespaceFor, typeOf, type Watching, watching } from './lifecycle.js';

/** Conformance tests of single behaviours, under their own names. They need an API server and nothing else. */

let api: ApiCluster;
beforeAll(async () => {
  api = await apiCluster();
});
afterAll(() => api.close());

const core = (resource: string) => typeOf(api, '', 'v1', resource);
const object = (kind: string, metadata: object, more: object = {}, apiVersion = 'v1'): KubeObject => ({
  apiVersion,
  kind,
  metadata,
  ...more,
});
const merge = (body: object) => ({ type: 'merge', body }) as const;
const refusal = async (promise: Promise<unknown>): Promise<Status> =>
  promise.then(
    () => {
      throw new Error('it should have been refused');
    },
    (error: { status: Status }) => error.status,
  );
const types = (watch: Watching) => watch.events.map((e) => e.type);
const kubectl = (input: string, ...args: readonly string[]) =>
  run('kubectl', args, { input, env: { KUBECONFIG: api.kubeconfig, HOME: api.directory } });

describe('[sig-api-machinery] Watchers', () => {
  let namespace: string;
  beforeEach(async () => {
    namespace = await namespaceFor(api);
  });
  const map = (name: string, label: string, data: object = {}) =>
    object('ConfigMap', { name, namespace, labels: { 'watch-this-configmap': label } }, { data });
  const follow = (label: string, resourceVersion?: string) =>
    watching(api.client, core('configmaps'), {
      namespace,
      labelSelector: `watch-this-configmap=${label}`,
      resourceVersion,
    });
  const change = (name: string, body: object) => api.client.patch(core('configmaps'), { namespace, name }, merge(body));

  test('[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps [Conformance]', async () => {
    const [a, b, both] = [
      follow('a'),
      follow('b'),
      watching(api.client, core('configmaps'), { namespace, labelSelector: 'watch-this-configmap in (a,b)' }),
    ];
    await api.client.create(core('configmaps'), map('one', 'a'));
    await change('one', { data: { mutation: '1' } });
    await api.client.delete(core('configmaps'), { namespace, name: 'one' });
    await api.client.create(core('configmaps'), map('two', 'b'));
    await api.client.delete(core('configmaps'), { namespace, name: 'two' });
    await both.until((e) => e.type === 'DELETED' && e.object.metadata.name === 'two');
    await b.until((e) => e.type === 'DELETED');
    await a.until((e) => e.type === 'DELETED');
    expect([types(a), types(b)]).toEqual([
      ['ADDED', 'MODIFIED', 'DELETED'],
      ['ADDED', 'DELETED'],
    ]);
    expect(types(both)).toEqual(['ADDED', 'MODIFIED', 'DELETED', 'ADDED', 'DELETED']);
    for (const watch of [a, b, both]) watch.stop();
  });

  test('[sig-api-machinery] Watchers should be able to start watching from a specific resource version [Conformance]', async () => {
    await api.client.create(core('configmaps'), map('m', 'v'));
    const first = await change('m', { data: { mutation: '1' } });
    await change('m', { data: { mutation: '2' } });
    await api.client.delete(core('configmaps'), { namespace, name: 'm' });
    const watch = follow('v', first.metadata.resourceVersion);
    await watch.until((e) => e.type === 'DELETED');
    expect(types(watch)).toEqual(['MODIFIED', 'DELETED']);
    watch.stop();
  });

  test('[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch [Conformance]', async () => {
    const before = follow('r');
    await api.client.create(core('configmaps'), map('m', 'r'));
    await change('m', { data: { mutation: '1' } });
    const last = await before.until((e) => e.type === 'MODIFIED');
    before.stop();
    await change('m', { data: { mutation: '2' } });
    await api.client.delete(core('configmaps'), { namespace, name: 'm' });
    const after = follow('r', last.object.metadata.resourceVersion);
    await after.until((e) => e.type === 'DELETED');
    expect(types(after)).toEqual(['MODIFIED', 'DELETED']);
    after.stop();
  });

  test('[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector [Conformance]', async () => {
    const watch = follow('s');
    await api.client.create(core('configmaps'), map('m', 's'));
    await change('m', { metadata: { labels: { 'watch-this-configmap': 'other' } } });
    await change('m', { data: { mutation: '2' } });
    await change('m', { metadata: { labels: { 'watch-this-configmap': 's' } } });
    await api.client.delete(core('configmaps'), { namespace, name: 'm' });
    await watch.until((e) => e.type === 'DELETED' && watch.events.length === 4);
    expect(types(watch)).toEqual(['ADDED', 'DELETED', 'ADDED', 'DELETED']);
    watch.stop();
  });

  test('[sig-api-machinery] Watchers should receive events on concurrent watches in same order [Conformance]', async () => {
    const start = (await api.client.list(core('configmaps'), { namespace })).metadata.resourceVersion;
    for (let i = 0; i < 20; i++) await api.client.create(core('configmaps'), map(`m${i}`, 'o'));
    for (let i = 0; i < 20; i += 3) await api.client.delete(core('configmaps'), { namespace, name: `m${i}` });
    const watches = Array.from({ length: 10 }, () => follow('o', start));
    const orders = [];
    for (const watch of watches) {
      await watch.until((e) => e.type === 'DELETED' && e.object.metadata.name === 'm18');
      orders.push(watch.events.map((e) => `${e.type} ${e.object.metadata.resourceVersion}`));
      watch.stop();
    }
    for (const order of orders) expect(order).toEqual(orders[0]);
  });
});

test('[sig-api-machinery] server version should find the server version [Conformance]', async () => {
  const version = JSON.parse(await api.client.raw('/version')) as Record<string, string>;
  expect(version.major).toMatch(/^[0-9]+$/);
  expect(version.minor).toMatch(/^[0-9]+$/);
});

describe('[sig-api-machinery] Servers with support for API chunking', () => {
  let namespace: string;
  beforeEach(async () => {
    namespace = await namespaceFor(api);
    for (let i = 0; i < 40; i++)
      await api.client.create(
        core('podtemplates'),
        object(
          'PodTemplate',
          { name: `template-${String(i).padStart(4, '0')}`, namespace },
          { template: { spec: { containers: [{ name: 'test', image: 'test2' }] } } },
        ),
      );
  });

  test('[sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls [Conformance]', async () => {
    const names: (string | undefined)[] = [];
    let token: string | undefined;
    let revision: string | undefined;
    do {
      const page = await api.client.list(core('podtemplates'), { namespace, limit: 7, continue: token });
      revision ??= page.metadata.resourceVersion;
      expect(page.metadata.resourceVersion).toBe(revision);
      expect(page.items.length).toBeLessThanOrEqual(7);
      names.push(...page.items.map((o) => o.metadata.name));
      if (page.metadata.continue) expect(page.metadata.remainingItemCount).toBe(40 - names.length);
      token = page.metadata.continue;
    } while (token);
    expect(names).toEqual(Array.from({ length: 40 }, (_, i) => `template-${String(i).padStart(4, '0')}`));
  });

  test('[sig-api-machinery] Servers with support for API chunking should support continue listing from the last key if the original version has been compacted away, though the list is inconsistent [Slow] [Conformance]', async () => {
    const first = await api.client.list(core('podtemplates'), { namespace, limit: 4 });
    await api.client.delete(core('podtemplates'), { namespace, name: 'template-0020' });
    await api.store.compact(api.store.revision);
    const expired = await refusal(
      api.client.list(core('podtemplates'), { namespace, limit: 4, continue: first.metadata.continue }),
    );
    expect([expired.code, expired.reason]).toEqual([410, 'Expired']);
    const rest = await api.client.list(core('podtemplates'), { namespace, continue: expired.metadata.continue });
    expect(rest.items).toHaveLength(35);
    expect(rest.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
  });
});

describe('[sig-api-machinery] Namespaces [Serial]', () => {
  const namespaces = () => core('namespaces');
  test('[sig-api-machinery] Namespaces [Serial] should patch a Namespace [Conformance]', async () => {
    const name = await namespaceFor(api);
    const patched = await api.client.patch(
      namespaces(),
      { name },
      merge({ metadata: { labels: { testLabel: 'testValue' } } }),
    );
    expect(patched.metadata.labels).toMatchObject({ testLabel: 'testValue', 'kubernetes.io/metadata.name': name });
  });
  test('[sig-api-machinery] Namespaces [Serial] should apply an update to a Namespace [Conformance]', async () => {
    const name = await namespaceFor(api);
    const old = await api.client.get(namespaces(), { name });
    const labels = { ...old.metadata.labels, [name]: 'updated' };
    expect(
      (await api.client.update(namespaces(), { ...old, metadata: { ...old.metadata, labels } })).metadata.labels,
    ).toEqual(labels);
  });
  test('[sig-api-machinery] Namespaces [Serial] should apply changes to a namespace status [Conformance]', async () => {
    const name = await namespaceFor(api);
    const conditions = [{ type: 'StatusPatch', status: 'True', reason: 'E2E', message: 'Set by an e2e test' }];
    const body = { metadata: { annotations: { 'e2e-patched-ns-status': name } }, status: { conditions } };
    const patched = await api.client.patch(namespaces(), { name }, merge(body), { subresource: 'status' });
    expect(patched).toMatchObject(body);
    const status = { conditions: [{ ...conditions[0], type: 'StatusUpdate' }] };
    const updated = await api.client.update(namespaces(), { ...patched, status } as KubeObject, {
      subresource: 'status',
    });
    expect(updated).toMatchObject({ status });
  });
  test('[sig-api-machinery] Namespaces [Serial] should apply a finalizer to a Namespace [Conformance]', async () => {
    const name = await namespaceFor(api);
    const old = await api.client.get(namespaces(), { name });
    const finalize = (finalizers: readonly string[], from: KubeObject) =>
      api.client.subresource<KubeObject, KubeObject>(namespaces(), { name }, 'finalize', 'update', {
        ...from,
        spec: { finalizers },
      } as KubeObject);
    const added = await finalize(['kubernetes', 'e2e.example.com/fakeFinalizer'], old);
    expect(added).toMatchObject({ spec: { finalizers: ['kubernetes', 'e2e.example.com/fakeFinalizer'] } });
    expect(await finalize(['kubernetes'], added)).toMatchObject({ spec: { finalizers: ['kubernetes'] } });
  });
});

describe('[sig-api-machinery] Discovery', () => {
  type Group = {
    name: string;
    preferredVersion: { groupVersion: string; version: string };
    versions: readonly { groupVersion: string }[];
  };
  const groups = async () => (JSON.parse(await api.client.raw('/apis')) as { groups: readonly Group[] }).groups;
  test('[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup [Conformance]', async () => {
    for (const { name } of await groups()) {
      const group = JSON.parse(await api.client.raw(`/apis/${name}`)) as Group;
      expect(group.versions.map((v) => v.groupVersion)).toContain(group.preferredVersion.groupVersion);
    }
  });
  test('[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup [Conformance]', async () => {
    for (const [group, resource] of [
      ['admissionregistration.k8s.io', 'validatingwebhookconfigurations'],
      ['apiextensions.k8s.io', 'customresourcedefinitions'],
      ['apiregistration.k8s.io', 'apiservices'],
      ['apps', 'deployments'],
      ['authentication.k8s.io', 'tokenreviews'],
      ['authorization.k8s.io', 'selfsubjectaccessreviews'],
      ['autoscaling', 'horizontalpodautoscalers'],
      ['batch', 'jobs'],
      ['certificates.k8s.io', 'certificatesigningrequests'],
      ['coordination.k8s.io', 'leases'],
      ['discovery.k8s.io', 'endpointslices'],
      ['events.k8s.io', 'events'],
      ['networking.k8s.io', 'ingresses'],
      ['node.k8s.io', 'runtimeclasses'],
      ['policy', 'poddisruptionbudgets'],
      ['scheduling.k8s.io', 'priorityclasses'],
    ]) {
      const { resources } = JSON.parse(await api.client.raw(`/apis/${group}/v1`)) as {
        resources: readonly { name: string }[];
      };
      expect(resources.map((r) => r.name)).toContain(resource);
    }
  });
});

describe('[sig-api-machinery] FieldValidation', () => {
  const apply = (manifest: string, ...args: readonly string[]) => kubectl(manifest, 'create', '-f', '-', ...args);
  const deployment = (more: string, name = 'd') =>
    `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ${name}${more.startsWith('meta') ? `, ${more.slice(5)}` : ''}}\nspec:\n  selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}\n${more.startsWith('meta') ? '' : more}`;
  test('[sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object [Conformance]', async () => {
    const manifest = deployment('  unknownField: foo\n  replicas: 1\n  replicas: 2\n');
    const path = '/apis/apps/v1/namespaces/default/deployments?fieldValidation=Strict';
    const { status, text } = await api.post(path, 'application/yaml', manifest);
    expect(status).toBe(400);
    expect(text).toContain('strict decoding error');
    expect(text).toContain('unknown field \\"spec.unknownField\\"');
    expect(text).toMatch(/key \\"replicas\\" already set in map|duplicate field \\"spec.replicas\\"/);
  });
  test('[sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object [Conformance]', async () => {
    const { code, stderr } = await apply(deployment('meta unknownMeta: x'));
    expect(code).not.toBe(0);
    expect(stderr).toContain('unknown field "metadata.unknownMeta"');
  });

  const definition = (plural: string, schema: object) =>
    object(
      'CustomResourceDefinition',
      { name: `${plural}.stable.example.com` },
      {
        spec: {
          group: 'stable.example.com',
          scope: 'Cluster',
          names: { plural, kind: plural[0]!.toUpperCase() + plural.slice(1) },
          versions: [
            { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', ...schema } } },
          ],
        },
      },
      'apiextensions.k8s.io/v1',
    );
  const strictCreate = async (plural: string, schema: object, body: object) => {
    const definitions = typeOf(api, 'apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
    const watch = watching(api.client, definitions, { fieldSelector: `metadata.name=${plural}.stable.example.com` });
    await api.client.create(definitions, definition(plural, schema));
    await watch.until((e) => JSON.stringify(e.object).includes('"type":"Established"'));
    watch.stop();
    const kind = plural[0]!.toUpperCase() + plural.slice(1);
    const manifest = JSON.stringify({ apiVersion: 'stable.example.com/v1', kind, ...body });
    return kubectl(manifest, 'create', '-f', '-', '--validate=strict');
  };
  const schema = { properties: { spec: { type: 'object', properties: { foo: { type: 'string' } } } } };
  test('[sig-api-machinery] FieldValidation should create/apply a valid CR for CRD with validation schema [Conformance]', async () => {
    expect((await strictCreate('noxus', schema, { metadata: { name: 'a' }, spec: { foo: 'x' } })).code).toBe(0);
  });
  test('[sig-api-machinery] FieldValidation should create/apply an invalid CR with extra properties for CRD with validation schema [Conformance]', async () => {
    const { code, stderr } = await strictCreate('foxes', schema, {
      metadata: { name: 'a' },
      spec: { foo: 'x', bar: 'y' },
    });
    expect([code, stderr]).toEqual([1, expect.stringContaining('unknown field "spec.bar"')]);
  });
  test('[sig-api-machinery] FieldValidation should create/apply a CR with unknown fields for CRD with no validation schema [Conformance]', async () => {
    const open = { 'x-kubernetes-preserve-unknown-fields': true };
    expect((await strictCreate('opens', open, { metadata: { name: 'a' }, spec: { any: 'thing' } })).code).toBe(0);
  });
  test('[sig-api-machinery] FieldValidation should detect unknown metadata fields in both the root and embedded object of a CR [Conformance]', async () => {
    const embedded = {
      properties: {
        spec: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
      },
    };
    const spec = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x', unknownSubMeta: 'y' } };
    const { code, stderr } = await strictCreate('shells', embedded, {
      metadata: { name: 'a', unknownMeta: 'x' },
      spec,
    });
    expect(code).toBe(1);
    expect(stderr).toContain('metadata.unknownMeta');
    expect(stderr).toContain('spec.metadata.unknownSubMeta');
  });
  test('[sig-api-machinery] FieldValidation should detect duplicates in a CR when preserving unknown fields [Conformance]', async () => {
    await strictCreate('doubles', { 'x-kubernetes-preserve-unknown-fields': true }, { metadata: { name: 'a' } });
    const doubled = 'apiVersion: stable.example.com/v1\nkind: Doubles\nmetadata: {name: b}\nspec: {foo: a, foo: b}\n';
    const path = '/apis/stable.example.com/v1/doubles?fieldValidation=Strict';
    const { status, text } = await api.post(path, 'application/yaml', doubled);
    expect([status, text]).toEqual([
      400,
      expect.stringMatching(/key \\"foo\\" already set in map|duplicate field \\"spec.foo\\"/),
    ]);
  });
});
