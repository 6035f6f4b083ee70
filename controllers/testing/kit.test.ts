import {
  any,
  apply,
  type ControllerDefinition,
  change,
  changeStatus,
  controller,
  controllerReference,
  create,
  event,
  generationChanged,
  labelsChanged,
  type Observed,
  remove,
  requeueAfter,
  type View,
} from '@trimtab/framework';
import { ConfigMaps, Deployments, type KubeObject, type ResourceType, timestamp } from '@trimtab/machinery';
import fc from 'fast-check';
import { assign, setup } from 'xstate';
import { expectStable, explore, fromSchema, matchers, perform, perturb, type Scenario, world } from './index.js';

expect.extend(matchers);

interface Gauge extends KubeObject {
  readonly spec: {
    readonly size: number;
    readonly mode?: 'fast' | 'slow';
    readonly tags?: Readonly<Record<string, string>>;
  };
  readonly status?: {
    readonly size?: number;
    readonly seen?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}
const Gauges: ResourceType<Gauge> = {
  group: 'example.com',
  version: 'v1',
  kind: 'Gauge',
  resource: 'gauges',
  namespaced: true,
};
const key = { namespace: 'default', name: 'it' };
const follows = controller<Gauge>({
  name: 'follows',
  for: Gauges,
  reconcile: ({ object }) =>
    object
      ? changeStatus(Gauges, object, (draft) => {
          draft.status = { size: object.spec.size, conditions: [{ type: 'Ready', status: 'True' }] };
        })
      : [],
});
const fidgets = controller<Gauge>({
  name: 'fidgets',
  for: Gauges,
  reconcile: ({ object, now }) =>
    object
      ? [
          ...changeStatus(Gauges, object, (draft) => {
            draft.status = { seen: timestamp(now) };
          }),
          requeueAfter(3_600_000),
        ]
      : [],
});

describe('expectStable', () => {
  test('row 16: a predicate that hides what calls for a write is found out, and one that does not passes', async () => {
    const labelling = (where: NonNullable<ControllerDefinition<Gauge>['where']>) =>
      controller<Gauge>({
        name: 'labels',
        for: Gauges,
        where,
        reconcile: ({ object }) =>
          object
            ? change(Gauges, object, (draft) => {
                draft.metadata.labels = { ...draft.metadata.labels, size: String(object.spec.size) };
              })
            : [],
      });
    const run = async (where: NonNullable<ControllerDefinition<Gauge>['where']>) => {
      const w = await world({ kinds: [Gauges], controllers: [labelling(where)] });
      await w.create(Gauges, { metadata: key, spec: { size: 2 } });
      await w.settle();
      await w.patch(Gauges, key, { metadata: { labels: { size: 'mine' } } });
      await expectStable(w);
    };
    await run(any(generationChanged, labelsChanged));
    await expect(run(generationChanged)).rejects.toThrow(
      /1 writes asked for when looked at once more.*hidden by a predicate.*update gauges default\/it/s,
    );
  });

  test('a decision that fails over and over is said first: what it throws, where, and how often', async () => {
    const broken = controller<Gauge>({
      name: 'broken',
      for: Gauges,
      reconcile: function look({ object }) {
        return changeStatus(Gauges, object!, (draft) => {
          draft.status = { size: object!.spec.tags!.a!.length };
        });
      },
    });
    const made = () => world({ kinds: [Gauges], controllers: [broken] });
    const w = await made();
    await w.create(Gauges, { metadata: key, spec: { size: 2 } });
    const said = await expectStable(w).catch((error: Error) => error.message);
    const place = String.raw`at \S+ \(kit\.test\.ts:\d+:\d+\)`;
    expect(said).toMatch(
      new RegExp(
        `^settled, but with decisions that fail:\n  broken default/it: .*undefined.*, ${place}, \\d+ times in a row`,
      ),
    );
    const report = await perturb({
      world: { kinds: [Gauges], controllers: [broken] },
      workload: async (story) => void (await story.create(Gauges, { metadata: key, spec: { size: 2 } })),
    });
    const [title, first] = report.text().split('\n');
    expect(title).toBe('A clean run, without any fault, goes wrong:');
    expect(first).toMatch(new RegExp(`^  thrown .*${place}$`));
  });

  test('a loop is shown by a few of its turns, and by what each changes', async () => {
    const counts = controller<Gauge>({
      name: 'counts',
      for: Gauges,
      reconcile: ({ object }) =>
        object
          ? changeStatus(Gauges, object, (draft) => {
              draft.status = { size: (draft.status?.size ?? 0) + 1 };
            })
          : [],
    });
    const w = await world({ kinds: [Gauges], controllers: [counts] });
    await w.create(Gauges, { metadata: key, spec: { size: 2 } });
    const said = await w.settle().catch((error: Error) => error.message);
    expect(said).toMatch(/^501 reconciles of counts default\/it within one second\n/);
    expect(said).toMatch(/update gauges default\/it rv 500 by controllers: status.size 498 → 499 /);
    expect(said!.split('\n').length).toBeLessThan(15);
  });

  test('a report says in words what was done to the controllers', async () => {
    const forgets = () => {
      let made = 0;
      return controller<Gauge>({
        name: 'forgets',
        for: Gauges,
        owns: [ConfigMaps],
        reconcile: ({ object }) =>
          object && made++ === 0
            ? [create(ConfigMaps, { metadata: { namespace: 'default', generateName: 'c-' } })]
            : [],
      });
    };
    const report = await perturb(
      {
        world: { kinds: [Gauges], controllers: [forgets] },
        workload: async (story) => void (await story.create(Gauges, { metadata: key, spec: { size: 1 } })),
      },
      { failures: 1 },
    );
    expect(report.text()).toMatch(
      /^With a fault it ends otherwise:\n {2}crash-after at write 1: create configmaps \S+ \(its process dies when that write is done/,
    );
  });

  test('row 4: what is watched by its metadata at first ends as ever, under every single fault', async () => {
    const sized = controller<Gauge>({
      name: 'sized',
      for: Gauges,
      owns: [ConfigMaps],
      reads: [Deployments],
      reconcile: ({ object, owned, list }) => {
        if (!object || list(Deployments).length > 0) return [];
        const maps = owned(ConfigMaps);
        const metadata = { namespace: 'default', ownerReferences: [controllerReference(Gauges, object)] };
        const names = Array.from({ length: object.spec.size }, (_, i) => `map-${i}`);
        const missing = names
          .filter((name) => !maps.some((map) => map.metadata.name === name))
          .map((name) => create(ConfigMaps, { metadata: { ...metadata, name }, data: { n: name } }));
        const wrong = maps.filter(({ data }) => data?.n === undefined).map((map) => remove(ConfigMaps, map));
        return [...missing, ...wrong];
      },
    });
    const scenario: Scenario = {
      world: { kinds: [Gauges], controllers: [sized], metadataFirst: true },
      workload: async (story) => {
        await story.create(Gauges, { metadata: key, spec: { size: 2 } });
        await story.settle();
        await story.patch(ConfigMaps, { namespace: 'default', name: 'map-0' }, { data: null });
        await story.settle();
      },
    };
    (await perturb(scenario, { plans: 48, pairs: 6 })).expectNoDivergence();
  });

  test('row 34: a world knows what its controllers need, and whether their declarations say so', async () => {
    const made = (permissions: ControllerDefinition['permissions'] = []) =>
      controller<Gauge>({
        name: 'maps',
        for: Gauges,
        permissions,
        reconcile: ({ object }) =>
          object ? [apply(ConfigMaps, { metadata: key, data: { size: String(object.spec.size) } })] : [],
      });
    for (const permissions of [[], [{ type: ConfigMaps as ResourceType, verbs: ['patch'] }]]) {
      const w = await world({ kinds: [Gauges], controllers: [made(permissions)] });
      await w.create(Gauges, { metadata: key, spec: { size: 2 } });
      await w.settle();
      if (permissions.length > 0) expect(w).toStayWithinItsRole();
      else expect(() => expect(w).toStayWithinItsRole()).toThrow('patch /configmaps');
    }
  });

  test('passes what settles and stays, as a function and as a matcher', async () => {
    const w = await world({ kinds: [Gauges], controllers: [follows] });
    await w.create(Gauges, { metadata: key, spec: { size: 2 } });
    await expectStable(w, { matches: async () => (await w.get(Gauges, key)).status?.size === 2 });
    await expect(w).toBeStable();
    await expect(w).toConvergeWithin('1s', async () => (await w.get(Gauges, key)).status?.size === 2);
    expect(await w.get(Gauges, key)).toHaveCondition('Ready');
    expect(await w.get(Gauges, key)).toMatchObjectState({ spec: { size: 2 }, status: { size: 2 } });
    await w.close();
  });

  test('names who writes at rest, and when it began', async () => {
    const w = await world({ kinds: [Gauges], controllers: [fidgets] });
    await w.create(Gauges, { metadata: key, spec: { size: 2 } });
    await expect(expectStable(w)).rejects.toThrow(
      /1 writes asked for at rest, within 1:\d\d:\d\d.*\n.*reconcile {2}fidgets default\/it[\s\S]*update gauges default\/it rv \d+ by controllers: status.seen .* {2}<- fidgets/,
    );
    await w.close();
  });

  test('refuses what settles otherwise than wanted', async () => {
    const w = await world({ kinds: [Gauges], controllers: [follows] });
    await w.create(Gauges, { metadata: key, spec: { size: 2 } });
    await expect(expectStable(w, { matches: () => false })).rejects.toThrow('settled, but not as it should be');
    const failing = expect(w.get(Gauges, key)).resolves.toHaveCondition('Ready', 'False');
    await expect(failing).rejects.toThrow('Gauge default/it and Ready=False; its conditions are Ready=True');
    await w.close();
  });
});

describe('explore', () => {
  const view = (ready: boolean) => ({ view: { object: { ready } } as unknown as View });
  const machine = (more: 'fine' | 'trap' | 'island') =>
    setup({
      types: { context: {} as { readonly tries: number }, events: {} as Observed, input: {} as object },
      guards: {
        ready: ({ event: e }) =>
          (e as unknown as { readonly view: { readonly object: { ready: boolean } } }).view.object.ready,
        spent: ({ context }) => context.tries >= 3,
      },
      actions: {
        bump: assign({ tries: ({ context }) => context.tries + 1 }),
        say: () => event({ metadata: {} }, 'Normal', 'A', 'b'),
      },
    }).createMachine({
      id: 'm',
      context: { tries: 0 },
      initial: 'starting',
      states: {
        starting: {
          entry: 'bump',
          on: { OBSERVED: { guard: 'ready', target: 'running' } },
          after: { 1000: 'waiting' },
        },
        waiting: {
          always: { guard: 'spent', target: more === 'trap' ? 'stuck' : 'failed' },
          after: { 5000: 'starting' },
        },
        running: { tags: 'Ready', entry: 'say' },
        failed: { tags: 'Stalled' },
        ...(more === 'trap' ? { stuck: {} } : {}),
        ...(more === 'island' ? { island: { tags: 'Ready' } } : {}),
      },
    });
  const inputs = [view(false), view(true)];

  test('reaches every state, also through delays, and finds each able to settle', () => {
    const { reached, expectLive } = explore(machine('fine'), { inputs });
    expect(reached).toEqual(['failed', 'running', 'starting', 'waiting']);
    expectLive();
  });

  test('tells of states that trap, with the way in, and of those nothing leads to', () => {
    expect(() => explore(machine('trap'), { inputs }).expectLive()).toThrow(
      /nothing leads to failed[\s\S]*never settles from stuck: input 0 -> .*xstate.after/,
    );
    expect(explore(machine('island'), { inputs }).unreachable).toEqual(['island']);
  });
});

describe('fromSchema', () => {
  const schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        required: ['size'],
        properties: {
          size: { type: 'integer', minimum: 1, maximum: 5 },
          mode: { type: 'string', enum: ['fast', 'slow'] },
          tags: { type: 'object', additionalProperties: { type: 'string', maxLength: 4 } },
        },
      },
    },
    required: ['spec'],
  };
  const gauges = fromSchema(Gauges, { schema });

  test('gives valid objects of a custom kind, and shrinks', () => {
    const sizes = new Set<number>();
    fc.assert(
      fc.property(gauges.object, ({ spec }) => {
        sizes.add(spec.size);
        expect(spec.size).toBeGreaterThanOrEqual(1);
        expect(spec.size).toBeLessThanOrEqual(5);
        if (spec.mode) expect(['fast', 'slow']).toContain(spec.mode);
        for (const tag of Object.values(spec.tags ?? {})) expect(tag.length).toBeLessThanOrEqual(4);
      }),
      { seed: 1 },
    );
    expect([...sizes].sort()).toEqual([1, 2, 3, 4, 5]);
    const failed = fc.check(
      fc.property(gauges.object, ({ spec }) => spec.size < 4),
      { seed: 1 },
    );
    expect(failed.counterexample?.[0].spec).toEqual({ size: 4 });
  });

  test('the end of any sequence of operations is that of its last object alone', async () => {
    await fc.assert(
      fc.asyncProperty(gauges.operations, async (operations) => {
        const w = await world({ kinds: [Gauges], controllers: [follows] });
        await perform(w, Gauges, operations);
        const last = operations.at(-1)!;
        const object = await w.find(Gauges, key);
        expect(object?.status?.size).toBe(last.do === 'delete' ? undefined : last.object.spec.size);
        await w.close();
      }),
      { seed: 1, numRuns: 20 },
    );
  });

  test('reads Kubernetes’ own kinds from the table', () => {
    const [deployment] = fc.sample(fromSchema(Deployments).object, { numRuns: 1, seed: 3 });
    expect(deployment).toMatchObject({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: key });
    const maps = fc.sample(fromSchema(ConfigMaps).object, { numRuns: 20, seed: 3 });
    expect(maps.some(({ data }) => Object.keys(data ?? {}).length > 0)).toBe(true);
    expect(() => fromSchema(Gauges)).toThrow('no schema of Gauge is known');
  });
});
