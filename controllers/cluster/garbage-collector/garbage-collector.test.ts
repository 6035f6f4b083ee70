import {
  ConfigMaps,
  type KubeObject,
  type OwnerReference,
  type ResourceType,
  serviceUnavailable,
} from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { FollowedKinds } from '../followed-kinds.js';
import { everyDeath, live, type Parts } from '../mortal.js';
import { GarbageCollector } from './garbage-collector.js';
import { graphNode, OwnerGraph } from './graph.js';
import { Observer } from './observer.js';

const configMap = (name: string, ...ownerReferences: OwnerReference[]): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'default', name, ...(ownerReferences.length > 0 ? { ownerReferences } : {}) },
});
const held = (object: KubeObject): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, finalizers: ['example.com/wait'] },
});
const refTo = ({ metadata }: KubeObject, blockOwnerDeletion = false): OwnerReference => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  name: metadata.name!,
  uid: metadata.uid!,
  blockOwnerDeletion,
});
const key = (name: string) => ({ namespace: 'default', name });

let w: World;
let last: GarbageCollector;
const start = async (parts: Parts) => {
  last = new GarbageCollector(parts);
  await last.start();
  return last;
};
const put = async (object: KubeObject) => (await w.create(ConfigMaps, object))[0]!;
const destroy = (name: string, propagationPolicy: 'Orphan' | 'Foreground' | 'Background' = 'Background') =>
  w.client.delete(ConfigMaps, key(name), { propagationPolicy });
const names = async () => (await w.list(ConfigMaps, 'default')).map(({ metadata }) => metadata.name);
const find = (name: string) => w.find(ConfigMaps, key(name));
const letGo = (name: string) =>
  w.client.patch(ConfigMaps, key(name), { type: 'merge', body: { metadata: { finalizers: null } } });
const states = async () => {
  const objects = await w.list(ConfigMaps, 'default');
  const named = [...last.states].map(([uid, s]) => [objects.find((o) => o.metadata.uid === uid)?.metadata.name, s]);
  return Object.fromEntries(named) as Record<string, string>;
};

beforeEach(async () => {
  w = await world();
});
afterEach(() => w.close());

test('whatever write it dies at, the next life ends the same', async () => {
  await w.close();
  const deaths = await everyDeath(async (death) => {
    w = await world();
    const solid = await put(configMap('solid'));
    const front = await put(configMap('front'));
    const parent = await put(configMap('parent'));
    const root = await put(configMap('root'));
    const middle = await put(configMap('middle', refTo(front, true)));
    await put(configMap('leaf', refTo(middle, true)));
    await put(configMap('shared', refTo(front, true), refTo(solid)));
    await put(configMap('free-1', refTo(parent)));
    await put(configMap('free-2', refTo(parent), refTo(solid)));
    const child = await put(configMap('child', refTo(root)));
    await put(configMap('grandchild', refTo(child)));
    const first = await live(w, start, death);
    await destroy('front', 'Foreground');
    await destroy('parent', 'Orphan');
    await destroy('root');
    await w.pass(100);
    const died = first.isDead;
    await first.end();
    const second = await live(w, start);
    await w.pass(60_000);
    expect(await names()).toEqual(['free-1', 'free-2', 'shared', 'solid']);
    expect((await find('free-1'))!.metadata.ownerReferences).toBeUndefined();
    expect((await find('free-2'))!.metadata.ownerReferences).toEqual([refTo(solid)]);
    expect((await find('shared'))!.metadata.ownerReferences).toEqual([refTo(solid)]);
    expect([...last.states]).toEqual([]);
    await second.end();
    await w.close();
    return { died };
  });
  expect(deaths).toBeGreaterThanOrEqual(10);
  w = await world();
});

test('shows what state everything on its way is in; a new life finds each in it again', async () => {
  const solid = await put(configMap('solid'));
  const front = await put(configMap('front'));
  await put(held(configMap('slow', refTo(front, true))));
  await put(configMap('kept', refTo(solid)));
  let life = await live(w, start);
  await destroy('front', 'Foreground');
  await w.pass(100);
  expect(await states()).toEqual({ front: 'foreground' });
  await life.end();
  life = await live(w, start);
  await w.pass(3_600_000);
  expect(await states()).toEqual({ front: 'foreground' });
  expect(life.writes).toEqual([]);
  await letGo('slow');
  await w.pass(100);
  expect(await names()).toEqual(['kept', 'solid']);
  await life.end();
});

test('an owner that waits is let go by a dependent that stays for another owner, at once', async () => {
  const life = await live(w, start);
  const [a, b] = [await put(configMap('a')), await put(configMap('b'))];
  await put(configMap('shared', refTo(a, true), refTo(b)));
  await destroy('a', 'Foreground');
  await w.pass();
  expect(await names()).toEqual(['b', 'shared']);
  await life.end();
});

test('an owner of another namespace is none, whichever of the two is seen first', async () => {
  const life = await live(w, start);
  const owner = await put({ ...configMap('owner'), metadata: { namespace: 'aaa', name: 'owner' } });
  await w.pass();
  await put(configMap('stray', refTo(owner)));
  await w.pass();
  expect(await names()).toEqual([]);
  await life.end();
});

test('owners in a circle that wait for each other all go', async () => {
  const life = await live(w, start);
  const a = await put(configMap('a'));
  const b = await put(configMap('b', refTo(a, true)));
  const body = { metadata: { ownerReferences: [refTo(b, true)] } };
  await w.client.patch(ConfigMaps, key('a'), { type: 'merge', body });
  await destroy('a', 'Foreground');
  await w.pass(1000);
  expect(await names()).toEqual([]);
  await life.end();
});

test('what gets another owner between judgement and deletion is kept', async () => {
  const owner = await put(configMap('owner'));
  const saviour = await put(configMap('saviour'));
  await put(configMap('dependent', refTo(owner)));
  const life = await live(w, async (parts) => {
    const { client } = parts;
    const late: typeof client = {
      ...client,
      async delete(type, k, options) {
        if (k.name === 'dependent') {
          const body = { metadata: { ownerReferences: [refTo(owner), refTo(saviour)] } };
          await w.client.patch(ConfigMaps, key('dependent'), { type: 'merge', body });
        }
        return client.delete(type, k, options);
      },
    };
    return start({ ...parts, client: late });
  });
  await destroy('owner');
  await w.pass(1000);
  expect((await find('dependent'))?.metadata.ownerReferences).toEqual([refTo(saviour)]);
  await life.end();
});

test('a deletion the server refuses is tried again', async () => {
  const owner = await put(configMap('owner'));
  await put(configMap('dependent', refTo(owner)));
  let refusals = 3;
  const life = await live(w, ({ client, ...parts }) =>
    start({
      ...parts,
      client: {
        ...client,
        delete: async (type, k, options) => {
          if (refusals-- > 0) throw serviceUnavailable('not now');
          return client.delete(type, k, options);
        },
      },
    }),
  );
  await destroy('owner');
  await w.pass(1000);
  expect(await names()).toEqual([]);
  await life.end();
});

test('another object of the same name is not taken for the one that is known', async () => {
  const informers = w.informers;
  const [graph, kinds] = [new OwnerGraph(), new FollowedKinds(informers, { changed: () => {}, complete: () => {} })];
  const observer = new Observer({ client: w.client, informers, graph, kinds });
  const old = graphNode(ConfigMaps as ResourceType, await put(configMap('x')));
  expect((await observer.observe(old)).object).toBeDefined();
  await destroy('x');
  expect((await observer.observe(old)).object).toBeUndefined();
  await put(configMap('x'));
  expect((await observer.observe(old)).object).toBeUndefined();
});

test('a thousand dependents go, or are let go, with two requests each and few questions', async () => {
  const [owner, parent] = [await put(configMap('owner')), await put(configMap('parent'))];
  for (let i = 0; i < 1000; i++) await put(configMap(`d${i}`, refTo(i < 500 ? owner : parent)));
  let gets = 0;
  let open = 0;
  let most = 0;
  const life = await live(w, ({ client, ...parts }) => {
    const counted = async <R>(run: () => Promise<R>): Promise<R> => {
      most = Math.max(most, ++open);
      return run().finally(() => open--);
    };
    return start({
      ...parts,
      client: {
        ...client,
        get: (type, k) => counted(() => client.get(type, k, void gets++)),
        delete: (type, k, options) => counted(() => client.delete(type, k, options)),
        patch: (type, k, patch, options) => counted(() => client.patch(type, k, patch, options)),
      },
    });
  });
  await destroy('owner');
  await destroy('parent', 'Orphan');
  for (let i = 0; i < 40 && life.writes.length < 1001; i++) await w.pass();
  expect(await names()).toHaveLength(500);
  expect((await find('d999'))!.metadata.ownerReferences).toBeUndefined();
  expect(await find('parent')).toBeUndefined();
  expect(life.writes).toHaveLength(1001);
  expect(gets).toBeLessThan(530);
  expect(most).toBeLessThanOrEqual(70);
  await life.end();
});
