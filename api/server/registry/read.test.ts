import { ConfigMaps, type KubeObject, type StatusError } from '@trimtab/machinery';
import { listObjects } from './read.js';
import { failure, key, map, record, type TestCluster, testCluster } from './testing.js';
import { watchObjects } from './watch.js';

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});
afterEach(() => cluster.store.close());

describe('list', () => {
  beforeEach(async () => {
    for (let i = 0; i < 6; i++) await cluster.client.create(ConfigMaps, map(`m${i}`));
  });
  const names = (list: { readonly items: readonly KubeObject[] }) => list.items.map((o) => o.metadata.name);

  test('pages stay at the first page’s revision', async () => {
    const first = await cluster.client.list(ConfigMaps, { limit: 2 });
    expect(names(first)).toEqual(['m0', 'm1']);
    expect(first.metadata.remainingItemCount).toBe(4);
    await cluster.client.delete(ConfigMaps, key('m2'));
    await cluster.client.create(ConfigMaps, map('m3a'));
    const second = await cluster.client.list(ConfigMaps, { limit: 10, continue: first.metadata.continue });
    expect(names(second)).toEqual(['m2', 'm3', 'm4', 'm5']);
    expect(second.metadata).toEqual({ resourceVersion: first.metadata.resourceVersion });
  });

  test('an expired page says so, with a token that goes on anyway', async () => {
    const first = await cluster.client.list(ConfigMaps, { limit: 2 });
    await cluster.client.delete(ConfigMaps, key('m2'));
    await cluster.store.compact(cluster.store.revision);
    const expired = await failure(cluster.client.list(ConfigMaps, { limit: 2, continue: first.metadata.continue }));
    expect(expired.status).toMatchObject({ code: 410, reason: 'Expired' });
    const rest = await cluster.client.list(ConfigMaps, { continue: expired.status.metadata.continue });
    expect(names(rest)).toEqual(['m3', 'm4', 'm5']);
  });

  test('exact, not older than, too old, too new', async () => {
    await cluster.client.delete(ConfigMaps, key('m0'));
    const exact = await cluster.client.list(ConfigMaps, { resourceVersion: '3', resourceVersionMatch: 'Exact' });
    expect(names(exact)).toEqual(['m0', 'm1', 'm2']);
    expect(exact.metadata.resourceVersion).toBe('3');
    const newer = await cluster.client.list(ConfigMaps, { resourceVersion: '3' });
    expect(names(newer)).toEqual(['m1', 'm2', 'm3', 'm4', 'm5']);
    await cluster.store.compact(7);
    const old = await failure(cluster.client.list(ConfigMaps, { resourceVersion: '3', resourceVersionMatch: 'Exact' }));
    expect(old.status).toMatchObject({ code: 410, reason: 'Expired', message: 'too old resource version: 3 (7)' });
    const future = failure(cluster.client.list(ConfigMaps, { resourceVersion: '99' }));
    await cluster.clock.advance(3100);
    expect((await future).status).toMatchObject({ code: 504, message: 'Too large resource version: 99, current: 7' });
    const wrong = await failure(cluster.client.list(ConfigMaps, { resourceVersionMatch: 'Exact' }));
    expect(wrong.code).toBe(422);
  });

  test('a long list is made in turns, once for all who ask, and is of one moment', async () => {
    const all = Array.from({ length: 1300 }, (_, i) => `n${String(i).padStart(4, '0')}`);
    await Promise.all(all.map((name) => cluster.client.create(ConfigMaps, map(name, {}, { labels: { all: 'yes' } }))));
    const kind = cluster.registry.kinds.find('', 'v1', 'configmaps')!;
    for (const options of [{}, { labelSelector: 'all=yes' }]) {
      let turns = 0;
      const count = () => {
        turns++;
        counting = setImmediate(count);
      };
      let counting = setImmediate(count);
      const both = [1, 2].map(() => listObjects(cluster.registry, kind, 'default', options));
      await Promise.resolve();
      const changed = cluster.client.delete(ConfigMaps, key('n1299'));
      const [one, two] = await Promise.all(both);
      clearImmediate(counting);
      expect(turns).toBeGreaterThan(1);
      expect(one).toEqual(two);
      expect(one!.items.slice(-1300).map(({ metadata }) => metadata.name)).toEqual(all);
      if (!options.labelSelector) expect(one!.items).toBe(two!.items);
      await changed;
      const again = await listObjects(cluster.registry, kind, 'default', options);
      expect(again.items.at(-1)!.metadata.name).toBe('n1298');
      await cluster.client.create(ConfigMaps, map('n1299', {}, { labels: { all: 'yes' } }));
    }
  });

  test('a limit with a selector still fills its page', async () => {
    await cluster.client.create(ConfigMaps, map('z', {}, { labels: { hit: 'yes' } }));
    const found = await cluster.client.list(ConfigMaps, { labelSelector: 'hit', limit: 1 });
    expect(names(found)).toEqual(['z']);
    expect(found.metadata.continue).toBeUndefined();
    expect((await failure(cluster.client.list(ConfigMaps, { fieldSelector: 'data.x=1' }))).message).toBe(
      'field label not supported: data.x',
    );
  });
});

describe('watch', () => {
  test('entering a selector is ADDED, leaving it DELETED with the revision it left at', async () => {
    const watch = record(cluster.client, ConfigMaps, {
      namespace: 'default',
      labelSelector: 'app=x',
      resourceVersion: '0',
    });
    await cluster.client.create(ConfigMaps, map('a'));
    const label = (app: string) =>
      cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { metadata: { labels: { app } } } });
    await label('x');
    await cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { data: { n: '1' } } });
    await label('y');
    await label('x');
    await cluster.client.delete(ConfigMaps, key('a'));
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED a', 'DELETED a']);
    expect(watch.events[2]!.object.metadata).toMatchObject({ resourceVersion: '4', labels: { app: 'x' } });
    expect(watch.events[4]!.object.metadata.resourceVersion).toBe('6');
    watch.stop();
  });

  test('initial events end with an annotated bookmark; bookmarks come by the minute and before the end', async () => {
    await cluster.client.create(ConfigMaps, map('a'));
    const watch = record(cluster.client, ConfigMaps, {
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: true,
      timeoutSeconds: 100,
    });
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual(['ADDED a', 'BOOKMARK']);
    expect(watch.events[1]!.object.metadata).toMatchObject({
      resourceVersion: '1',
      annotations: { 'k8s.io/initial-events-end': 'true' },
    });
    await cluster.client.create(ConfigMaps, map('b'));
    await cluster.clock.advance(99_000);
    expect(watch.seen.slice(2)).toEqual(['ADDED b', 'BOOKMARK', 'BOOKMARK']);
    expect(watch.events.at(-1)!.object.metadata.resourceVersion).toBe('2');
    expect(watch.ended()).toBeUndefined();
    await cluster.clock.advance(1000);
    expect(watch.ended()).toBe('complete');
  });

  test('an object that a watcher cannot take ends that watch and no other', async () => {
    const kind = cluster.registry.kinds.find('', 'v1', 'configmaps')!;
    const ends: (string | undefined)[] = [];
    const next = () => {
      throw new Error('cannot be written');
    };
    const sink = { next, end: (error?: StatusError) => ends.push(error?.message) };
    await cluster.client.create(ConfigMaps, map('before'));
    const other = record(cluster.client, ConfigMaps, { resourceVersion: '1' });
    await watchObjects(cluster.registry, kind, '', { resourceVersion: '1' }, sink);
    await cluster.client.create(ConfigMaps, map('a'));
    await cluster.clock.advance(0);
    expect(ends.at(-1)).toContain('cannot be written');
    expect(other.seen).toEqual(['ADDED a']);
    other.stop();
  });

  test('a revision that is gone is refused before anything is sent', async () => {
    for (const name of ['a', 'b', 'c']) await cluster.client.create(ConfigMaps, map(name));
    await cluster.store.compact(3);
    const watch = record(cluster.client, ConfigMaps, { resourceVersion: '1' });
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual([]);
    expect((watch.ended() as StatusError).status).toMatchObject({ code: 410, reason: 'Expired' });
  });

  test('who was cut off between the events of one revision is told of all of them again', async () => {
    const made = await Promise.all(['a', 'b'].map((name) => cluster.client.create(ConfigMaps, map(name))));
    const changed = made.map((object) => ({ ...object, data: { now: 'both' } }));
    const { revision } = await cluster.store.commit(
      changed.map((object) => ({
        type: 'put',
        key: { resource: '/configmaps', namespace: 'default', name: object.metadata.name! },
        object,
      })),
    );
    const watch = record(cluster.client, ConfigMaps, { resourceVersion: String(revision) });
    const one = record(cluster.client, ConfigMaps, { namespace: 'none', resourceVersion: String(revision) });
    await cluster.client.create(ConfigMaps, map('c'));
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual(['MODIFIED a', 'MODIFIED b', 'ADDED c']);
    expect(one.seen).toEqual([]);
  });

  test('all watchers of an event see the same object', async () => {
    const one = record(cluster.client, ConfigMaps, {});
    const two = record(cluster.client, ConfigMaps, { labelSelector: '!none' });
    await cluster.clock.advance(0);
    await cluster.client.create(ConfigMaps, map('a'));
    await cluster.clock.advance(0);
    expect(one.events[0]!.object).toBe(two.events[0]!.object);
    one.stop();
    two.stop();
  });
});
