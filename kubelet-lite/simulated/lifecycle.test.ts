import { Leases, Nodes, parseYaml, seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import { PODS } from '../pod/api.js';
import { MemoryClient } from '../testing/memory-client.js';
import { type Lifecycles, NO_LIFECYCLES } from './lifecycle.js';
import { parseLifecycles } from './lifecycle-file.js';
import { startSimulatedNodes } from './simulated-nodes.js';

async function cluster(lifecycles: Lifecycles = NO_LIFECYCLES, count = 1) {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  const starting = startSimulatedNodes({
    client,
    clock,
    random: seededRandom(1),
    logger: silentLogger,
    count,
    lifecycles,
  });
  await clock.advance(1);
  const nodes = await starting;
  const make = (name: string, annotations: Record<string, string> = {}, labels: Record<string, string> = {}) =>
    client.create(PODS, {
      metadata: { namespace: 'default', name, annotations, labels },
      spec: { nodeName: 'simulated-0', containers: [{ name: 'main', image: 'web:1' }] },
      status: { phase: 'Pending' },
    });
  const status = async (name: string) => {
    const { status: found } = await client.get(PODS, { namespace: 'default', name });
    const [main] = found?.containerStatuses ?? [];
    return {
      phase: found?.phase,
      ready: main?.ready ?? false,
      restarts: main?.restartCount ?? 0,
      last: main?.lastState,
    };
  };
  return { clock, client, nodes, make, status };
}

const annotation = (key: string) => `simulated.trimtab.dev/${key}`;

test('annotations script when containers start, end and are ready', async () => {
  const { clock, make, status, nodes } = await cluster();
  await make('slow', { [annotation('start-delay')]: '3s' });
  await make('crash', { [annotation('exit-after')]: '5s', [annotation('exit-code')]: '3' });
  await make('oom', { [annotation('main.exit-after')]: '5s', [annotation('oom-killed')]: 'true' });
  await make('late', { [annotation('ready-after')]: '4s' });
  await make('flaps', { [annotation('unready-every')]: '5s', [annotation('unready-for')]: '2s' });
  await clock.advance(2_500);
  expect(await status('slow')).toMatchObject({ phase: 'Pending', ready: false });
  expect(await status('late')).toMatchObject({ phase: 'Running', ready: false });
  expect(await status('flaps')).toMatchObject({ ready: true });
  await clock.advance(3_000);
  expect(await status('slow')).toMatchObject({ phase: 'Running', ready: true });
  expect(await status('late')).toMatchObject({ ready: true });
  expect(await status('flaps')).toMatchObject({ ready: false });
  expect(await status('crash')).toMatchObject({ restarts: 1, last: { terminated: { exitCode: 3, reason: 'Error' } } });
  expect(await status('oom')).toMatchObject({
    restarts: 1,
    last: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
  });
  await clock.advance(3_000);
  expect(await status('flaps')).toMatchObject({ ready: true, restarts: 0 });
  await nodes.stop();
});

test('a file scripts pods by selector and namespace; annotations count more', async () => {
  const file = `
pods:
- namespaces: [default]
  selector: {matchLabels: {app: web}}
  startDelay: 1m30s
`;
  const { clock, make, status, nodes } = await cluster(parseLifecycles(parseYaml(file)));
  await make('web', {}, { app: 'web' });
  await make('quick', { [annotation('start-delay')]: '1s' }, { app: 'web' });
  await make('other');
  await clock.advance(2_000);
  expect([await status('web'), await status('quick'), await status('other')].map(({ phase }) => phase)).toEqual([
    'Pending',
    'Running',
    'Running',
  ]);
  await clock.advance(90_000);
  expect(await status('web')).toMatchObject({ phase: 'Running' });
  await nodes.stop();
});

test('nodes fall silent by rule or annotation, and come back; others go on', async () => {
  const rules = parseLifecycles(parseYaml('nodes: [{names: ["*-1"], failAfter: 20s, failFor: 40s}]'));
  const { clock, client, nodes } = await cluster(rules, 3);
  const ages = async () => {
    const leases = (await client.list(Leases)).items;
    const entries = leases.map(
      ({ metadata, spec }) => [metadata.name!, clock.now() - Date.parse(spec!.renewTime!)] as const,
    );
    return Object.fromEntries(entries) as Record<string, number>;
  };
  await client.patch(
    Nodes,
    { name: 'simulated-2' },
    { type: 'merge', body: { metadata: { annotations: { [annotation('heartbeats')]: 'false' } } } },
  );
  await clock.advance(50_000);
  const silent = await ages();
  expect(silent['simulated-0']).toBeLessThan(11_000);
  expect(silent['simulated-1']).toBeGreaterThan(25_000);
  expect(silent['simulated-2']).toBeGreaterThan(45_000);
  await client.patch(
    Nodes,
    { name: 'simulated-2' },
    { type: 'merge', body: { metadata: { annotations: { [annotation('heartbeats')]: null } } } },
  );
  await clock.advance(15_000);
  expect(Math.max(...Object.values(await ages()))).toBeLessThan(11_000);
  await nodes.stop();
});

test('leases are renewed spread over their time', async () => {
  const { clock, client, nodes } = await cluster(NO_LIFECYCLES, 100);
  await clock.advance(12_000);
  const times = (await client.list(Leases)).items.map(({ spec }) => Date.parse(spec!.renewTime!));
  const inOneSecond = Math.max(...times.map((t) => times.filter((u) => Math.abs(u - t) <= 500).length));
  expect(inOneSecond).toBeLessThanOrEqual(12);
  await nodes.stop();
});

test.each([
  ['pods: [{exitafter: 1s}]', 'pods[0].exitafter: no such field'],
  ['pods: [{exitAfter: soon}]', 'pods[0].exitAfter: "soon" is not a duration'],
  ['pods: [{exitCode: 256}]', 'pods[0].exitCode: 256 is not 0 to 255'],
  ['nodes: [{failAfter: 1s}]', 'nodes[0].names: expected a list of names'],
  ['- a', 'the file: expected a map'],
])('what is wrong in a file is named: %s', (text, message) => {
  expect(() => parseLifecycles(parseYaml(text))).toThrow(message);
});
