import { ConfigMaps, type KubeObject, Pods, VirtualClock } from '@trimtab/machinery';
import { Subject } from 'rxjs';
import { assign, setup } from 'xstate';
import {
  all,
  annotationsChanged,
  apply,
  type Condition,
  call,
  change,
  changed,
  changeStatus,
  controller,
  controllerReference,
  create,
  done,
  feeds,
  generationChanged,
  isApplied,
  LONGEST_WAIT_MS,
  LOW_PRIORITY,
  labelled,
  labelsChanged,
  MemoryClient,
  not,
  type Observed,
  PAUSED,
  permissionsOf,
  RateLimiter,
  type ReconcileTrace,
  requeueAfter,
  resourceVersionChanged,
  runInMemory,
  TerminalError,
  TraceLog,
  type View,
  WorkQueue,
  watch,
} from './index.js';
import { key, type Site, Sites, site } from './testing/sites.js';

const named = (name: string, more: object = {}): Site => ({ ...site(1), metadata: { namespace: 'ns', name, ...more } });

describe('queue', () => {
  test('row 10: so many a second together, and no namespace takes another’s share', async () => {
    const limiter = new RateLimiter({ perSecond: 2, burst: 3 });
    expect([0, 0, 0, 0].map(() => limiter.take(0))).toEqual([0, 0, 0, 500]);
    expect(limiter.take(0, 'other')).toBe(0);
    expect([limiter.take(500), limiter.take(500)]).toEqual([0, 500]);
    const seen: string[] = [];
    const t = await runInMemory([
      controller<Site>({
        name: 'c',
        for: Sites,
        rateLimit: { perNamespace: { perSecond: 1, burst: 1 } },
        reconcile: (view) => {
          seen.push(`${view.key.namespace}/${view.key.name}`);
          return [];
        },
      }),
    ]);
    for (const name of ['a', 'b', 'c']) await t.client.create(Sites, named(name));
    await t.client.create(Sites, { ...site(1), metadata: { namespace: 'quiet', name: 'x' } });
    await t.pass();
    expect(seen.sort()).toEqual(['ns/a', 'quiet/x']);
    await t.pass(1_000);
    expect(seen).toHaveLength(3);
    await t.pass(2_000);
    expect(seen).toHaveLength(4);
  });

  test('row 11: what is urgent comes first, and nobody waits longer than ten seconds for it', async () => {
    const clock = new VirtualClock();
    const queue = new WorkQueue(clock, () => {});
    queue.add('old', LOW_PRIORITY);
    queue.add('raised', LOW_PRIORITY);
    queue.add('raised', 5);
    let longest = 0;
    const order: string[] = [];
    for (let i = 0; i < 400; i++) {
      queue.add(`hot-${i}`);
      queue.add(`hot-${i}-too`);
      const taken = queue.take()!;
      longest = Math.max(longest, queue.lastWaitMs);
      order.push(taken);
      queue.done(taken);
      await clock.advance(100);
      if (i === 0) expect(taken).toBe('raised');
    }
    expect(order.indexOf('old')).toBeGreaterThan(0);
    expect(order.indexOf('old')).toBeLessThanOrEqual(LONGEST_WAIT_MS / 100 + 1);
  });

  test('row 11: the first list is worth less than what happens now', async () => {
    const seen: string[] = [];
    const clock = new VirtualClock();
    const client = new MemoryClient(clock);
    for (let i = 0; i < 5; i++) await client.create(Sites, named(`old-${i}`));
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      concurrency: 1,
      reconcile: (view) => {
        seen.push(view.key.name);
        return [call('wait')];
      },
    });
    let release = () => {};
    const wait = () => new Promise<void>((resolve) => (release = resolve));
    const t = await runInMemory([definition], { clock, client, handlers: { wait } });
    await client.create(Sites, named('new'));
    await t.pass();
    release();
    await t.pass();
    expect(seen.slice(0, 2)).toEqual(['old-0', 'new']);
  });

  test('row 12: as many at a time as the server bears, found out by how long its answers take', async () => {
    const clock = new VirtualClock();
    const client = new MemoryClient(clock);
    for (let i = 0; i < 60; i++) await client.create(Sites, named(`s-${i}`));
    let underWay = 0;
    let bears = 20;
    let widest = 0;
    const answer = client.call.bind(client);
    client.call = async (asked) => {
      if (asked.verb !== 'patch') return answer(asked);
      widest = Math.max(widest, ++underWay);
      await new Promise<void>((resolve) => clock.after(underWay <= bears ? 400 : 2_000, resolve));
      underWay--;
      return answer(asked);
    };
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      concurrency: { upTo: 50 },
      // Always something to write: each write leads to the next.
      reconcile: ({ object, now }) =>
        object
          ? changeStatus(Sites, object, (draft) => {
              draft.status = { ready: now };
            })
          : [],
    });
    const t = await runInMemory([definition], { clock, client });
    const widestWithin = async (ms: number) => {
      widest = 0;
      await t.pass(ms);
      return widest;
    };
    expect(underWay).toBe(5);
    await t.pass(10_000);
    const settled = await widestWithin(10_000);
    expect(settled).toBeGreaterThanOrEqual(bears);
    expect(settled).toBeLessThanOrEqual(bears + 3);
    bears = 3;
    await t.pass(15_000);
    expect(await widestWithin(15_000)).toBeLessThanOrEqual(bears + 3);
    bears = 1_000;
    await t.pass(30_000);
    expect(await widestWithin(2_000)).toBe(50);
  });

  test('row 9: failures are spaced per key, by the policy told, with seeded jitter', async () => {
    const gaps = async (seed: number) => {
      const at: number[] = [];
      const definition = controller<Site>({
        name: 'c',
        for: Sites,
        backoff: { baseMs: 1_000, capMs: 9_000, factor: 3, jitter: 0.5 },
        reconcile: (view) => {
          at.push(view.now);
          throw new Error('no');
        },
      });
      const t = await runInMemory([definition], { seed });
      await t.client.create(Sites, site(1));
      await t.pass(60_000);
      return at.slice(1, 5).map((time, i) => time - at[i]!);
    };
    const one = await gaps(1);
    [1_000, 3_000, 9_000, 9_000].forEach((base, i) => {
      expect(one[i]).toBeGreaterThanOrEqual(base);
      expect(one[i]).toBeLessThanOrEqual(1.5 * base);
    });
    expect(await gaps(1)).toEqual(one);
    expect(await gaps(2)).not.toEqual(one);
  });
});

describe('errors', () => {
  const failing = (error: () => Error, more: object) => {
    let count = 0;
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      reconcile: () => {
        count++;
        throw error();
      },
      ...more,
    });
    return { definition, count: () => count };
  };

  test('row 47: a policy says what a failure means, a budget ends it, and what is final is not tried again', async () => {
    const failures: string[] = [];
    const metrics = { failed: (_: string, how: string) => void failures.push(how) };
    const budget = failing(() => new Error('no'), { retries: 3 });
    let t = await runInMemory([budget.definition], { metrics });
    await t.client.create(Sites, site(1));
    await t.pass(3_600_000);
    expect([budget.count(), failures]).toEqual([4, ['terminal']]);
    await t.client.patch(Sites, key, { type: 'merge', body: { spec: { pods: 2 } } });
    await t.pass(3_600_000);
    expect(budget.count()).toBe(8);

    const final = failing(() => new TerminalError('cannot ever be'), {});
    t = await runInMemory([final.definition], { metrics });
    await t.client.create(Sites, site(1));
    await t.pass(3_600_000);
    expect(final.count()).toBe(1);

    const policy = failing(() => new Error('later'), {
      onError: (_: Error, attempt: number) => (attempt < 3 ? { action: 'retry', afterMs: 60_000 } : { action: 'stop' }),
    });
    t = await runInMemory([policy.definition], { metrics });
    await t.client.create(Sites, site(1));
    await t.pass(59_000);
    expect(policy.count()).toBe(1);
    await t.pass(3_600_000);
    expect(policy.count()).toBe(3);
    const panic = failing(() => new TypeError('undefined is not a function'), { retries: 0 });
    failures.length = 0;
    t = await runInMemory([panic.definition], { metrics });
    await t.client.create(Sites, site(1));
    await t.pass();
    expect(failures).toEqual(['panic', 'terminal']);
  });

  test('row 47: an evaluation that takes too long has failed, and writes nothing afterwards', async () => {
    let release = () => {};
    let aborted = false;
    const handlers = {
      slow: (_: never, { signal }: { readonly signal: AbortSignal }) => {
        signal.addEventListener('abort', () => (aborted = true));
        return new Promise<void>((resolve) => (release = resolve));
      },
    };
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      timeoutMs: 5_000,
      retries: 0,
      reconcile: () => [call('slow'), create(ConfigMaps, { metadata: { namespace: 'ns', name: 'late' } })],
    });
    const t = await runInMemory([definition], { handlers });
    await t.client.create(Sites, site(1));
    await t.pass(5_000);
    expect(aborted).toBe(true);
    release();
    await t.pass(1_000);
    expect(t.client.all(ConfigMaps)).toEqual([]);
  });

  test('row 15: a call without a handler says who misses what', async () => {
    const seen: string[] = [];
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      reconcile: (view) => {
        if (view.failure) seen.push(view.failure.error.message);
        return [call('dns.set')];
      },
    });
    const t = await runInMemory([definition]);
    await t.client.create(Sites, site(1));
    await t.pass(10);
    expect(seen[0]).toBe('c calls "dns.set", and the operator was given no such handler');
  });
});

describe('what makes it look', () => {
  test('row 14: from a forward reference come index and mapping, in both directions', async () => {
    const seen: string[] = [];
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      feeds: [feeds(ConfigMaps, Sites, ({ spec }) => (spec.theme ? { name: spec.theme } : undefined))],
      reconcile: ({ key: { name } }) => {
        seen.push(name);
        return [];
      },
    });
    const t = await runInMemory([definition]);
    await t.client.create(Sites, { ...named('a'), spec: { pods: 1, theme: 'dark' } });
    await t.client.create(Sites, named('b'));
    await t.pass();
    seen.length = 0;
    await t.client.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'dark' } });
    await t.client.create(ConfigMaps, { metadata: { namespace: 'other', name: 'dark' } });
    await t.client.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'light' } });
    await t.pass();
    expect(seen).toEqual(['a']);
    expect(permissionsOf([definition])).toContainEqual({
      apiGroups: [''],
      resources: ['configmaps'],
      verbs: ['get', 'list', 'watch'],
    });
  });

  test('row 15: any stream of keys is a source, and things outside are polled for each object while it is there', async () => {
    const keys = new Subject<typeof key>();
    const seen: unknown[] = [];
    let value = 1;
    let reads = 0;
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      sources: [keys],
      externals: [
        {
          name: 'bucket',
          everyMs: 10_000,
          read: async () => {
            if (reads++ === 3) throw new Error('outside is down');
            return { value };
          },
        },
      ],
      reconcile: (view) => {
        seen.push(view.external('bucket') ?? 'nothing');
        return [];
      },
    });
    const t = await runInMemory([definition]);
    await t.client.create(Sites, site(1));
    await t.pass();
    expect(seen).toEqual(['nothing', { value: 1 }]);
    // A flood of keys is held up where it costs nothing: a key waits once, however often it comes.
    for (let i = 0; i < 100_000; i++) keys.next(key);
    expect(t.running.runners[0]!.queue.depth).toBe(1);
    await t.pass(20_000);
    expect(seen).toHaveLength(3);
    value = 2;
    await t.pass(20_000);
    expect(seen.slice(3)).toEqual([{ value: 2 }]);
    await t.client.delete(Sites, key);
    await t.pass(10_000);
    const before = reads;
    await t.pass(100_000);
    expect(reads).toBe(before);
  });

  test('row 16: predicates judge updates; what comes and goes always passes', () => {
    const before: KubeObject = { metadata: { name: 'a', generation: 1, resourceVersion: '1', labels: { a: '1' } } };
    const with_ = (more: object): KubeObject => ({ metadata: { ...before.metadata, resourceVersion: '2', ...more } });
    const updated = (object: KubeObject) => ({ type: 'updated', previous: before, object, resync: false }) as const;
    expect(generationChanged(updated(with_({})))).toBe(false);
    expect(generationChanged(updated(with_({ generation: 2 })))).toBe(true);
    expect(generationChanged(updated(with_({ deletionTimestamp: 'now' })))).toBe(true);
    expect(labelsChanged(updated(with_({ labels: { a: '2' } })))).toBe(true);
    expect(annotationsChanged(updated(with_({ labels: { a: '2' } })))).toBe(false);
    expect(resourceVersionChanged(updated(before))).toBe(false);
    expect(all(generationChanged, labelsChanged)(updated(with_({ generation: 2 })))).toBe(false);
    expect(not(generationChanged)(updated(with_({})))).toBe(true);
    expect(labelled('a', '1')(updated(with_({ labels: {} })))).toBe(true);
    for (const predicate of [generationChanged, labelsChanged, annotationsChanged, changed(() => 0)]) {
      expect(predicate({ type: 'deleted', object: before, finalStateUnknown: false })).toBe(true);
      expect(predicate({ type: 'added', object: before, inInitialList: false })).toBe(true);
    }
  });

  test('row 6: every object is looked at again now and then, none at the same moment', async () => {
    const at = new Map<string, number[]>();
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      resyncMs: 3_600_000,
      reconcile: (view) => {
        at.set(view.key.name, [...(at.get(view.key.name) ?? []), view.now]);
        return [];
      },
    });
    const t = await runInMemory([definition]);
    for (const name of ['a', 'b', 'c', 'd']) await t.client.create(Sites, named(name));
    await t.pass(4 * 3_600_000);
    const gaps = [...at.values()].map(([first, second]) => second! - first!);
    for (const gap of gaps) expect(Math.abs(gap - 3_600_000)).toBeLessThanOrEqual(360_000);
    expect(new Set(gaps).size).toBe(4);
  });

  test('row 37: watches come and go at run time; the last to go ends the watch itself', async () => {
    const seen: string[] = [];
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      reconcile: ({ key: { name } }) => {
        seen.push(name);
        return [];
      },
    });
    const t = await runInMemory([definition]);
    const [runner] = t.running.runners;
    const more = watch(ConfigMaps, (map) => [{ namespace: 'ns', name: map.metadata.name! }]);
    const stop = runner!.watch(more);
    await t.client.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'x' } });
    await t.pass();
    expect(seen).toEqual(['x']);
    expect(t.informers.all()).toHaveLength(2);
    stop();
    stop();
    await t.client.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'y' } });
    await t.pass();
    expect(seen).toEqual(['x']);
    expect(t.informers.all()).toHaveLength(1);
  });

  test('a paused object is left alone until it is not', async () => {
    const seen: string[] = [];
    const t = await runInMemory([
      controller<Site>({
        name: 'c',
        for: Sites,
        reconcile: ({ key: { name } }) => {
          seen.push(name);
          return [];
        },
      }),
    ]);
    await t.client.create(Sites, named('s', { annotations: { [PAUSED]: 'true' } }));
    await t.pass();
    expect(seen).toEqual([]);
    expect(t.running.runners[0]!.states.get('ns/s')).toBe('paused');
    await t.client.patch(Sites, key, { type: 'merge', body: { metadata: { annotations: { [PAUSED]: null } } } });
    await t.pass();
    expect(seen).toEqual(['s']);
  });
});

describe('finalizers', () => {
  const cleaning = (ready: { outside: boolean }) => {
    const log: string[] = [];
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      reconcile: () => [call('make')],
      cleanup: () => (ready.outside ? [call('destroy'), done()] : [requeueAfter(1_000)]),
    });
    const handlers = { make: () => void log.push('made'), destroy: () => void log.push('destroyed') };
    return { definition, handlers, log };
  };

  test('row 17: on before the first deed, and off only when the cleanup says so', async () => {
    const ready = { outside: false };
    const { definition, handlers, log } = cleaning(ready);
    const t = await runInMemory([definition], { handlers });
    await t.client.create(Sites, site(1));
    await t.pass();
    expect(t.client.find(Sites, key)?.metadata.finalizers).toEqual(['cleanup.trimtab.dev/c']);
    expect(t.client.writes[1]).toBe('patch sites ns/s');
    await t.client.delete(Sites, key);
    await t.pass(5_000);
    expect(t.client.find(Sites, key)).toBeDefined();
    expect(t.running.runners[0]!.states.get('ns/s')).toBe('cleaningUp');
    ready.outside = true;
    await t.pass(1_000);
    expect(t.client.find(Sites, key)).toBeUndefined();
    expect(log.at(-1)).toBe('destroyed');
  });

  test('row 17: a cleanup that fails keeps the object, across restarts too', async () => {
    const { definition, log } = cleaning({ outside: true });
    let broken = true;
    const handlers = {
      make: () => {},
      destroy: () => {
        if (broken) throw new Error('outside is down');
        log.push('destroyed');
      },
    };
    let t = await runInMemory([definition], { handlers });
    await t.client.create(Sites, site(1));
    await t.pass();
    await t.client.delete(Sites, key);
    await t.pass(10_000);
    expect(t.client.find(Sites, key)).toBeDefined();
    t = await t.restart();
    await t.pass(10_000);
    expect(t.client.find(Sites, key)).toBeDefined();
    broken = false;
    await t.pass(100_000);
    expect([t.client.find(Sites, key), log]).toEqual([undefined, ['destroyed']]);
  });

  test('row 17: a cleanup in states goes on where it was, also in another process', async () => {
    const steps = setup({
      types: { context: {} as { readonly view: View<Site> }, input: {} as { readonly view: View<Site> } },
      actions: { drain: () => call('drain'), drop: () => call('drop') },
      guards: {
        drained: ({ context }) => context.view.external('outside') === 'drained',
        dropped: ({ context }) => context.view.external('outside') === 'dropped',
      },
    }).createMachine({
      context: ({ input }) => input,
      initial: 'looking',
      states: {
        looking: {
          always: [
            { guard: 'dropped', target: 'gone' },
            { guard: 'drained', target: 'dropping' },
            { target: 'draining' },
          ],
        },
        draining: { entry: 'drain' },
        dropping: { entry: 'drop' },
        gone: { type: 'final' },
      },
    });
    const log: string[] = [];
    let outside = 'busy';
    const handlers = { drain: () => void log.push('drain'), drop: () => void log.push('drop') };
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      cleanup: steps,
      externals: [{ name: 'outside', everyMs: 1_000, read: async () => outside }],
      reconcile: () => [],
    });
    let t = await runInMemory([definition], { handlers });
    const state = () => t.running.runners[0]!.states.get('ns/s');
    await t.client.create(Sites, site(1));
    await t.pass();
    await t.client.delete(Sites, key);
    await t.pass(1_000);
    expect([state(), log.at(-1)]).toEqual(['cleaningUp.draining', 'drain']);
    outside = 'drained';
    t = await t.restart();
    await t.pass(1_000);
    expect([state(), log.at(-1)]).toEqual(['cleaningUp.dropping', 'drop']);
    expect(t.client.find(Sites, key)).toBeDefined();
    outside = 'dropped';
    await t.pass(1_000);
    expect(t.client.find(Sites, key)).toBeUndefined();
  });
});

describe('writes', () => {
  const themed = (object: Site) => ({
    metadata: {
      namespace: 'ns',
      name: 'settings',
      labels: { site: 's' },
      ownerReferences: [controllerReference(Sites, object)],
    },
    data: { theme: object.spec.theme ?? 'light' },
  });

  test('rows 18 and 19: applied fields are ours, given up when no longer said, and saying the same again is not sent', async () => {
    let reconciles = 0;
    const definition = controller<Site>({
      name: 'c',
      for: Sites,
      owns: [ConfigMaps],
      reconcile: ({ object }) => {
        reconciles++;
        return object ? [apply(ConfigMaps, themed(object))] : [];
      },
    });
    let t = await runInMemory([definition]);
    const requests: string[] = [];
    t.client.before = ({ verb, resource }) =>
      void (resource === 'configmaps' && verb === 'patch' && requests.push(verb));
    await t.client.create(Sites, site(1));
    await t.pass();
    const map = () => t.client.all(ConfigMaps)[0]!;
    expect(map().metadata.managedFields?.[0]).toMatchObject({ manager: 'c', operation: 'Apply' });
    t.running.runners[0]!.enqueue('ns/s');
    await t.pass();
    t = await t.restart();
    expect(reconciles).toBeGreaterThanOrEqual(3);
    expect(requests).toHaveLength(1);
    // Somebody else's field stays, ours is set right again.
    await t.client.patch(
      ConfigMaps,
      { namespace: 'ns', name: 'settings' },
      { type: 'merge', body: { data: { theme: 'red', more: 'x' } } },
      { fieldManager: 'me' },
    );
    await t.pass();
    expect(map().data).toEqual({ theme: 'light', more: 'x' });
    const live = map();
    const intent = themed(t.client.find(Sites, key)!);
    expect(isApplied(live, intent, 'c')).toBe(true);
    expect(isApplied(live, { ...intent, data: {} } as KubeObject, 'c')).toBe(false);
    expect(isApplied(live, { ...intent, data: { theme: 'light', more: 'x' } } as KubeObject, 'c')).toBe(false);
    expect(isApplied(live, intent, 'somebody')).toBe(false);
    expect(isApplied(undefined, intent, 'c')).toBe(false);
  });

  test('row 41: event, reconcile, write, event: every evaluation says what caused it and what it caused', async () => {
    const traces = new TraceLog();
    const told: ReconcileTrace[] = [];
    const maker = controller<Site>({
      name: 'maker',
      for: Sites,
      reconcile: ({ object }) => (object ? [apply(ConfigMaps, themed(object))] : []),
    });
    const reader = controller({ name: 'reader', for: ConfigMaps, reconcile: () => [] });
    const t = await runInMemory([maker, reader], {
      tracer: (trace) => {
        traces.record(trace);
        told.push(trace);
      },
    });
    await t.client.create(Sites, site(1));
    await t.pass();
    told.sort((a, b) => (a.controller < b.controller ? -1 : 1));
    expect(told.map(({ controller: name, causes, writes }) => [name, causes[0]!.type, writes.length])).toEqual([
      ['maker', 'added', 1],
      ['reader', 'added', 0],
    ]);
    const [made, read] = told;
    expect(made!.writes[0]).toMatchObject({ verb: 'apply', resource: 'configmaps', key: 'ns/settings' });
    expect(traces.chain(read!)).toEqual([made]);
    expect(traces.chain(made!)).toEqual([]);
    // Row 42: what caused nothing.
    expect([...traces.wasted()]).toEqual([['added configmaps', 1]]);
    t.running.runners[0]!.enqueue('ns/s');
    await t.pass();
    expect(told.at(-1)!.causes).toEqual([{ type: 'asked' }]);
  });
});

describe('machines say where they are', () => {
  const machine = setup({
    types: { context: {} as { tries: number }, events: {} as Observed<Site>, input: {} as { view: View<Site> } },
    guards: { themed: ({ event }) => (event as { view?: View<Site> }).view?.object?.spec.theme !== undefined },
    actions: { count: assign({ tries: ({ context }) => context.tries + 1 }) },
  }).createMachine({
    context: { tries: 0 },
    initial: 'waiting',
    states: {
      waiting: {
        tags: 'Progressing',
        entry: 'count',
        description: 'Waiting for a theme',
        on: { OBSERVED: { guard: 'themed', target: 'serving' } },
        after: { 60000: 'stuck' },
      },
      stuck: { tags: 'Stalled', on: { OBSERVED: { guard: 'themed', target: 'serving' } } },
      serving: { tags: 'Ready' },
    },
  });

  test('rows 22 and 25: tags are conditions, coming into a state is one event, and nothing is written at rest', async () => {
    const definition = controller<Site>({ name: 'c', for: Sites, machine, durable: true });
    let t = await runInMemory([definition]);
    await t.client.create(Sites, site(1));
    await t.pass(1_000);
    const conditions = () =>
      Object.fromEntries(
        (t.client.find(Sites, key)!.status!.conditions as readonly Condition[]).map((c) => [
          c.type,
          `${c.status} ${c.reason}`,
        ]),
      );
    expect(conditions()).toEqual({ Progressing: 'True Waiting', Ready: 'False Waiting', Stalled: 'False Waiting' });
    await t.pass(60_000);
    expect(conditions()).toMatchObject({ Progressing: 'False Stuck', Stalled: 'True Stuck' });
    t = await t.restart();
    await t.client.patch(Sites, key, { type: 'merge', body: { spec: { theme: 'dark' } } });
    await t.pass(1_000);
    expect(conditions()).toMatchObject({ Ready: 'True Serving', Stalled: 'False Serving' });
    const { Events } = await import('@trimtab/machinery');
    expect(t.client.all(Events).map((e) => `${e.type} ${e.reason} ${e.message} ×${e.count}`)).toEqual([
      'Normal Waiting Waiting for a theme ×1',
      'Warning Stuck Now Stuck ×1',
      'Normal Serving Now Serving ×1',
    ]);
    const writes = t.client.writes.length;
    await t.pass(24 * 3_600_000);
    expect(t.client.writes.length).toBe(writes);
  });

  test('row 22: the conditions go with the status a decision writes itself, in one request', async () => {
    const derived = setup({
      types: { context: {} as { object: Site }, input: {} as { view: View<Site> } },
      actions: {
        report: ({ context: { object } }) =>
          change(Sites, object, (draft) => Object.assign(draft, { status: { ready: 1 } }), { subresource: 'status' }),
      },
    }).createMachine({
      context: ({ input }) => ({ object: input.view.object! }),
      initial: 'fine',
      states: { fine: { tags: 'Ready', entry: 'report' } },
    });
    const t = await runInMemory([controller<Site>({ name: 'c', for: Sites, machine: derived })]);
    await t.client.create(Sites, site(1));
    await t.pass(1_000);
    expect(t.client.writes.filter((w) => w.endsWith('/status'))).toHaveLength(1);
    expect(t.client.find(Sites, key)!.status).toMatchObject({
      ready: 1,
      conditions: [{ type: 'Ready', status: 'True' }],
    });
  });
});

test('row 28: a stop says what was still under way, and that begins nothing more', async () => {
  let release = () => {};
  const handlers = { hang: () => new Promise<void>((resolve) => (release = resolve)) };
  const definition = controller<Site>({
    name: 'c',
    for: Sites,
    reconcile: () => [call('hang'), create(Pods, { metadata: { namespace: 'ns', name: 'late' } })],
  });
  const t = await runInMemory([definition], { handlers });
  await t.client.create(Sites, site(1));
  await t.pass();
  const stopped = t.running.drain();
  await t.pass(30_000);
  expect(await stopped).toEqual(['c ns/s: call hang']);
  release();
  await t.pass(1_000);
  expect(t.client.all(Pods)).toEqual([]);
});

test('row 21: own writes are seen at once although the watch shows nothing, deletions too', async () => {
  const seen: number[] = [];
  const definition = controller<Site>({
    name: 'c',
    for: Sites,
    owns: [ConfigMaps],
    reconcile: (view) => {
      if (!view.object) return [];
      seen.push(view.owned(ConfigMaps).length);
      if (seen.length > 4) return [];
      return [
        create(ConfigMaps, {
          metadata: {
            namespace: 'ns',
            name: `m${seen.length}`,
            ownerReferences: [controllerReference(Sites, view.object)],
          },
        }),
        requeueAfter(1),
      ];
    },
  });
  const t = await runInMemory([definition]);
  await t.client.create(Sites, site(1));
  t.client.before = ({ resource }) => void (resource === 'configmaps' && t.client.freeze(ConfigMaps));
  await t.pass(100);
  expect(seen.slice(0, 5)).toEqual([0, 1, 2, 3, 4]);
});
