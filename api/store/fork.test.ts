import { type KubeObject, VirtualClock } from '@trimtab/machinery';
import fc from 'fast-check';
import { CompactedError, changesBetween, forkStore, memoryEngine, openStore, type Store } from './index.js';
import * as tree from './tree.js';

const key = (name: string, resource = '/pods') => ({ resource, namespace: 'default', name });
const put = (name: string, n: number, resource?: string) => ({
  type: 'put' as const,
  key: key(name, resource),
  object: { metadata: { name }, n } as KubeObject,
});
const all = (store: Store) => [...store.snapshot().range({ resource: '/pods' })].map(({ key }) => key.name);

test('differences of two trees are those of their entries, and what both share is not looked at', () => {
  const change = fc.tuple(
    fc.integer({ min: 0, max: 30 }),
    fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
  );
  fc.assert(
    fc.property(fc.array(change), fc.array(change), (first, second) => {
      const apply = (start: tree.Tree<number> | undefined, changes: typeof first) =>
        changes.reduce<tree.Tree<number> | undefined>(
          (t, [k, v]) => (v === undefined ? tree.remove(t, `${k}`) : tree.set(t, `${k}`, v)),
          start,
        );
      const a = apply(undefined, first);
      const b = apply(a, second);
      const found = [...tree.differences(a, b)];
      const expected = Array.from({ length: 31 }, (_, k) => `${k}`)
        .sort()
        .map((k) => [k, tree.get(a, k), tree.get(b, k)] as const)
        .filter(([, was, is]) => was !== is);
      expect(found).toEqual(expected);
    }),
  );
  let big: tree.Tree<number> | undefined;
  for (let i = 0; i < 10_000; i++) big = tree.set(big, `${i}`, i);
  const changed = tree.set(big, '5000', -1);
  let looked = 0;
  const counting = (t: tree.Tree<number> | undefined): tree.Tree<number> | undefined =>
    t &&
    new Proxy(t, {
      get: (target, field: keyof typeof t) => {
        looked++;
        return target[field];
      },
    });
  expect([...tree.differences(counting(big), changed)]).toEqual([['5000', 5000, -1]]);
  expect(looked).toBeLessThan(200);
});

test('a fork shares what nobody changes and goes its own way, with revisions that go on', async () => {
  const clock = new VirtualClock();
  const main = await openStore({ engine: memoryEngine(), clock });
  await main.commit([put('a', 1), put('b', 1)]);
  const fork = await forkStore(main.snapshot(), { clock });
  expect(fork.snapshot().get(key('a'))).toBe(main.snapshot().get(key('a')));
  const { revision } = await fork.commit([put('a', 2), { type: 'delete', key: key('b') }, put('c', 1)]);
  expect(revision).toBe(main.revision + 1);
  await main.commit([put('d', 1)]);
  expect([all(main), all(fork)]).toEqual([
    ['a', 'b', 'd'],
    ['a', 'c'],
  ]);
  const changes = [...changesBetween(fork.snapshot(1), fork.snapshot())];
  expect(changes.map(({ key, before, after }) => [key.name, before?.revision, after?.revision])).toEqual([
    ['a', 1, 2],
    ['b', 1, undefined],
    ['c', undefined, 2],
  ]);
  expect(() => fork.snapshot(0)).toThrow(CompactedError);
  await fork.close();
  await expect(fork.commit([put('x', 1)])).rejects.toThrow('closed');
  expect(all(main)).toEqual(['a', 'b', 'd']);
});

test('a watcher of a fork hears what comes after the fork, once', async () => {
  const clock = new VirtualClock();
  const main = await openStore({ engine: memoryEngine(), clock });
  await main.commit([put('a', 1)]);
  const fork = await forkStore(main.snapshot(), { clock });
  const heard: string[] = [];
  await fork.commit([put('b', 1)]);
  fork.watch({ resource: '/pods' }, 1).subscribe((event) => heard.push(event.key.name));
  await fork.commit([put('c', 1)]);
  expect(heard).toEqual(['b', 'c']);
});

test('the past by commit: when each was, and which is the oldest', async () => {
  const clock = new VirtualClock();
  const store = await openStore({ engine: memoryEngine(), clock });
  const start = clock.now();
  for (let i = 0; i < 3; i++) {
    await store.commit([put('a', i)]);
    await clock.advance(1000);
  }
  expect([1, 2, 3].map((revision) => store.timeOf(revision)! - start)).toEqual([0, 1000, 2000]);
  expect([...store.commitsAfter(1)].map(({ revision, events }) => [revision, events.length])).toEqual([
    [2, 1],
    [3, 1],
  ]);
  expect(store.oldest?.revision).toBe(1);
  await store.compact(2);
  expect(store.oldest?.revision).toBe(3);
  expect(() => [...store.commitsAfter(1)]).toThrow(CompactedError);
});
