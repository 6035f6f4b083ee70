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
  test('should be able to convert from CR v1 to CR v2', async () => {
    await api.client.create(persons('v1'), person('v1', 'one', { hostPort: 'localhost:8080' }));
    const seen = await api.client.get(persons('v2'), { namespace: 'default', name: 'one' });
    expect(seen).toMatchObject({ apiVersion: 'stable.example.com/v2', host: 'localhost', port: '8080' });
    expect(seen).not.toHaveProperty('hostPort');
    expect(webhook.received[0]).toMatchObject({ path: '/crdconvert?timeout=30s' });
  });

  test('should be able to convert a non homogeneous list of CRs', async () => {
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
