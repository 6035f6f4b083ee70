import type { Client } from '@trimtab/client';
import { ConfigMaps, forbidden, type KubeObject, Namespaces, type Pod, Pods, Secrets } from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { everyDeath, live, type Parts, running } from '../mortal.js';
import { namespaceController } from './controller.js';

const namespace = 'team';
const start = running((parts) => [namespaceController(parts)]);
const configMap = (name: string, finalizers?: string[]): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace, name, ...(finalizers ? { finalizers } : {}) },
});
const secret: KubeObject = { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: 's' } };
const pod = (finalizers?: string[]): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace, name: 'p', ...(finalizers ? { finalizers } : {}) },
  spec: { containers: [{ name: 'c', image: 'i', terminationMessagePolicy: 'File' }] },
});

let w: World;
beforeEach(async () => {
  w = await world();
});
afterEach(() => w.close());

const found = () => w.find(Namespaces, { name: namespace });
const conditions = async () =>
  Object.fromEntries((await found())!.status!.conditions!.map((c) => [c.type, `${c.status} ${c.message}`]));
const begin = async (...finalizers: string[]) => {
  await w.create(Namespaces, { metadata: { name: namespace, finalizers } });
};
const letGo = (type: typeof ConfigMaps | typeof Pods | typeof Namespaces, name: string, ns?: string) =>
  w.client.patch(
    type as typeof ConfigMaps,
    { namespace: ns, name },
    { type: 'merge', body: { metadata: { finalizers: null } } },
  );
/** The world's own client with some requests refused, over whatever the life does. */
const refusing = (refuse: (verb: 'list' | 'deleteCollection', resource: string) => void) => (parts: Parts) => {
  const { client } = parts;
  const guarded: Client = {
    ...client,
    list: async (type, options) => {
      refuse('list', type.resource);
      return client.list(type, options);
    },
    deleteCollection: async (type, options) => {
      refuse('deleteCollection', type.resource);
      return client.deleteCollection(type, options);
    },
  };
  return start({ ...parts, client: guarded });
};

test('whatever write it dies at, the next life empties the namespace, pods first', async () => {
  await w.close();
  const deaths = await everyDeath(async (death) => {
    w = await world();
    await begin();
    await w.create(Pods, pod());
    await w.create(ConfigMaps, configMap('a'), configMap('b', ['example.com/wait']));
    await w.create(Secrets, secret);
    const gone: Record<string, number> = {};
    for (const type of [Pods, ConfigMaps, Secrets])
      w.informers.get(type as typeof ConfigMaps).addHandler(({ type: what, object }) => {
        if (what === 'deleted') gone[object.metadata.name!] = Number(object.metadata.resourceVersion);
      });
    const first = await live(w, start, death);
    await w.client.delete(Namespaces, { name: namespace });
    await w.pass(500);
    await letGo(ConfigMaps, 'b', namespace);
    await w.pass(500);
    const died = first.isDead;
    await first.end();
    const second = await live(w, start);
    await w.pass(10_000);
    expect(await found()).toBeUndefined();
    expect(Object.keys(gone).sort()).toEqual(['a', 'b', 'p', 's']);
    expect(Math.min(gone.a!, gone.b!, gone.s!)).toBeGreaterThan(gone.p!);
    await second.end();
    await w.close();
    return { died };
  });
  expect(deaths).toBeGreaterThanOrEqual(6);
  w = await world();
});

test('a new life finds it in the state it was in, and an idle hour of waiting writes nothing and lists little', async () => {
  await begin('example.com/mine');
  await w.create(Pods, pod(['example.com/wait']));
  await w.create(ConfigMaps, configMap('b', ['example.com/wait']));
  let life = await live(w, start);
  await w.client.delete(Namespaces, { name: namespace });
  await w.pass(1000);
  const next = async (idleMs = 60_000) => {
    await life.end();
    life = await live(w, start);
    await w.pass(idleMs);
    return life.writes;
  };
  expect(await next(3_600_000)).toEqual([]);
  // Nothing but pods is asked for while there are any.
  expect(new Set(life.lists)).toEqual(new Set(['pods']));
  expect(await conditions()).toMatchObject({
    NamespaceContentRemaining: 'True Some resources are remaining: pods. has 1 resource instances',
    NamespaceFinalizersRemaining:
      'True Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances',
  });
  await letGo(Pods, 'p', namespace);
  await w.pass(2_100);
  expect(life.writes).toEqual([`deleteAll configmaps ${namespace}`, `patch namespaces/status ${namespace}`]);
  expect(await next()).toEqual([]);
  expect(await conditions()).toMatchObject({
    NamespaceContentRemaining: 'True Some resources are remaining: configmaps. has 1 resource instances',
  });
  await letGo(ConfigMaps, 'b', namespace);
  await w.pass(2_100);
  expect((await found())?.spec?.finalizers ?? []).toEqual([]);
  expect(await conditions()).toMatchObject({
    NamespaceContentRemaining: 'False All content successfully removed',
    NamespaceFinalizersRemaining: 'False All content-preserving finalizers finished',
  });
  expect(await next()).toEqual([]);
  await letGo(Namespaces, namespace);
  await w.pass();
  expect(await found()).toBeUndefined();
  await life.end();
});

test('kinds that refuse to go are all named, and everything else goes meanwhile', async () => {
  let refused = ['configmaps', 'secrets'];
  await begin();
  await w.create(ConfigMaps, configMap('a'));
  await w.create(Secrets, secret);
  const life = await live(
    w,
    refusing((verb, resource) => {
      if (verb === 'deleteCollection' && refused.includes(resource))
        throw forbidden({ group: '', resource }, '', 'not today');
    }),
  );
  await w.client.delete(Namespaces, { name: namespace });
  await w.pass(1000);
  const { NamespaceDeletionContentFailure: told } = await conditions();
  expect(told).toMatch(
    /^True Failed to delete all resource types, 2 remaining: configmaps\.: .*not today, secrets\.: /,
  );
  refused = [];
  await w.pass(60_000);
  expect(await found()).toBeUndefined();
  await life.end();
});

test('is not finalized while a kind cannot be listed, and nothing else is touched while pods cannot', async () => {
  let silent = 'pods';
  await begin();
  await w.create(ConfigMaps, configMap('a'));
  const life = await live(
    w,
    refusing((verb, resource) => {
      if (verb === 'list' && resource === silent) throw forbidden({ group: '', resource }, '', 'no list');
    }),
  );
  await w.client.delete(Namespaces, { name: namespace });
  await w.pass(5_000);
  expect((await w.list(ConfigMaps, namespace)).length).toBe(1);
  expect((await conditions()).NamespaceDeletionContentFailure).toMatch(/1 remaining: pods\.: .*no list/);
  silent = 'leases';
  await w.pass(5_000);
  expect((await w.list(ConfigMaps, namespace)).length).toBe(0);
  expect((await conditions()).NamespaceDeletionContentFailure).toMatch(/1 remaining: leases\.coordination/);
  silent = '';
  await w.pass(5_000);
  expect(await found()).toBeUndefined();
  await life.end();
});

test('one that its server leaves open is closed before anything in it is touched', async () => {
  await begin();
  await w.create(ConfigMaps, configMap('a'));
  await w.client.delete(Namespaces, { name: namespace });
  const body = { status: { phase: 'Active' } };
  await w.client.patch(Namespaces, { name: namespace }, { type: 'merge', body }, { subresource: 'status' });
  const life = await live(w, start);
  await w.pass(1000);
  expect(life.writes.slice(0, 2)).toEqual([
    `patch namespaces/status ${namespace}`,
    `deleteAll configmaps ${namespace}`,
  ]);
  expect(await found()).toBeUndefined();
  await life.end();
});

test('conditions of others stay', async () => {
  await begin();
  await w.create(Pods, pod(['example.com/wait']));
  const body = { status: { conditions: [{ type: 'example.com/Paid', status: 'True' }] } };
  await w.client.patch(Namespaces, { name: namespace }, { type: 'merge', body }, { subresource: 'status' });
  const life = await live(w, start);
  await w.client.delete(Namespaces, { name: namespace });
  await w.pass(1000);
  expect(await conditions()).toHaveProperty(['example.com/Paid']);
  expect(Object.keys(await conditions())).toHaveLength(6);
  await life.end();
});
