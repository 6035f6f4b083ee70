import { ConfigMaps, type KubeObject } from '@trimtab/machinery';
import type { Store, StoreEvent } from '@trimtab/store';
import fc from 'fast-check';
import { Subject } from 'rxjs';
import { localClientOf } from '../server.js';
import { FieldIndexes } from './field-index.js';
import { allowAll, object, record, testCluster } from './testing.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const admin = { name: 'tester', groups: ['system:masters'] };
const namesOf = (list: { readonly items: readonly KubeObject[] }) =>
  list.items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);

const label = fc.constantFrom('a', 'b', 'c');
const labels = fc.record({ app: label, tier: label }, { requiredKeys: [] });
const place = fc.record({ namespace: fc.constantFrom('x', 'y'), name: fc.constantFrom('m', 'n', 'o', 'p') });
const selector = fc.oneof(
  label.map((value) => `app=${value}`),
  fc.tuple(label, label).map(([app, tier]) => `app=${app},tier in (${tier})`),
  fc.tuple(label, label).map(([app, tier]) => `app==${app},tier!=${tier}`),
  label.map((value) => `!app,tier=${value}`),
);
const write = fc.record({ do: fc.constant('write' as const), place, labels });
const step = fc.oneof(
  write,
  write,
  fc.record({ do: fc.constant('delete' as const), place }),
  fc.record({ do: fc.constant('watch' as const), selector, namespace: fc.constantFrom('', 'x') }),
  fc.record({ do: fc.constant('leave' as const), which: fc.nat(20) }),
  fc.record({ do: fc.constant('list' as const), selector, namespace: fc.constantFrom('', 'x') }),
);

test('by an index of labels lists and watches give what looking at every object gives', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), async (steps) => {
      const { registry, client, store } = await testCluster();
      const clients = [1, Number.POSITIVE_INFINITY].map((worth) =>
        localClientOf({ ...registry, indexes: new FieldIndexes(store, worth) }, allowAll, admin),
      );
      const watches: { readonly both: readonly ReturnType<typeof record>[] }[] = [];
      for (const each of steps) {
        if (each.do === 'write') {
          const given = object('ConfigMap', { ...each.place, labels: each.labels });
          await client.create(ConfigMaps, given).catch(() => client.update(ConfigMaps, given));
        } else if (each.do === 'delete') await client.delete(ConfigMaps, each.place).catch(() => {});
        else if (each.do === 'leave') {
          for (const watch of watches[each.which]?.both ?? []) watch.stop();
        } else {
          const options = { labelSelector: each.selector, ...(each.namespace ? { namespace: each.namespace } : {}) };
          if (each.do === 'watch') watches.push({ both: clients.map((one) => record(one, ConfigMaps, options)) });
          else {
            const [indexed, plain] = await Promise.all(clients.map((one) => one.list(ConfigMaps, options)));
            expect(namesOf(indexed!)).toEqual(namesOf(plain!));
          }
        }
        await turn();
      }
      for (const { both } of watches) {
        const [indexed, plain] = both.map(({ events }) =>
          events.map(({ type, object: { metadata } }) => [
            type,
            metadata.namespace,
            metadata.name,
            metadata.resourceVersion,
          ]),
        );
        expect(indexed).toEqual(plain);
        for (const watch of both) watch.stop();
      }
    }),
    { numRuns: 40 },
  );
});

test('an index of a label is there while many watch by it, and objects that come into it and leave it are told of as such', async () => {
  const { registry, client, store } = await testCluster();
  const kind = registry.kinds.find('', 'v1', 'configmaps')!;
  const indexes = new FieldIndexes(store, 3);
  const selection = { everything: false, matches: () => true, labels: [{ key: 'app', value: 'a' }] };
  const leave = [1, 2, 3].map(() => indexes.watching(kind, selection));
  const found = indexes.find(kind, selection)!;
  const seen: string[] = [];
  found.index
    .watch('a', store.revision)
    .subscribe(({ type, object: { metadata } }) => seen.push(`${type} ${metadata.name}`));
  const write = (name: string, app: string) =>
    client.create(ConfigMaps, object('ConfigMap', { name, namespace: 'default', labels: { app } }));
  await write('one', 'a');
  await write('two', 'b');
  expect(found.index.count('a')).toBe(1);
  await client.patch(
    ConfigMaps,
    { namespace: 'default', name: 'one' },
    { type: 'merge', body: { metadata: { labels: { app: 'b' } } } },
  );
  await client.patch(ConfigMaps, { namespace: 'default', name: 'one' }, { type: 'merge', body: { data: { k: 'v' } } });
  expect([seen, found.index.count('a'), found.index.count('b')]).toEqual([['put one', 'put one'], 0, 2]);
  leave[0]!();
  leave[0]!();
  leave[1]!();
  expect(indexes.find(kind, selection)).toBeDefined();
  leave[2]!();
  expect(indexes.find(kind, selection)).toBeUndefined();
});

test('who watches by an index is told when the store has nothing more to tell', async () => {
  const { registry, store } = await testCluster();
  const events = new Subject<StoreEvent>();
  const ending = { revision: 0, snapshot: () => store.snapshot(), watch: () => events } as unknown as Store;
  const kind = registry.kinds.find('', 'v1', 'configmaps')!;
  const indexes = new FieldIndexes(ending, 1);
  const selection = { everything: false, matches: () => true, labels: [{ key: 'app', value: 'a' }] };
  indexes.watching(kind, selection);
  const ended = new Promise((resolve) => {
    indexes.find(kind, selection)!.index.watch('a', 0).subscribe({ error: resolve });
  });
  events.error(new Error('gone'));
  expect(await ended).toEqual(new Error('gone'));
});
