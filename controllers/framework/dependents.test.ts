import { ConfigMaps, Pods, Secrets } from '@trimtab/machinery';
import {
  controller,
  dependent,
  dependents,
  dependentsMachine,
  machineDiagram,
  runInMemory,
  type View,
} from './index.js';
import { key, type Site, Sites, site } from './testing/sites.js';

const parts = [
  dependent<Site, { metadata: { name: string } }>({
    name: 'pods',
    type: Pods as never,
    after: ['settings', 'password'],
    desired: ({ spec }) => Array.from({ length: spec.pods }, (_, i) => ({ metadata: { name: `s-${i}` } })),
    ready: (pods) => pods.every((pod) => (pod as { status?: { phase?: string } }).status?.phase === 'Running'),
  }),
  dependent<Site, { metadata: object; data: object }>({
    name: 'settings',
    type: ConfigMaps as never,
    when: ({ spec }) => spec.theme !== 'none',
    desired: ({ spec }) => ({ metadata: {}, data: { theme: spec.theme ?? 'light' } }),
  }),
  dependent<Site, { metadata: object }>({
    name: 'password',
    type: Secrets as never,
    present: (_, view) =>
      [view.get(Secrets, { namespace: 'ns', name: 'given' })].filter((s) => s !== undefined) as never,
  }),
];

test('row 20: made when what they need is ready, bulk, conditional and read-only, and taken away in reverse', async () => {
  const waiting: string[] = [];
  const definition = controller<Site>({
    name: 'c',
    for: Sites,
    owns: [ConfigMaps, Pods],
    watches: [{ type: Secrets as never, to: () => [key] }],
    reconcile: (view) => {
      const { effects, ready, waitingFor } = dependents(Sites, view as View<Site>, parts);
      waiting.push(ready ? 'ready' : waitingFor.join());
      return effects;
    },
  });
  const t = await runInMemory([definition]);
  const pods = () => t.client.all(Pods).map(({ metadata }) => metadata.name);
  await t.client.create(Sites, site(2));
  await t.pass();
  expect([pods(), t.client.all(ConfigMaps).length, waiting.at(-1)]).toEqual([[], 1, 'password,pods']);
  await t.client.create(Secrets, { metadata: { namespace: 'ns', name: 'given' } });
  await t.pass();
  expect(pods()).toEqual(['s-0', 's-1']);
  for (const name of pods())
    await t.client.patch(
      Pods,
      { namespace: 'ns', name: name! },
      { type: 'merge', body: { status: { phase: 'Running' } } },
      { subresource: 'status' },
    );
  await t.pass();
  expect(waiting.at(-1)).toBe('ready');
  const writes = t.client.writes.length;
  t.running.runners[0]!.enqueue('ns/s');
  await t.pass();
  expect(t.client.writes.length).toBe(writes);
  await t.client.patch(Sites, key, { type: 'merge', body: { spec: { pods: 1, theme: 'none' } } });
  await t.pass();
  expect([pods(), t.client.all(ConfigMaps).length]).toEqual([['s-0'], 0]);
});

test('row 20: the same as a statechart, in which every part is a region', async () => {
  const definition = controller<Site>({
    name: 'c',
    for: Sites,
    owns: [ConfigMaps, Pods],
    watches: [{ type: Secrets as never, to: () => [key] }],
    machine: dependentsMachine(Sites, parts),
  });
  const t = await runInMemory([definition]);
  const state = () => JSON.parse(t.running.runners[0]!.states.get('ns/s')!);
  await t.client.create(Sites, site(2));
  await t.pass();
  expect(state()).toEqual({ pods: 'waiting', settings: 'ready', password: 'making' });
  await t.client.create(Secrets, { metadata: { namespace: 'ns', name: 'given' } });
  await t.pass();
  expect([state(), t.client.all(Pods).length]).toEqual([{ pods: 'making', settings: 'ready', password: 'ready' }, 2]);
  const drawn = machineDiagram(definition.machine!);
  for (const part of ['pods', 'settings', 'password']) expect(drawn).toContain(`state "${part}"`);
});

test('row 20: what needs itself, or what is not there, is refused in words', () => {
  const view = { object: site(1) } as unknown as View<Site>;
  const of = (name: string, ...after: string[]) => dependent<Site, never>({ name, type: Pods as never, after });
  expect(() => dependents(Sites, view, [of('a', 'b'), of('b', 'a')])).toThrow('need each other: a → b → a');
  expect(() => dependents(Sites, view, [of('a', 'x')])).toThrow('dependent a is after x, which there is not');
});
