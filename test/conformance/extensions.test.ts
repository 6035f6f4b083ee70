import type { KubeObject } from '@trimtab/machinery';
import { type ApiCluster, apiCluster } from '../api-cluster.js';
import { run } from '../e2e/cluster.js';
import { namespaceFor, typeOf, watching, wholeLife } from './lifecycle.js';

/** Conformance tests of custom kinds, discovery, tokens and clients, under their own names. */

let api: ApiCluster;
beforeAll(async () => {
  api = await apiCluster();
});
afterAll(() => api.close());

const definitions = () => typeOf(api, 'apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
const merge = (body: object) => ({ type: 'merge', body }) as const;
const group = 'conformance.example.com';

function definition(
  plural: string,
  schema: object = { 'x-kubernetes-preserve-unknown-fields': true },
  labels: object = {},
): KubeObject {
  const kind = plural[0]!.toUpperCase() + plural.slice(1, -1);
  const version = {
    name: 'v1',
    served: true,
    storage: true,
    subresources: { status: {} },
    schema: { openAPIV3Schema: { type: 'object', ...schema } },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels: labels as Record<string, string> },
    ...{ spec: { group, scope: 'Namespaced', names: { plural, kind }, versions: [version] } },
  };
}

async function establish(given: KubeObject): Promise<void> {
  const watch = watching(api.client, definitions(), { fieldSelector: `metadata.name=${given.metadata.name}` });
  await api.client.create(definitions(), given);
  await watch.until((e) => JSON.stringify(e.object).includes('"type":"Established"'));
  watch.stop();
}

const crds = '[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin]';

describe(crds, () => {
  test(`${crds} Simple CustomResourceDefinition creating/deleting custom resource definition objects works [Conformance]`, async () => {
    await establish(definition('simples'));
    const name = `simples.${group}`;
    const watch = watching(api.client, definitions(), { fieldSelector: `metadata.name=${name}` });
    await api.client.delete(definitions(), { name });
    await watch.until((e) => e.type === 'DELETED');
    watch.stop();
  });

  test(`${crds} Simple CustomResourceDefinition listing custom resource definition objects works [Conformance]`, async () => {
    const labels = { 'e2e-list': 'yes' };
    for (const plural of ['firsts', 'seconds', 'thirds']) await establish(definition(plural, undefined, labels));
    const listed = { labelSelector: 'e2e-list=yes' };
    expect((await api.client.list(definitions(), listed)).items).toHaveLength(3);
    await api.client.deleteCollection(definitions(), listed);
    while ((await api.client.list(definitions(), listed)).items.length > 0)
      await new Promise((resolve) => setTimeout(resolve, 20));
  });

  test(`${crds} Simple CustomResourceDefinition getting/updating/patching custom resource definition status sub-resource works [Conformance]`, async () => {
    await establish(definition('states'));
    const key = { name: `states.${group}` };
    const got = (await api.client.get(definitions(), key, { subresource: 'status' })) as KubeObject & {
      status: { conditions: object[] };
    };
    const added = {
      type: 'StatusUpdate',
      status: 'True',
      reason: 'E2E',
      message: 'Set from an e2e test',
      lastTransitionTime: null,
    };
    const updated = await api.client.update(
      definitions(),
      { ...got, status: { ...got.status, conditions: [...got.status.conditions, added] } } as KubeObject,
      { subresource: 'status' },
    );
    expect(JSON.stringify(updated)).toContain('StatusUpdate');
    const body = { metadata: { annotations: { patched: 'yes' } } };
    await api.client.patch(definitions(), key, merge(body), { subresource: 'status' });
  });

  test(`${crds} custom resource defaulting for requests and from storage works [Conformance]`, async () => {
    const namespace = await namespaceFor(api);
    await establish(definition('defaults', { properties: { a: { type: 'string' }, b: { type: 'string' } } }));
    const type = typeOf(api, group, 'v1', 'defaults');
    const body = { apiVersion: `${group}/v1`, kind: 'Default', metadata: { name: 'x', namespace } };
    await api.client.create(type, body);
    const key = { name: `defaults.${group}` };
    const path = '/spec/versions/0/schema/openAPIV3Schema/properties/a/default';
    await api.client.patch(definitions(), key, { type: 'json', body: [{ op: 'add', path, value: 'A' }] });
    const read = async (name: string) =>
      (await api.client.get(typeOf(api, group, 'v1', 'defaults'), { namespace, name })) as KubeObject & { a?: string };
    while ((await read('x')).a === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await read('x')).a).toBe('A');
    await api.client.create(typeOf(api, group, 'v1', 'defaults'), { ...body, metadata: { name: 'y', namespace } });
    expect((await read('y')).a).toBe('A');
  });

  test(`${crds} should include custom resource definition resources in discovery documents [Conformance]`, async () => {
    const groups = JSON.parse(await api.client.raw('/apis')) as { groups: readonly { name: string }[] };
    expect(groups.groups.map((g) => g.name)).toContain('apiextensions.k8s.io');
    const list = JSON.parse(await api.client.raw('/apis/apiextensions.k8s.io/v1')) as {
      resources: readonly { name: string }[];
    };
    expect(list.resources.map((r) => r.name)).toContain('customresourcedefinitions');
  });
});

test('[sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects [Conformance]', async () => {
  await establish(definition('watches'));
  await wholeLife(api, {
    group,
    version: 'v1',
    resource: 'watches',
    body: () => ({ content: { key: 'value' } }),
  });
});

test('[sig-network] EndpointSlice should support creating EndpointSlice API operations [Conformance]', () =>
  wholeLife(api, {
    group: 'discovery.k8s.io',
    version: 'v1',
    resource: 'endpointslices',
    body: () => ({
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.0.0.1'] }],
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    }),
  }));

test('[sig-auth] ServiceAccounts should update a ServiceAccount [Conformance]', async () => {
  const namespace = await namespaceFor(api);
  const accounts = typeOf(api, '', 'v1', 'serviceaccounts');
  const made = await api.client.create(accounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'e2e', namespace },
  });
  const updated = await api.client.update(accounts, { ...made, automountServiceAccountToken: true } as KubeObject);
  expect(updated).toMatchObject({ automountServiceAccountToken: true });
});

test('[sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview [Conformance]', async () => {
  const namespace = await namespaceFor(api);
  const accounts = typeOf(api, '', 'v1', 'serviceaccounts');
  await api.client.create(accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'e2e', namespace } });
  const request = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: {},
    spec: { expirationSeconds: 3600 },
  };
  const { status } = await api.client.subresource<object, { status: { token: string } }>(
    accounts,
    { namespace, name: 'e2e' },
    'token',
    'create',
    request,
  );
  const review = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    metadata: {},
    spec: { token: status.token },
  };
  const answer = await api.client.create(
    typeOf(api, 'authentication.k8s.io', 'v1', 'tokenreviews'),
    review as KubeObject,
  );
  expect(answer).toMatchObject({
    status: { authenticated: true, user: { username: `system:serviceaccount:${namespace}:e2e` } },
  });
});

describe('[sig-cli] Kubectl client', () => {
  const kubectl = (...args: readonly string[]) =>
    run('kubectl', args, { env: { KUBECONFIG: api.kubeconfig, HOME: api.directory } });

  test('[sig-cli] Kubectl client Kubectl api-versions should check if v1 is in available api versions [Conformance]', async () => {
    expect((await kubectl('api-versions')).stdout.split('\n')).toContain('v1');
  });
  test('[sig-cli] Kubectl client Kubectl version should check is all data is printed [Conformance]', async () => {
    const { stdout } = await kubectl('version');
    expect(stdout).toContain('Client Version');
    expect(stdout).toContain('Server Version');
  });
  test('[sig-cli] Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments [Conformance]', async () => {
    const namespace = await namespaceFor(api);
    const manifest = (image: string) =>
      `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: httpd}\nspec: {selector: {matchLabels: {app: httpd}}, template: {metadata: {labels: {app: httpd}}, spec: {containers: [{name: httpd, image: "${image}"}]}}}\n`;
    const piped = (input: string, ...args: readonly string[]) =>
      run('kubectl', ['-n', namespace, ...args], { input, env: { KUBECONFIG: api.kubeconfig, HOME: api.directory } });
    expect((await piped(manifest('httpd:1'), 'apply', '-f', '-')).code).toBe(0);
    const { code, stdout } = await piped(manifest('busybox:1'), 'diff', '-f', '-');
    expect([code, stdout]).toEqual([1, expect.stringMatching(/^-.*image: httpd:1[\s\S]*^\+.*image: busybox:1/m)]);
  });
  test('[sig-cli] Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods [Conformance]', async () => {
    const namespace = await namespaceFor(api);
    await kubectl('-n', namespace, 'run', 'e2e', '--image=httpd:1', '--labels=run=e2e');
    const body = '{"spec":{"containers":[{"name":"e2e","image":"busybox:1"}]}}';
    expect((await kubectl('-n', namespace, 'patch', 'pod', 'e2e', '-p', body, '--dry-run=server')).code).toBe(0);
    const { stdout } = await kubectl(
      '-n',
      namespace,
      'get',
      'pod',
      'e2e',
      '-o',
      'jsonpath={.spec.containers[0].image}',
    );
    expect(stdout).toBe('httpd:1');
  });
  test('[sig-cli] Kubectl client Kubectl label should update the label on a resource [Conformance]', async () => {
    const namespace = await namespaceFor(api);
    await kubectl('-n', namespace, 'run', 'pause', '--image=pause');
    await kubectl('-n', namespace, 'label', 'pods', 'pause', 'testing-label=testing-label-value');
    const shown = await kubectl('-n', namespace, 'get', 'pod', 'pause', '-L', 'testing-label');
    expect(shown.stdout).toContain('testing-label-value');
    await kubectl('-n', namespace, 'label', 'pods', 'pause', 'testing-label-');
    expect((await kubectl('-n', namespace, 'get', 'pod', 'pause', '-L', 'testing-label')).stdout).not.toContain(
      'testing-label-value',
    );
  });

  test('what was applied by the client goes over to the server without a conflict', async () => {
    const namespace = await namespaceFor(api);
    const apply = (image: string, ...flags: readonly string[]) =>
      run('kubectl', ['-n', namespace, 'apply', ...flags, '-f', '-'], {
        input: `apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {a: b}}\nspec: {containers: [{name: c, image: "${image}"}]}\n`,
        env: { KUBECONFIG: api.kubeconfig, HOME: api.directory },
      });
    expect((await apply('one')).code).toBe(0);
    const { code, stderr } = await apply('two', '--server-side');
    expect([code, stderr]).toEqual([0, '']);
    const shown = await kubectl(
      '-n',
      namespace,
      'get',
      'pod',
      'p',
      '--show-managed-fields',
      '-o',
      'jsonpath={.metadata.managedFields[*].manager}',
    );
    expect(shown.stdout.split(' ')).not.toContain('kubectl-client-side-apply');
    expect((await apply('three')).code).toBe(0);
  });
});
