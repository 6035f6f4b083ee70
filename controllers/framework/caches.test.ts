import { auditCache } from '@trimtab/client';
import { ConfigMaps, type Logger, Secrets, seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import { filter } from 'rxjs';
import { audits } from './audits.js';
import {
  controller,
  index,
  MemoryClient,
  MOST_UNSCOPED,
  operator,
  PrometheusMetrics,
  runInMemory,
  runOperator,
} from './index.js';
import { type Site, Sites, site } from './testing/sites.js';

/** What controllers know of the cluster, and what that costs. */
const pass = async (clock: VirtualClock, ms = 0) => {
  for (let i = 0; i < 20; i++) await clock.advance(0);
  await clock.advance(ms);
};

test('row 2: an index that is declared follows every change, and one that is not is no empty answer', async () => {
  const seen: string[][] = [];
  let unknown = '';
  const definition = controller<Site>({
    name: 'c',
    for: Sites,
    reads: [ConfigMaps],
    indexes: [index(ConfigMaps, { colour: ({ data }) => (data?.colour ? [data.colour] : []) })],
    reconcile: (view) => {
      seen.push(view.byIndex(ConfigMaps, 'colour', 'red').map(({ metadata }) => metadata.name!));
      try {
        view.byIndex(ConfigMaps, 'shape', 'round');
      } catch (error) {
        unknown = String(error);
      }
      return [];
    },
  });
  const t = await runInMemory([definition]);
  const map = (name: string) => ({ namespace: 'ns', name });
  const look = async () => {
    t.running.runners[0]!.enqueue('ns/s');
    await t.pass();
    return seen.at(-1)!.sort();
  };
  await t.client.create(Sites, site(1));
  for (const [name, colour] of [
    ['a', 'red'],
    ['b', 'blue'],
    ['c', 'red'],
  ] as const)
    await t.client.create(ConfigMaps, { metadata: map(name), data: { colour } });
  expect(await look()).toEqual(['a', 'c']);
  await t.client.patch(ConfigMaps, map('a'), { type: 'merge', body: { data: { colour: 'blue' } } });
  await t.client.patch(ConfigMaps, map('b'), { type: 'merge', body: { data: { colour: 'red' } } });
  await t.client.delete(ConfigMaps, map('c'));
  expect(await look()).toEqual(['b']);
  expect(unknown).toContain('no index "shape"');
});

test('row 3: a cache of all Secrets that is crowded says so, and how to have less; a scoped one does not', async () => {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  for (let i = 0; i <= MOST_UNSCOPED; i++) {
    await client.create(Secrets, { metadata: { namespace: 'ns', name: `s${i}` } });
    await client.create(ConfigMaps, { metadata: { namespace: 'ns', name: `m${i}` } });
  }
  const warned: unknown[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields, message) => void warned.push([fields, message]) };
  const reader = controller<Site>({
    name: 'c',
    for: Sites,
    reads: [Secrets, ConfigMaps],
    caching: [{ type: ConfigMaps, scope: { namespace: 'ns' } }],
    reconcile: () => [],
  });
  const app = operator({ name: 'c', controllers: [reader] });
  const starting = runOperator(app, { client, clock, random: seededRandom(1), logger });
  await pass(clock);
  const running = await starting;
  await pass(clock, 1_000);
  expect(warned).toEqual([[{ resource: 'secrets', objects: MOST_UNSCOPED + 1 }, expect.stringContaining('caching:')]]);
  const stopped = running.stop();
  await pass(clock, 1_000);
  await stopped;
});

test('row 6: an audit finds what a watch has lost, and nothing where it has lost nothing', async () => {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  let losing = false;
  const watch = client.watch.bind(client);
  client.watch = (type, options) => watch(type, options).pipe(filter(() => !losing));
  const reader = controller<Site>({ name: 'c', for: Sites, reads: [ConfigMaps], reconcile: () => [] });
  const t = await runInMemory([reader], { clock, client });
  const create = (name: string) => t.client.create(ConfigMaps, { metadata: { namespace: 'ns', name } });
  for (const name of ['changed', 'deleted', 'same']) await create(name);
  await t.pass();
  const audit = async () => {
    const done = auditCache(t.informers.get(ConfigMaps), t);
    await t.pass(2_000);
    return done;
  };
  expect(await audit()).toEqual({ missed: [], stale: [], lingering: [], behind: false });
  // A watch that loses three events and then goes on.
  losing = true;
  await create('new');
  await t.client.patch(ConfigMaps, { namespace: 'ns', name: 'changed' }, { type: 'merge', body: { data: { a: 'b' } } });
  await t.client.delete(ConfigMaps, { namespace: 'ns', name: 'deleted' });
  await t.pass();
  losing = false;
  await create('later');
  expect(await audit()).toEqual({
    missed: ['ns/new'],
    stale: ['ns/changed'],
    lingering: ['ns/deleted'],
    behind: false,
  });

  const metrics = new PrometheusMetrics();
  const told: unknown[] = [];
  const logger: Logger = { ...silentLogger, error: (fields) => void told.push(fields) };
  const stop = audits(3_600_000, { ...t, logger, metrics });
  await t.pass(3_800_000);
  // Here nothing tells of Sites, not even a bookmark.
  expect(told).toEqual([
    { resource: 'sites' },
    { resource: 'configmaps', missed: ['ns/new'], stale: ['ns/changed'], lingering: ['ns/deleted'] },
  ]);
  expect(metrics.text()).toContain('trimtab_cache_drift_objects{resource="configmaps"} 3');
  stop();
});
