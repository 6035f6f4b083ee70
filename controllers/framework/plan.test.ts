import { ConfigMaps, Events, notFound, seededRandom } from '@trimtab/machinery';
import {
  apply,
  call,
  changeStatus,
  controller,
  countedClient,
  event,
  PrometheusMetrics,
  plan,
  printPlan,
  remove,
  requeueAfter,
  runInMemory,
} from './index.js';
import { key, type Site, Sites, site } from './testing/sites.js';

const definition = controller<Site>({
  name: 'c',
  for: Sites,
  owns: [ConfigMaps],
  reads: [ConfigMaps],
  reconcile: ({ object, list }) =>
    object
      ? [
          apply(ConfigMaps, { metadata: { namespace: 'ns', name: 'new' }, data: { a: '1' } }),
          ...list(ConfigMaps)
            .filter((map) => map.metadata.name === 'old')
            .map((map) => remove(ConfigMaps, map)),
          ...changeStatus(Sites, object, (draft) => {
            draft.status = { ready: 3 };
          }),
          event(object, 'Normal', 'Told', 'something'),
          call('dns', { host: 'x' }),
          requeueAfter(5_000),
        ]
      : [],
});

test('row 36: a plan shows every difference and the next state, and writes nothing', async () => {
  const t = await runInMemory([]);
  await t.client.create(Sites, site(1));
  await t.client.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'old' } });
  await t.pass();
  const before = t.client.writes.length;
  t.informers.get(Sites);
  const planning = plan([definition], { ...t, random: { next: () => 0, bytes: () => new Uint8Array() } });
  await t.pass();
  expect(printPlan(await planning).split('\n')).toEqual([
    'c ns/s',
    '  + apply configmaps ns/new',
    '  - delete configmaps ns/old',
    '  ~ patch sites/status ns/s',
    '      add /status {"ready":3}',
    '  · event Normal Told: something',
    '  · call dns {"host":"x"}',
    '  · look again in 5 s',
    '3 writes planned; nothing was written.',
  ]);
  expect(t.client.writes.length).toBe(before);
  expect(t.client.all(Events)).toEqual([]);
  expect(t.client.find(Sites, key)?.status).toBeUndefined();
});

test('row 36: a plan does not wait for kinds that are not there yet, it says that the operator would', async () => {
  const t = await runInMemory([]);
  const { call: answer } = t.client;
  t.client.call = (asked) =>
    'type' in asked && asked.type.resource === 'sites'
      ? Promise.reject(notFound(Sites, ''))
      : answer.call(t.client, asked);
  const planned = await plan([definition], { ...t, random: seededRandom(1) });
  expect(printPlan(planned)).toBe(
    'c *\n  · wait for sites.example.com: the cluster has no such kind yet\nNothing to write.',
  );
});

test('row 30: metrics carry controller-runtime’s names, and say how fresh the caches are', async () => {
  const metrics = new PrometheusMetrics();
  const t = await runInMemory([definition], { metrics, handlers: { dns: () => {} } });
  await t.client.create(Sites, site(1));
  // The same kind in another form is another cache, and told of with the first.
  t.informers.get(Sites, { scope: { metadataOnly: true } });
  t.informers.start();
  await t.pass(2_000);
  const text = metrics.text(t.informers);
  for (const line of [
    'trimtab_cache_objects{resource="sites"} 2',
    'controller_runtime_reconcile_total{controller="c",result="requeue_after"} 2',
    'controller_runtime_reconcile_time_seconds_count{controller="c"} 2',
    'controller_runtime_active_workers{controller="c"} 0',
    'controller_runtime_max_concurrent_reconciles{controller="c"} 5',
    'workqueue_depth{name="c",controller="c"} 0',
    'workqueue_queue_duration_seconds_bucket{name="c",controller="c",le="+Inf"} 2',
    'workqueue_work_duration_seconds_count{name="c",controller="c"} 2',
    'trimtab_writes_total{controller="c",verb="apply",resource="configmaps"} 1',
    'trimtab_cache_staleness_seconds{resource="sites"} 2',
    'trimtab_convergence_seconds_count{controller="c"} 1',
    '# TYPE workqueue_adds_total counter',
  ])
    expect(text.split('\n')).toContain(line);
});

test('row 30: failures, retries, requests and what is under way have their names too', async () => {
  const metrics = new PrometheusMetrics();
  let failure: Error | undefined = new TypeError('a bug');
  let release = () => {};
  const handlers = { hang: () => new Promise<void>((resolve) => (release = resolve)) };
  const failing = controller<Site>({
    name: 'c',
    for: Sites,
    retries: 1,
    reconcile: () => {
      if (failure) throw failure;
      return [call('hang')];
    },
  });
  const t = await runInMemory([failing], { metrics, handlers });
  await t.client.create(Sites, site(1));
  await t.pass(1_000);
  failure = undefined;
  await t.client.patch(Sites, key, { type: 'merge', body: { spec: { pods: 2 } } });
  await t.pass(7_000);
  const counted = countedClient(t.client, t.clock, metrics);
  await counted.get(Sites, key);
  await expect(counted.get(Sites, { namespace: 'ns', name: 'none' })).rejects.toThrow('not found');
  metrics.leading('c', true);
  const lines = metrics.text(t.informers, t.running.runners).split('\n');
  for (const line of [
    'controller_runtime_reconcile_errors_total{controller="c"} 2',
    'controller_runtime_reconcile_panics_total{controller="c"} 2',
    'controller_runtime_terminal_reconcile_errors_total{controller="c"} 1',
    'workqueue_retries_total{name="c",controller="c"} 1',
    'workqueue_unfinished_work_seconds{name="c",controller="c"} 7',
    'workqueue_longest_running_processor_seconds{name="c",controller="c"} 7',
    'rest_client_requests_total{code="200",method="GET"} 1',
    'rest_client_requests_total{code="404",method="GET"} 1',
    'leader_election_master_status{name="c"} 1',
  ])
    expect(lines).toContain(line);
  release();
  await t.pass();
});
