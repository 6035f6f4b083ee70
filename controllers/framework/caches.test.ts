import { auditCache } from '@trimtab/client';
import {
  type ConfigMap,
  ConfigMaps,
  type KubeObject,
  type Logger,
  type Pod,
  Pods,
  type ResourceType,
  Secrets,
  seededRandom,
  silentLogger,
  VirtualClock,
} from '@trimtab/machinery';
import { filter } from 'rxjs';
import { audits } from './audits.js';
import {
  apply,
  type ControllerDefinition,
  call,
  changeStatus,
  controller,
  controllerReference,
  done,
  index,
  MemoryClient,
  MOST_UNSCOPED,
  operator,
  PrometheusMetrics,
  plan,
  projected,
  runInMemory,
  runOperator,
  type View,
  watch,
} from './index.js';
import { key, type Site, Sites, site } from './testing/sites.js';

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
    reconcile: (view) => {
      view.list(Secrets).map(({ data }) => data);
      view.list(ConfigMaps).map(({ data }) => data);
      return [];
    },
  });
  await client.create(Sites, site(1));
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

describe('row 4: what only metadata is read of is watched by its metadata', () => {
  const run = async (
    definition: Parameters<typeof controller<Site>>[0],
    before: (client: MemoryClient) => Promise<unknown> = async () => {},
  ) => {
    const clock = new VirtualClock();
    const client = new MemoryClient(clock);
    const asked: string[] = [];
    const note = (verb: string, resource: string, options: { readonly metadataOnly?: boolean }) =>
      void asked.push(`${verb} ${resource}${options.metadataOnly ? ' (metadata)' : ''}`);
    const { call, watch } = { call: client.call.bind(client), watch: client.watch.bind(client) };
    client.call = (c) => {
      if (c.verb === 'list') note('list', c.type.resource, c.options);
      return call(c);
    };
    client.watch = (type, options) => {
      note(options?.sendInitialEvents ? 'list' : 'watch', type.resource, options ?? {});
      return watch(type, options);
    };
    await client.create(Sites, site(2));
    for (const [name, labels] of [
      ['a', { site: 's' }],
      ['b', {}],
    ] as const)
      await client.create(ConfigMaps, { metadata: { namespace: 'ns', name, labels }, data: { big: 'x'.repeat(100) } });
    await before(client);
    const warned: unknown[] = [];
    const logger: Logger = { ...silentLogger, warn: (fields) => void warned.push(fields) };
    const t = await runInMemory([controller<Site>(definition)], { clock, client, metadataFirst: true, logger });
    await t.pass(1_000);
    const of = (resource: string) => asked.filter((each) => each.includes(resource));
    const cached = (type: typeof ConfigMaps) => t.informers.all().filter((i) => i.type.resource === type.resource);
    return { ...t, of, cached, warned };
  };
  const mapNames = (view: { list(type: typeof ConfigMaps): readonly KubeObject[] }) =>
    view.list(ConfigMaps).map(({ metadata }) => metadata.name!);

  test('row 4: nothing more is asked for or kept, and every change is told', async () => {
    const seen: string[][] = [];
    const t = await run({
      name: 'c',
      for: Sites,
      watches: [watch(ConfigMaps, ({ metadata }) => (metadata.labels?.site ? [key] : []))],
      reconcile: (view) => {
        seen.push(mapNames(view));
        return [];
      },
    });
    expect(t.of('configmaps')).toEqual(['list configmaps (metadata)']);
    expect(seen).toEqual([['a', 'b']]);
    await t.client.create(ConfigMaps, {
      metadata: { namespace: 'ns', name: 'c', labels: { site: 's' } },
      data: { a: '' },
    });
    await t.pass();
    expect(seen.at(-1)).toEqual(['a', 'b', 'c']);
    expect(t.cached(ConfigMaps).map((i) => i.list().map((map) => Object.keys(map)))).toEqual([
      [1, 2, 3].map(() => ['apiVersion', 'kind', 'metadata']),
    ]);
  });

  // Each needs more than metadata, in its own way; none may ever see the lack of it.
  const wanting: Readonly<Record<string, (map: ConfigMap) => unknown>> = {
    'a field': (map) => map.data,
    'whether there is a field': (map) => 'data' in map,
    'whether it has a field of its own': (map) => Object.hasOwn(map, 'data'),
    'all its fields': (map) => Object.keys(map).includes('data'),
    'all of it': (map) => ({ ...map }).data,
    'a copy of it': (map) => structuredClone(map).data,
    'its JSON': (map) => JSON.stringify(map).includes('data'),
    'a field, whose absence it survives': (map) => {
      try {
        return map.data;
      } catch {
        return undefined;
      }
    },
  };
  for (const [what, read] of Object.entries(wanting))
    test(`row 4: the first decision that reads ${what} is made again with everything, and no other is carried out`, async () => {
      const t = await run({
        name: 'c',
        for: Sites,
        reads: [ConfigMaps],
        permissions: [],
        reconcile: (view) => {
          const found = view.list(ConfigMaps).filter((map) => read(map));
          return view.object
            ? changeStatus(Sites, view.object, (draft) => {
                draft.status = { ...draft.status, ready: found.length };
              })
            : [];
        },
      });
      expect(t.of('configmaps')).toEqual(['list configmaps (metadata)', 'list configmaps']);
      expect((await t.client.get(Sites, key)).status).toEqual({ ready: 2 });
      expect(t.client.writes.filter((write) => write.startsWith('patch'))).toHaveLength(1);
      expect(t.warned).toEqual([]);
      // What is there now stays there, and what comes is whole.
      await t.client.patch(
        ConfigMaps,
        { namespace: 'ns', name: 'a' },
        { type: 'merge', body: { data: { more: '1' } } },
      );
      await t.pass();
      expect(t.cached(ConfigMaps)[0]!.get('ns/a')).toMatchObject({ data: { more: '1' } });
      expect(t.of('configmaps')).toHaveLength(2);
    });

  test('row 4: mappings, predicates and indexes that read more get it, and no change is lost to them', async () => {
    const seen: string[] = [];
    await run({
      name: 'c',
      for: Sites,
      where: ({ object }) => object.spec.pods > 1,
      watches: [
        watch(ConfigMaps, ({ data }) => (data?.big ? [{ namespace: 'ns', name: `for-${data.big.length}` }] : [])),
      ],
      indexes: [index(Sites, { pods: ({ spec }) => [String(spec.pods)] })],
      reconcile: (view) => {
        seen.push(`${view.key.name} ${view.byIndex(Sites, 'pods', '2').length}`);
        return [];
      },
    });
    expect([...new Set(seen)].sort()).toEqual(['for-100 1', 's 1']);
  });

  test('row 4: own writes made while whole objects are on their way are not lost sight of', async () => {
    const counts: number[] = [];
    const t = await run({
      name: 'c',
      for: Sites,
      owns: [ConfigMaps],
      reconcile: (view) => {
        const { object } = view;
        if (!object) return [];
        counts.push(view.owned(ConfigMaps).length);
        return [0, 1, 2].map((n) =>
          apply(ConfigMaps, {
            metadata: { namespace: 'ns', name: `o${n}`, ownerReferences: [controllerReference(Sites, object)] },
            data: { n: String(n) },
          }),
        );
      },
    });
    t.running.runners[0]!.enqueue('ns/s');
    await t.pass(1_000);
    expect(counts[0]).toBe(0);
    expect(new Set(counts.slice(1))).toEqual(new Set([3]));
    // To tell that there is nothing to apply takes the whole object.
    expect(t.client.writes.filter((write) => write.startsWith('patch'))).toHaveLength(3);
    expect(t.cached(ConfigMaps)[0]!.get('ns/o1')).toMatchObject({ data: { n: '1' } });
  });

  test('row 4: finalizers come and go with metadata alone', async () => {
    const cleaned: string[] = [];
    const t = await run({
      name: 'c',
      for: Sites,
      cleanup: ({ key: { name } }) => {
        cleaned.push(name);
        return [done()];
      },
      reconcile: () => [],
    });
    expect((await t.client.get(Sites, key)).metadata.finalizers).toEqual(['cleanup.trimtab.dev/c']);
    await t.client.delete(Sites, key);
    await t.pass();
    expect([cleaned, t.client.all(Sites)]).toEqual([['s'], []]);
    expect(t.of('sites')).toEqual(['list sites (metadata)']);
  });

  test('row 4: a plan reads what it needs too', async () => {
    const t = await run({ name: 'idle', for: Sites, reads: [ConfigMaps], reconcile: () => [] });
    const planned = plan(
      [
        controller<Site>({
          name: 'c',
          for: Sites,
          reads: [ConfigMaps],
          reconcile: (view) => [
            call(
              'say',
              view.list(ConfigMaps).map(({ data }) => data?.big?.length),
            ),
          ],
        }),
      ],
      { ...t, random: seededRandom(1) },
    );
    await t.pass(1_000);
    expect((await planned).map(({ others }) => others)).toEqual([['call say [100,100]']]);
  });
});

describe('row 5: what a transform leaves out is never silently undefined', () => {
  const pod = (name: string): Pod => ({
    metadata: { namespace: 'ns', name, managedFields: [] },
    spec: { nodeName: 'n1', containers: [{ name: 'web', image: 'nginx', env: [{ name: 'A', value: 'b' }] }] },
    status: { phase: 'Running', podIP: '10.0.0.1' },
  });
  const deciding = async (caching: Partial<ControllerDefinition>, read: (view: View<Site>) => unknown) => {
    const got: unknown[] = [];
    const definition = controller<Site>({
      name: 'site',
      for: Sites,
      reads: [Pods],
      ...(caching as object),
      reconcile: (view) => {
        got.push(view.failure ? view.failure.error.message : read(view));
        return [];
      },
    });
    const clock = new VirtualClock();
    const client = new MemoryClient(clock);
    await client.create(Sites, site(1));
    await client.create(Pods, pod('p'));
    const t = await runInMemory([definition], { clock, client });
    await t.pass(100);
    return { ...t, got };
  };

  test('row 5: of a projection the compiler knows what is left; who goes round it is told at run time', async () => {
    const Places = projected(Pods, { spec: { nodeName: true, containers: { name: true } }, status: { phase: true } });
    const t = await deciding({ reads: [Places] }, (view) => {
      const [found] = view.list(Places);
      // @ts-expect-error -- not among what is kept
      const ip = () => found!.status!.podIP;
      // @ts-expect-error -- nor is this, in a list
      const image = () => found!.spec!.containers[0]!.image;
      const error = (read: () => unknown) => {
        try {
          return read();
        } catch (thrown) {
          return String(thrown);
        }
      };
      return [
        found!.spec!.nodeName,
        found!.spec!.containers.map(({ name }) => name),
        found!.status!.phase,
        found!.metadata.deletionTimestamp,
        error(ip),
        error(image),
        error(() => 'podIP' in found!.status!),
      ];
    });
    const out = (path: string) => expect.stringContaining(`site reads ${path} of pods p, which its caching leaves out`);
    expect(t.got).toEqual([
      ['n1', ['web'], 'Running', undefined, out('status.podIP'), out('spec.containers.0.image'), out('status.podIP')],
    ]);
    const kept = t.informers
      .all()
      .find(({ type }) => type.resource === 'pods')!
      .list();
    expect(kept).toMatchObject([
      { spec: { nodeName: 'n1', containers: [{ name: 'web' }] }, status: { phase: 'Running' } },
    ]);
    expect(JSON.stringify(kept)).not.toMatch(/nginx|podIP|managedFields/);
  });

  test('row 5: a projection and the whole are two caches, also of two controllers in one process', async () => {
    const Places = projected(Pods, { spec: { nodeName: true } });
    const t = await deciding({ reads: [Places, Pods] }, (view) => [
      view.list(Places)[0]!.spec!.nodeName,
      view.list(Pods)[0]!.status!.podIP,
    ]);
    expect(t.got).toEqual([['n1', '10.0.0.1']]);
  });

  test('row 5: what any transform has left out of an object is an error where it is read, what never was there is not', async () => {
    const withoutEnv = (object: KubeObject): KubeObject => {
      const { spec, status: _, ...rest } = object as Pod;
      return { ...rest, spec: { ...spec, containers: spec!.containers.map(({ env: __, ...c }) => c) } } as Pod;
    };
    const caching = { caching: [{ type: Pods as ResourceType, transform: withoutEnv }] };
    const read = (of: (found: Pod) => unknown) => async () =>
      (await deciding(caching, (view) => of(view.list(Pods)[0]!))).got;
    expect(await read((found) => [found.spec!.containers[0]!.image, found.spec!.hostname])()).toEqual([
      ['nginx', undefined],
    ]);
    const inside = await read((found) => found.spec!.containers[0]!.env)();
    expect(inside[0]).toContain('site reads spec.containers.0.env of pods p, which its caching leaves out');
    expect((await read((found) => found.status)())[0]).toContain('site reads status of pods p');
  });

  test('row 5: nor are the specs of what is declared to be watched by metadata, not even in an index', async () => {
    const caching = { caching: [{ type: Pods as ResourceType, scope: { metadataOnly: true } }] };
    const t = await deciding(caching, (view) => view.list(Pods)[0]!.spec);
    expect(t.got[0]).toContain('site reads spec of pods p');
    const indexes = [index(Pods, { image: ({ spec }) => spec!.containers.map(({ image }) => image!) })];
    const indexed = await deciding({ ...caching, indexes }, (view) => view.byIndex(Pods, 'image', 'nginx'));
    expect(indexed.got[0]).toContain('site reads spec of pods p');
  });
});

test('row 1: every read says as of when it is, and how long ago the server was heard of', async () => {
  const seen: unknown[] = [];
  const definition = controller<Site>({
    name: 'c',
    for: Sites,
    reads: [ConfigMaps],
    reconcile: (view) => {
      seen.push([view.freshness().asOf === view.asOf, view.freshness(ConfigMaps)]);
      return [];
    },
  });
  const t = await runInMemory([definition]);
  const map = await t.client.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'm' } });
  await t.pass(5_000);
  await t.client.create(Sites, site(1));
  await t.pass();
  expect(seen).toEqual([[true, { asOf: map.metadata.resourceVersion, ageMs: 5_000 }]]);
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
