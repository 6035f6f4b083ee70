import {
  type CustomResourceDefinition,
  CustomResourceDefinitions,
  type KubeObject,
  type ResourceType,
  type UnknownObject,
} from '@trimtab/machinery';
import type { WebhookCaller } from '@trimtab/server';
import type { ConversionReview } from './conversion.js';
import { cluster } from './testing.js';

const type = (version: string): ResourceType<UnknownObject> => ({
  group: 'example.com',
  version,
  kind: 'Door',
  resource: 'doors',
  namespaced: true,
});
const V1 = type('v1');
const V2 = type('v2');
const NAME = { name: 'doors.example.com' };
const KEY = { namespace: 'default', name: 'd' };

const definition = (storage: string, extra: object = {}): CustomResourceDefinition => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: NAME,
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'doors', kind: 'Door' },
    conversion: {
      strategy: 'Webhook',
      webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://conversion.example.com/' } },
    },
    versions: [
      { name: 'v1', field: 'width' },
      { name: 'v2', field: 'size' },
    ].map(({ name, field }) => ({
      name,
      served: true,
      storage: name === storage,
      schema: {
        openAPIV3Schema: {
          type: 'object',
          properties: {
            spec: {
              type: 'object',
              properties: { [field]: { type: 'integer' }, colour: { type: 'string', default: `${name}-red` } },
            },
          },
        },
      },
    })),
    ...extra,
  },
});

/** Calls a width a size, and counts how often it was asked. */
function converter(change: (object: KubeObject) => KubeObject = (object) => object) {
  const calls: ConversionReview[] = [];
  const caller: WebhookCaller = {
    async call(_config, body) {
      const review = body as ConversionReview;
      calls.push(review);
      const { uid, desiredAPIVersion, objects } = review.request!;
      const convertedObjects = objects.map((object) => {
        const { spec = {} } = object as UnknownObject & { spec?: { width?: number; size?: number } };
        const { width, size, ...rest } = spec;
        const value = width ?? size;
        const [field] = desiredAPIVersion.endsWith('v2') ? ['size'] : ['width'];
        return change({ ...object, apiVersion: desiredAPIVersion, spec: { ...rest, [field!]: value } } as KubeObject);
      });
      return { ...review, request: undefined, response: { uid, convertedObjects, result: { status: 'Success' } } };
    },
  };
  return { caller, calls };
}

const door = (version: string, spec: object, name = 'd'): UnknownObject => ({
  apiVersion: `example.com/${version}`,
  kind: 'Door',
  metadata: { namespace: 'default', name },
  spec,
});

async function served(storage: string, change?: (object: KubeObject) => KubeObject) {
  const { caller, calls } = converter(change);
  const c = await cluster(caller);
  await c.client.create(CustomResourceDefinitions, definition(storage));
  await c.pass();
  return { ...c, calls };
}

describe('versions that a webhook converts', () => {
  test('are written and read in either, and lie in the stored one', async () => {
    const { client } = await served('v1');
    await client.create(V2, door('v2', { size: 3 }));
    expect(await client.get(V1, KEY)).toMatchObject({ apiVersion: 'example.com/v1', spec: { width: 3 } });
    const second = await client.get(V2, KEY);
    expect(second).toMatchObject({ apiVersion: 'example.com/v2', spec: { size: 3 } });
    const updated = await client.update(V2, { ...second, spec: { size: 5 } });
    expect(updated).toMatchObject({ spec: { size: 5 }, metadata: { uid: second.metadata.uid } });
    await client.patch(V2, KEY, { type: 'merge', body: { spec: { size: 6 } } });
    expect(await client.get(V1, KEY)).toMatchObject({ spec: { width: 6 } });
    await client.delete(V2, KEY);
    await expect(client.get(V1, KEY)).rejects.toMatchObject({ code: 404 });
  });

  test('are pruned and defaulted by the version that is read', async () => {
    const { client } = await served('v1');
    await client.create(V1, door('v1', { width: 1 }));
    expect((await client.get(V1, KEY)).spec).toEqual({ width: 1, colour: 'v1-red' });
    expect((await client.get(V2, KEY)).spec).toEqual({ size: 1, colour: 'v1-red' });
  });

  test('are converted all at once in lists', async () => {
    const { client, calls } = await served('v1');
    for (const name of ['a', 'b', 'c']) await client.create(V1, door('v1', { width: 1 }, name));
    calls.length = 0;
    expect((await client.list(V2)).items.map((item) => item.spec)).toEqual(
      Array(3).fill({ size: 1, colour: 'v1-red' }),
    );
    expect(calls.map(({ request }) => request!.objects.length)).toEqual([3]);
    expect((await client.list(V2, { limit: 2 })).items).toHaveLength(2);
    // What was converted stays so.
    expect(calls).toHaveLength(1);
  });

  test('are watched in order', async () => {
    const { client, pass } = await served('v1');
    const seen: unknown[] = [];
    const subscription = client.watch(V2, {}).subscribe((event) => {
      if (event.type !== 'BOOKMARK') seen.push([event.type, (event.object as UnknownObject).spec]);
    });
    await pass();
    for (const width of [1, 2, 3])
      await (width === 1
        ? client.create(V1, door('v1', { width }))
        : client.patch(V1, KEY, { type: 'merge', body: { spec: { width } } }));
    await client.delete(V1, KEY);
    await pass();
    subscription.unsubscribe();
    expect(seen).toEqual(
      [
        ['ADDED', 1],
        ['MODIFIED', 2],
        ['MODIFIED', 3],
        ['DELETED', 3],
      ].map(([type, size]) => [type, { size, colour: 'v1-red' }]),
    );
  });

  test('keep an object’s identity, whatever the webhook says', async () => {
    const uid = (object: KubeObject) => ({ ...object, metadata: { ...object.metadata, uid: 'other' } });
    const { client } = await served('v1', uid);
    await client.create(V1, door('v1', { width: 1 }));
    await expect(client.get(V2, KEY)).rejects.toMatchObject({
      code: 500,
      message: expect.stringMatching(
        /conversion webhook for example\.com\/v1, Kind=Door returned invalid metadata in object at index 0: must have the same UID/,
      ),
    });
    const labels = (object: KubeObject) => ({
      ...object,
      metadata: { ...object.metadata, labels: { a: 'b' }, finalizers: ['x/y'], resourceVersion: '1' },
    });
    const { client: other } = await served('v1', labels);
    const made = await other.create(V1, door('v1', { width: 1 }));
    const read = await other.get(V2, KEY);
    expect(read.metadata).toMatchObject({ labels: { a: 'b' }, resourceVersion: made.metadata.resourceVersion });
    expect(read.metadata).not.toHaveProperty('finalizers');
  });

  test('that the webhook cannot convert are told with its words', async () => {
    const c = await cluster({ call: () => Promise.reject(new Error('connection refused')) });
    await c.client.create(CustomResourceDefinitions, definition('v1'));
    await c.pass();
    await c.client.create(V1, door('v1', { width: 1 }));
    await expect(c.client.list(V2)).rejects.toMatchObject({
      code: 500,
      message: expect.stringContaining('conversion webhook for example.com/v1, Kind=Door failed: connection refused'),
    });
    // Other versions are not held up.
    expect((await c.client.list(V1)).items).toHaveLength(1);
  });

  test('stay readable after the stored version has changed', async () => {
    const { client, pass } = await served('v1');
    await client.create(V1, door('v1', { width: 4 }));
    const stored = await client.get(CustomResourceDefinitions, NAME);
    await client.update(CustomResourceDefinitions, { ...stored, spec: definition('v2').spec });
    await pass();
    expect((await client.get(CustomResourceDefinitions, NAME)).status?.storedVersions).toEqual(['v1', 'v2']);
    expect(await client.get(V2, KEY)).toMatchObject({ spec: { size: 4 } });
    await client.patch(V2, KEY, { type: 'merge', body: { spec: { size: 5 } } });
    expect(await client.get(V1, KEY)).toMatchObject({ spec: { width: 5 } });
  });
});
