import { ConfigMaps, forbidden, Pods, serviceUnavailable, VirtualClock } from '@trimtab/machinery';
import { setup } from 'xstate';
import { changeStatus, concurrently, controller, removeAll, runInMemory, type View, WorkQueue } from './index.js';
import { key, type Site, Sites, site } from './testing/sites.js';

interface Input {
  readonly view: View<Site>;
  readonly observed: number;
}

test('what was read live is handed to the machine; a read that fails is a failed evaluation, spaced as told', async () => {
  const machine = setup({
    types: { context: {} as Input, input: {} as Input },
    guards: { empty: ({ context }) => context.observed === 0 },
    actions: {
      report: ({ context: { view, observed } }) =>
        changeStatus(Sites, view.object!, (draft) => {
          draft.status = { ready: observed };
        }),
    },
  }).createMachine({
    context: ({ input }) => input,
    initial: 'deciding',
    states: {
      deciding: { always: [{ guard: 'empty', target: 'empty' }, { target: 'full' }] },
      empty: {},
      full: { entry: 'report' },
    },
  });
  const reads: number[] = [];
  const t = await runInMemory([
    controller<Site, number>({
      name: 'observer',
      for: Sites,
      backoff: { baseMs: 1_000, capMs: 2_000 },
      observe: async (view, client) => {
        reads.push(view.now);
        return (await client.list(ConfigMaps, { namespace: 'ns' })).items.length;
      },
      machine,
    }),
  ]);
  const [{ states }] = t.running.runners as [(typeof t.running.runners)[number]];
  await t.client.create(Sites, site(0));
  await t.pass();
  expect(states.get('ns/s')).toBe('empty');
  await t.client.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'c' } });
  t.client.before = ({ verb, resource }) => {
    if (verb === 'list' && resource === 'configmaps') throw serviceUnavailable('not now');
  };
  reads.length = 0;
  await t.client.patch(Sites, key, { type: 'merge', body: { spec: { pods: 1 } } });
  await t.pass(5_500);
  expect(reads.map((at) => at - reads[0]!)).toEqual([0, 1_000, 3_000, 5_000]);
  t.client.before = () => {};
  await t.pass(2_000);
  expect(states.get('ns/s')).toBe('full');
  expect(t.client.find(Sites, key)?.status).toEqual({ ready: 1 });
  await t.stop();
});

test('all that fails in a batch is known to the next evaluation', async () => {
  const failures: string[][] = [];
  const t = await runInMemory([
    controller<Site>({
      name: 'emptier',
      for: Sites,
      reconcile: ({ failure }) => {
        const all = failure ? [failure, ...(failure.beside ?? [])] : [];
        failures.push(all.map(({ effect, error }) => `${effect?.type} ${error.message}`));
        return failure ? [] : concurrently([ConfigMaps, Pods, Sites].map((type) => removeAll(type, 'elsewhere')));
      },
    }),
  ]);
  await t.client.create(ConfigMaps, { metadata: { namespace: 'elsewhere', name: 'a' } });
  await t.client.create(Pods, { metadata: { namespace: 'elsewhere', name: 'p' } });
  await t.client.create(Sites, { ...site(0), metadata: { namespace: 'elsewhere', name: 's' } });
  t.client.before = ({ verb, resource, key: name }) => {
    if (verb === 'delete' && resource !== 'sites') throw forbidden({ group: '', resource }, name, 'no');
  };
  await t.pass(100);
  expect(failures[0]).toEqual([]);
  expect(failures[1]).toHaveLength(2);
  expect(failures[1]!.every((text) => text.startsWith('deleteAll '))).toBe(true);
  expect(t.client.all(Sites)).toEqual([]);
  await t.stop();
});

test('a long queue is handed out in order, each key once', () => {
  const queue = new WorkQueue(new VirtualClock(), () => {});
  const keys = Array.from({ length: 5_000 }, (_, i) => `k${i}`);
  for (const each of keys) queue.add(each);
  const taken: string[] = [];
  for (let each = queue.take(); each !== undefined; each = queue.take()) {
    taken.push(each);
    if (each === 'k1' && !taken.slice(0, -1).includes('k1')) queue.add('k1');
    queue.done(each);
  }
  expect(taken).toEqual([...keys, 'k1']);
  queue.add('later');
  expect([queue.take(), queue.take()]).toEqual(['later', undefined]);
});
