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

const fates = {
  Foreground: {
    deaths: 4,
    prepare: async (solid: KubeObject, owner: KubeObject) => {
      const middle = await put(configMap('middle', refTo(owner, true)));
      await put(configMap('leaf', refTo(middle, true)));
      await put(configMap('shared', refTo(owner, true), refTo(solid)));
    },
    left: (solid: KubeObject) => ({ shared: [refTo(solid)] }),
  },
  Orphan: {
    deaths: 3,
    prepare: async (solid: KubeObject, owner: KubeObject) => {
      await put(configMap('free', refTo(owner)));
      await put(configMap('shared', refTo(owner), refTo(solid)));
    },
    left: (solid: KubeObject) => ({ free: undefined, shared: [refTo(solid)] }),
  },
  Background: {
    deaths: 3,
    prepare: async (solid: KubeObject, owner: KubeObject) => {
      const child = await put(configMap('child', refTo(owner)));
      await put(configMap('grandchild', refTo(child)));
      await put(configMap('shared', refTo(owner), refTo(solid)));
    },
    left: (solid: KubeObject) => ({ shared: [refTo(solid)] }),
  },
} as const;

test.each(['Foreground', 'Orphan', 'Background'] as const)(
  '%s: whatever write it dies at, the next life ends the same',
  async (policy) => {
    await w.close();
    const { deaths, prepare, left } = fates[policy];
    const died = await everyDeath(async (death) => {
      w = await world();
      const solid = await put(configMap('solid'));
      await prepare(solid, await put(configMap('owner')));
      const first = await live(w, start, death);
      await destroy('owner', policy);
      await w.pass(100);
      const { isDead } = first;
      await first.end();
      const second = await live(w, start);
      await w.pass(1_000);
      const objects = await w.list(ConfigMaps, 'default');
      expect(Object.fromEntries(objects.map(({ metadata }) => [metadata.name, metadata.ownerReferences]))).toEqual({
        solid: undefined,
        ...left(solid),
      });
      expect([...last.states]).toEqual([]);
      await second.end();
      await w.close();
      return { died: isDead };
    });
    expect(died).toBeGreaterThanOrEqual(deaths);
    w = await world();
  },
);

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

test('an owner in the foreground waits for its dependents’ dependents, too', async () => {
  const life = await live(w, start);
  const owner = await put(configMap('owner'));
  const middle = await put(configMap('middle', refTo(owner, true)));
  await put(held(configMap('leaf', refTo(middle, true))));
  await destroy('owner', 'Foreground');
  await w.pass(1_000);
  expect(await names()).toEqual(['leaf', 'middle', 'owner']);
  expect(await states()).toEqual({ middle: 'foreground', owner: 'foreground' });
  await letGo('leaf');
  await w.pass(100);
  expect(await names()).toEqual([]);
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

test('hundreds of dependents go, or are let go, with two requests each and few questions', async () => {
  const [owner, parent] = [await put(configMap('owner')), await put(configMap('parent'))];
  for (let i = 0; i < 500; i++) await put(configMap(`d${i}`, refTo(i < 250 ? owner : parent)));
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
  for (let i = 0; i < 40 && life.writes.length < 501; i++) await w.pass();
  expect(await names()).toHaveLength(250);
  expect((await find('d499'))!.metadata.ownerReferences).toBeUndefined();
  expect(await find('parent')).toBeUndefined();
  expect(life.writes).toHaveLength(501);
  expect(gets).toBeLessThan(280);
  expect(most).toBeLessThanOrEqual(70);
  await life.end();
});
