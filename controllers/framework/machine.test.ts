import { Events, Pods } from '@trimtab/machinery';
import { assign, setup } from 'xstate';
import {
  changeStatus,
  controller,
  controllerReference,
  event,
  type Observed,
  runInMemory,
  type View,
} from './index.js';
import { key, type Site, Sites, site } from './testing/sites.js';

describe('machines', () => {
  const derived = setup({
    types: {
      context: {} as { readonly site: Site | undefined; readonly pods: number },
      input: {} as { readonly view: View<Site> },
    },
    actions: {
      report: ({ context }) =>
        changeStatus(Sites, context.site!, (draft) => {
          draft.status = { ready: context.pods };
        }),
      tooMany: ({ context }) => event(context.site!, 'Warning', 'TooMany', `${context.pods} pods`),
    },
    guards: {
      gone: ({ context }) => !context.site,
      over: ({ context }) => context.pods > context.site!.spec.pods,
    },
  }).createMachine({
    context: ({ input }) => ({ site: input.view.object, pods: input.view.object ? input.view.owned(Pods).length : 0 }),
    initial: 'deciding',
    states: {
      deciding: { always: [{ guard: 'gone', target: 'gone' }, { guard: 'over', target: 'over' }, { target: 'fine' }] },
      gone: {},
      over: { entry: ['report', 'tooMany'] },
      fine: { entry: 'report' },
    },
  });

  test('a derived machine enters anew each time; its states are published', async () => {
    const transitions: string[] = [];
    const definition = controller<Site>({ name: 'derived', for: Sites, owns: [Pods], machine: derived });
    const t = await runInMemory([definition], {
      metrics: { transitioned: (_, k, from, to) => void transitions.push(`${k} ${from} ${to}`) },
    });
    const made = await t.client.create(Sites, site(0));
    await t.pass();
    await t.client.create(Pods, {
      metadata: { name: 'p', namespace: 'ns', ownerReferences: [controllerReference(Sites, made)] },
    });
    await t.pass();
    expect(transitions).toEqual(['ns/s undefined fine', 'ns/s fine over']);
    expect(t.client.find(Sites, key)?.status).toEqual({ ready: 1 });
    expect(t.client.all(Events)).toHaveLength(1);
    await t.client.delete(Sites, key);
    await t.pass();
    expect([...t.running.runners[0]!.states]).toEqual([]);
  });

  const durable = setup({
    types: {
      context: {} as { readonly tries: number },
      events: {} as Observed<Site>,
      input: {} as { readonly view: View<Site> },
    },
    actions: {
      count: assign({ tries: ({ context }) => context.tries + 1 }),
      say: ({ event: e, context }) => event(viewOf(e).object!, 'Normal', 'Tried', `try ${context.tries}`),
    },
    guards: { themed: ({ event: e }) => viewOf(e).object?.spec.theme !== undefined },
    delays: { patience: 600_000 },
  }).createMachine({
    context: { tries: 0 },
    initial: 'waiting',
    states: {
      waiting: {
        entry: ['count', 'say'],
        on: { OBSERVED: { guard: 'themed', target: 'done' } },
        after: { patience: 'again' },
      },
      again: { after: { 1000: 'waiting' } },
      done: {},
    },
  });
  const viewOf = (e: object) =>
    (e as { readonly view?: View<Site>; readonly input?: { readonly view: View<Site> } }).view ??
    (e as { readonly input: { readonly view: View<Site> } }).input.view;

  test('a durable machine’s deadline is absolute and survives a restart at any instant', async () => {
    const definition = controller<Site>({ name: 'durable', for: Sites, machine: durable, durable: true });
    let t = await runInMemory([definition]);
    const kept = () =>
      JSON.parse(t.client.find(Sites, key)!.metadata.annotations!['state.trimtab.dev/durable']!) as {
        value: string;
        context: { tries: number };
      };
    await t.client.create(Sites, site(0));
    await t.pass(500_000);
    expect(kept()).toMatchObject({ value: 'waiting', context: { tries: 1 } });
    t = await t.restart();
    await t.pass(99_000);
    expect(kept().value).toBe('waiting');
    await t.pass(1_000);
    expect(kept().value).toBe('again');
    await t.stop();
    await t.pass(3_600_000);
    t = await t.restart();
    await t.pass();
    expect(kept()).toMatchObject({ value: 'waiting', context: { tries: 2 } });
    await t.client.patch(Sites, key, { type: 'merge', body: { spec: { theme: 'dark' } } });
    await t.pass();
    expect(kept().value).toBe('done');
    expect(t.client.all(Events).map((e) => e.message)).toEqual(['try 1', 'try 2']);
    const writes = t.client.writes.length;
    await t.pass(24 * 3_600_000);
    expect(t.client.writes.length).toBe(writes);
  });
});
