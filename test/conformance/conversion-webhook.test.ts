import { CustomResourceDefinitions, type KubeObject, type ResourceType } from '@trimtab/machinery';
import { type TestWebhook, testWebhook } from '../../api/server/webhook/testing.js';
import { type ApiCluster, apiCluster } from '../api-cluster.js';
import { watching } from './lifecycle.js';

/** Versions that a webhook converts, called over HTTPS as a server outside would be. */

interface Review {
  readonly request: { readonly uid: string; readonly desiredAPIVersion: string; readonly objects: readonly Person[] };
}
type Person = KubeObject & { readonly host?: string; readonly port?: string; readonly hostPort?: string };

let api: ApiCluster;
let webhook: TestWebhook;
beforeAll(async () => {
  webhook = await testWebhook(({ body }) => {
    const { uid, desiredAPIVersion, objects } = (body as unknown as Review).request;
    const convertedObjects = objects.map((object) => converted(object, desiredAPIVersion));
    const response = { uid, result: { status: 'Success' }, convertedObjects };
    return { apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview', response };
  });
  api = await apiCluster();
  const version = (name: string, storage: boolean, fields: readonly string[]) => ({
    name,
    storage,
    served: true,
    selectableFields: fields.map((field) => ({ jsonPath: `.${field}` })),
    schema: {
      openAPIV3Schema: {
        type: 'object',
        properties: Object.fromEntries(fields.map((field) => [field, { type: 'string' }])),
      },
    },
  });
  const definitions = watching(api.client, CustomResourceDefinitions as unknown as ResourceType, {});
  await api.client.create(CustomResourceDefinitions, {
    metadata: { name: 'persons.stable.example.com' },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: { plural: 'persons', kind: 'Person' },
      versions: [version('v1', true, ['hostPort']), version('v2', false, ['host', 'port'])],
      conversion: {
        strategy: 'Webhook',
        webhook: {
          conversionReviewVersions: ['v1', 'v1beta1'],
          clientConfig: { url: `${webhook.url}/crdconvert`, caBundle: webhook.caBundle },
        },
      },
    },
  } as never);
  await definitions.until(({ object }) => JSON.stringify(object).includes('"type":"Established"'));
  definitions.stop();
});
afterAll(async () => {
  await api?.close();
  await webhook?.close();
});

function converted({ hostPort, host, port, ...rest }: Person, apiVersion: string): Person {
  if (apiVersion.endsWith('v1')) return { ...rest, apiVersion, hostPort: hostPort ?? `${host}:${port}` };
  const [h, p] = (hostPort ?? `${host}:${port}`).split(':') as [string, string];
  return { ...rest, apiVersion, host: h, port: p };
}

const persons = (version: string): ResourceType<Person> => ({
  group: 'stable.example.com',
  version,
  kind: 'Person',
  resource: 'persons',
  namespaced: true,
});
const person = (version: string, name: string, fields: object): Person => ({
  apiVersion: `stable.example.com/${version}`,
  kind: 'Person',
  metadata: { namespace: 'default', name },
  ...fields,
});

describe('[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin]', () => {
  test('should be able to convert from CR v1 to CR v2 [Conformance]', async () => {
    await api.client.create(persons('v1'), person('v1', 'one', { hostPort: 'localhost:8080' }));
    const seen = await api.client.get(persons('v2'), { namespace: 'default', name: 'one' });
    expect(seen).toMatchObject({ apiVersion: 'stable.example.com/v2', host: 'localhost', port: '8080' });
    expect(seen).not.toHaveProperty('hostPort');
    expect(webhook.received[0]).toMatchObject({ path: '/crdconvert?timeout=30s' });
  });

  test('should be able to convert a non homogeneous list of CRs [Conformance]', async () => {
    await api.client.create(persons('v2'), person('v2', 'two', { host: 'example.com', port: '443' }));
    const asV1 = await api.client.list(persons('v1'), { namespace: 'default' });
    expect(asV1.items.map((p) => p.hostPort)).toEqual(['localhost:8080', 'example.com:443']);
    const asV2 = await api.client.list(persons('v2'), { namespace: 'default' });
    expect(asV2.items.map((p) => [p.host, p.port])).toEqual([
      ['localhost', '8080'],
      ['example.com', '443'],
    ]);
  });
});

test('[sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector [Conformance]', async () => {
  const scope = { namespace: 'default', labelSelector: 'of=selectors' };
  const make = (version: string, name: string, fields: object) => {
    const made = person(version, name, fields);
    return api.client.create(persons(version), {
      ...made,
      metadata: { ...made.metadata, labels: { of: 'selectors' } },
    });
  };
  // Selected by the fields of the version that asks, whatever version they were made or are kept in.
  const by = (version: string, fieldSelector: string) => api.client.list(persons(version), { ...scope, fieldSelector });
  const before = (await api.client.list(persons('v2'), scope)).metadata.resourceVersion;
  const seen = watching(api.client, persons('v2') as unknown as ResourceType, {
    ...scope,
    fieldSelector: 'host=host1',
    resourceVersion: before,
  });
  await make('v1', 'first', { hostPort: 'host1:80' });
  await make('v1', 'second', { hostPort: 'host1:8080' });
  await make('v2', 'third', { host: 'host2', port: '80' });
  const names = (list: { items: readonly Person[] }) => list.items.map(({ metadata }) => metadata.name);
  expect(names(await by('v1', 'hostPort=host1:80'))).toEqual(['first']);
  expect(names(await by('v2', 'host=host1'))).toEqual(['first', 'second']);
  expect(names(await by('v2', 'host=host1,port=80'))).toEqual(['first']);
  expect(names(await by('v2', 'host!=host1'))).toEqual(['third']);
  await expect(by('v1', 'host=host1')).rejects.toThrow(/field label not supported|not supported/);
  await api.client.delete(persons('v1'), { namespace: 'default', name: 'second' });
  await seen.until(({ type, object }) => type === 'DELETED' && object.metadata.name === 'second');
  expect(seen.events.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual([
    'ADDED first',
    'ADDED second',
    'DELETED second',
  ]);
  seen.stop();
});
