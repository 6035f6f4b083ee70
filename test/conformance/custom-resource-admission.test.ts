import { generateKeyPairSync } from 'node:crypto';
import { Informers } from '@trimtab/client';
import { customKindSource, DefinitionController, definitionStrategy } from '@trimtab/crd';
import {
  CustomResourceDefinitions,
  type JSONSchemaProps,
  type KubeObject,
  MutatingWebhookConfigurations,
  type ResourceType,
  seededRandom,
  silentLogger,
  type UnknownObject,
  ValidatingAdmissionPolicies,
  ValidatingAdmissionPolicyBindings,
  ValidatingWebhookConfigurations,
  VirtualClock,
} from '@trimtab/machinery';
import {
  bootstrapCluster,
  builtinKinds,
  componentUsers,
  createClusterSecurity,
  createRegistry,
  localClientOf,
} from '@trimtab/server';
import { memoryEngine, openStore } from '@trimtab/store';
import { testWebhook } from '../../api/server/webhook/testing.js';

/** What the conformance suite asks of webhooks and custom resources together, under its own names. */

const group = 'stable.example.com';
const type = (version: string): ResourceType<UnknownObject> => ({
  group,
  version,
  kind: 'E2eTest',
  resource: 'e2e-tests',
  namespaced: true,
});
const [V1, V2] = [type('v1'), type('v2')];
const key = { namespace: 'default', name: 'cr' };

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function cluster() {
  const clock = new VirtualClock();
  const random = seededRandom(5);
  const store = await openStore({ engine: memoryEngine(), clock });
  const serviceAccountKey = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const security = createClusterSecurity({ store, clock, random, serviceAccountKey, serviceCIDR: '10.96.0.0/16' });
  closing.push(() => security.close());
  const strategies = {
    ...security.strategies,
    'apiextensions.k8s.io/customresourcedefinitions': definitionStrategy,
  };
  const registry = createRegistry({
    ...security,
    store,
    kinds: [builtinKinds({ strategies }), customKindSource(store, security.webhooks)],
    clock,
    random,
    logger: silentLogger,
  });
  const client = localClientOf(registry, security.authorizer, componentUsers.apiServer);
  await bootstrapCluster({ client, reader: security.reader });
  const informers = new Informers({ client, clock, random, logger: silentLogger });
  new DefinitionController({ client, informers, clock, logger: silentLogger }).start();
  informers.start();
  const pass = async () => {
    for (let i = 0; i < 20; i++) await clock.advance(i === 10 ? 100 : 0);
  };
  await pass();
  return { client, pass };
}
type Cluster = Awaited<ReturnType<typeof cluster>>;

const open: JSONSchemaProps = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const definition = (schema: JSONSchemaProps, storage = 'v1') => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `e2e-tests.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural: 'e2e-tests', kind: 'E2eTest' },
    versions: ['v1', 'v2'].map((name) => ({
      name,
      served: true,
      storage: name === storage,
      schema: { openAPIV3Schema: { type: 'object', properties: { data: schema } } as JSONSchemaProps },
    })),
  },
});
async function define({ client, pass }: Cluster, schema = open, storage = 'v1') {
  await client.create(CustomResourceDefinitions, definition(schema, storage) as never);
  await pass();
}
const resource = (data: object, version = 'v1') =>
  ({ apiVersion: `${group}/${version}`, kind: 'E2eTest', metadata: key, data }) as unknown as UnknownObject;

interface Request {
  readonly uid: string;
  readonly operation: string;
  readonly object: { readonly data?: Record<string, string> } | null;
  readonly oldObject: { readonly data?: Record<string, string> } | null;
  readonly kind: { readonly version: string };
}
async function hook(decide: (request: Request) => object) {
  const server = await testWebhook(({ body }) => {
    const request = body.request as Request;
    return { apiVersion: body.apiVersion, kind: body.kind, response: { uid: request.uid, ...decide(request) } };
  });
  closing.push(() => server.close());
  return server;
}
const patch = (...operations: object[]) => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});
const stages = ({ object }: Request) => {
  const data = object?.data ?? {};
  const add = (name: string) => patch({ op: 'add', path: `/data/${name}`, value: 'yes' });
  if (data['mutation-start'] === 'yes' && !data['mutation-stage-1']) return add('mutation-stage-1');
  return data['mutation-stage-1'] === 'yes' ? add('mutation-stage-2') : { allowed: true };
};
const configuration = (kind: string, server: { url: string; caBundle: string }, more: object, ...names: string[]) =>
  ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name: 'c' },
    webhooks: names.map((name) => ({
      name,
      clientConfig: { url: `${server.url}/`, caBundle: server.caBundle },
      rules: [
        {
          operations: ['CREATE', 'UPDATE', 'DELETE'],
          apiGroups: [group],
          apiVersions: ['v1'],
          resources: ['e2e-tests'],
        },
      ],
      sideEffects: 'None',
      admissionReviewVersions: ['v1', 'v1beta1'],
      ...more,
    })),
  }) as KubeObject as never;
const message = (run: Promise<unknown>) =>
  run.then(
    () => '',
    (error: Error) => error.message,
  );

describe('[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin]', () => {
  test('should be able to deny custom resource creation, update and deletion [Conformance]', async () => {
    const c = await cluster();
    await define(c);
    const server = await hook(({ object, oldObject }) => {
      const bad = [object, oldObject].some((each) => each?.data?.['webhook-e2e-test'] === 'webhook-disallow');
      return bad
        ? { allowed: false, status: { message: 'the custom resource contains unwanted data' } }
        : { allowed: true };
    });
    await c.client.create(
      ValidatingWebhookConfigurations,
      configuration('ValidatingWebhookConfiguration', server, {}, 'deny-custom-resource-data.k8s.io'),
    );
    const denied =
      'admission webhook "deny-custom-resource-data.k8s.io" denied the request: the custom resource contains unwanted data';
    const bad = { 'webhook-e2e-test': 'webhook-disallow' };
    expect(await message(c.client.create(V1, resource(bad)))).toBe(denied);
    await c.client.create(V1, resource({ fine: 'yes' }));
    expect(await message(c.client.patch(V1, key, { type: 'merge', body: { data: bad } }))).toBe(denied);
    await c.client.patch(
      ValidatingWebhookConfigurations,
      { name: 'c' },
      { type: 'json', body: [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['DELETE'] }] },
    );
    await c.client.patch(V1, key, { type: 'merge', body: { data: bad } });
    expect(await message(c.client.delete(V1, key))).toBe(denied);
    await c.client.patch(V1, key, { type: 'merge', body: { data: { 'webhook-e2e-test': 'webhook-allow' } } });
    expect(await message(c.client.delete(V1, key))).toBe('');
  });

  test('should mutate custom resource [Conformance]', async () => {
    const c = await cluster();
    await define(c);
    const server = await hook(stages);
    await c.client.create(
      MutatingWebhookConfigurations,
      configuration('MutatingWebhookConfiguration', server, {}, 'a.cr.example', 'b.cr.example'),
    );
    await c.client.create(V1, resource({ 'mutation-start': 'yes' }));
    expect(await c.client.get(V1, key)).toMatchObject({
      data: { 'mutation-start': 'yes', 'mutation-stage-1': 'yes', 'mutation-stage-2': 'yes' },
    });
  });

  test('should mutate custom resource with pruning [Conformance]', async () => {
    const c = await cluster();
    const text: JSONSchemaProps = { type: 'string' };
    const properties = { 'mutation-start': text, 'mutation-stage-1': text };
    await define(c, { type: 'object', properties });
    const server = await hook(stages);
    await c.client.create(
      MutatingWebhookConfigurations,
      configuration('MutatingWebhookConfiguration', server, {}, 'a.cr.example', 'b.cr.example'),
    );
    const created = await c.client.create(V1, resource({ 'mutation-start': 'yes' }));
    expect(created).toMatchObject({ data: { 'mutation-start': 'yes', 'mutation-stage-1': 'yes' } });
    expect(Object.keys((created as unknown as { data: object }).data)).toHaveLength(2);
  });

  test('should mutate custom resource with different stored version [Conformance]', async () => {
    const c = await cluster();
    await define(c);
    const server = await hook(stages);
    await c.client.create(
      MutatingWebhookConfigurations,
      configuration('MutatingWebhookConfiguration', server, {}, 'a.cr.example', 'b.cr.example'),
    );
    await c.client.create(V1, resource({}));
    const versions = (storage: string) => definition(open, storage).spec.versions;
    await c.client.patch(
      CustomResourceDefinitions,
      { name: `e2e-tests.${group}` },
      { type: 'merge', body: { spec: { versions: versions('v2') } } },
    );
    await c.pass();
    await c.client.patch(V2, key, { type: 'merge', body: { data: { 'mutation-start': 'yes' } } });
    expect(await c.client.get(V1, key)).toMatchObject({
      data: { 'mutation-stage-1': 'yes', 'mutation-stage-2': 'yes' },
    });
    expect(server.received.at(-1)!.body).toMatchObject({
      request: { kind: { version: 'v1' }, requestKind: { version: 'v2' } },
    });
  });

  test('should deny crd creation [Conformance]', async () => {
    const c = await cluster();
    const server = await hook(() => ({ allowed: false, status: { message: 'the crd contains unwanted label' } }));
    const rules = [
      {
        operations: ['CREATE'],
        apiGroups: ['apiextensions.k8s.io'],
        apiVersions: ['*'],
        resources: ['customresourcedefinitions'],
      },
    ];
    await c.client.create(
      ValidatingWebhookConfigurations,
      configuration(
        'ValidatingWebhookConfiguration',
        server,
        { rules, objectSelector: { matchLabels: { bad: 'yes' } } },
        'deny-crd.k8s.io',
      ),
    );
    const wanted = definition(open);
    const bad = { ...wanted, metadata: { ...wanted.metadata, labels: { bad: 'yes' } } };
    expect(await message(c.client.create(CustomResourceDefinitions, bad as never))).toBe(
      'admission webhook "deny-crd.k8s.io" denied the request: the crd contains unwanted label',
    );
    expect(await message(define(c))).toBe('');
  });
});

test('a policy takes custom resources as its subjects and as its parameters', async () => {
  const c = await cluster();
  await define(c);
  await c.client.create(V2, {
    ...resource({ most: '3' }, 'v2'),
    metadata: { ...key, name: 'limits' },
  } as UnknownObject);
  const api = { apiVersion: 'admissionregistration.k8s.io/v1', metadata: { name: 'p' } };
  await c.client.create(ValidatingAdmissionPolicies, {
    ...api,
    kind: 'ValidatingAdmissionPolicy',
    spec: {
      paramKind: { apiVersion: `${group}/v1`, kind: 'E2eTest' },
      matchConstraints: {
        resourceRules: [{ apiGroups: [group], apiVersions: ['v1'], operations: ['CREATE'], resources: ['e2e-tests'] }],
      },
      validations: [{ expression: 'size(object.data.word) <= int(params.data.most)', message: 'too long' }],
    },
  });
  await c.client.create(ValidatingAdmissionPolicyBindings, {
    ...api,
    kind: 'ValidatingAdmissionPolicyBinding',
    spec: {
      policyName: 'p',
      validationActions: ['Deny'],
      paramRef: { name: 'limits', parameterNotFoundAction: 'Deny' },
    },
  });
  expect(await message(c.client.create(V2, resource({ word: 'long' }, 'v2')))).toContain('denied request: too long');
  expect(await message(c.client.create(V2, resource({ word: 'big' }, 'v2')))).toBe('');
});
