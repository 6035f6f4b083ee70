import { ConfigMaps, conflict, Events, Pods, ReplicaSets, serviceUnavailable, VirtualClock } from '@trimtab/machinery';
import {
  type Call,
  type Condition,
  change,
  changeStatus,
  controller,
  controllerReference,
  create,
  type Effect,
  event,
  remove,
  requeueAfter,
  runInMemory,
  slowStart,
  type TestRun,
  type View,
  WorkQueue,
  watch,
  withCondition,
} from './index.js';
import { key, type Site, Sites, site } from './testing/sites.js';

/** Keeps as many pods as its spec says, and tells how many there are. */
function podKeeper(extra: (view: View<Site>) => readonly Effect[] = () => []) {
  return controller<Site>({
    name: 'site-controller',
    for: Sites,
    owns: [Pods],
    reads: [ConfigMaps],
    watches: [watch(ConfigMaps, (map) => [{ namespace: map.metadata.namespace, name: map.data?.site ?? '' }])],
    reconcile(view) {
      const { object } = view;
      if (!object) return [];
      const pods = view.owned(Pods);
      const missing = Math.max(0, object.spec.pods - pods.length);
      const made = Array.from({ length: missing }, () =>
        create(
          Pods,
          {
            metadata: {
              generateName: 's-',
              namespace: 'ns',
              ownerReferences: [controllerReference(Sites, object)],
            },
            spec: { containers: [] },
          },
          {
            regarding: object,
            done: { reason: 'Created', message: 'Created pod {name}' },
            failed: { reason: 'FailedCreate', message: 'Error creating: {error}' },
          },
        ),
      );
      return [
        ...slowStart(made),
        ...pods.slice(object.spec.pods).map((pod) => remove(Pods, pod)),
        ...changeStatus(Sites, object, (draft) => {
          draft.status = { ...draft.status, ready: pods.length };
        }),
        ...extra(view),
      ];
    },
  });
}

/** From the first pod on, watches show nothing. */
function freezeOnCreate(t: TestRun, before: (call: Call) => void = () => {}) {
  t.client.before = (call) => {
    if (call.verb === 'create' && call.resource === 'pods') t.client.freeze();
    before(call);
  };
}

describe('work queue', () => {
  test('keeps order, holds a key once, and never hands it out twice at a time', () => {
    const queue = new WorkQueue(new VirtualClock(), () => {});
    for (const k of ['a', 'b', 'a', 'c']) queue.add(k);
    expect([queue.take(), queue.take()]).toEqual(['a', 'b']);
    queue.add('a');
    queue.add('a');
    expect([queue.take(), queue.take()]).toEqual(['c', undefined]);
    queue.done('a');
    expect([queue.take(), queue.take()]).toEqual(['a', undefined]);
  });

  test('spaces failures 5 ms doubling to 1000 s until forgotten, and takes the earliest of several delays', async () => {
    const clock = new VirtualClock();
    const queue = new WorkQueue(clock, () => {});
    const delays = Array.from({ length: 20 }, () => queue.addRateLimited('k'));
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays.at(-1)).toBe(1_000_000);
    queue.forget('k');
    expect(queue.addRateLimited('k')).toBe(5);
    queue.addAfter('later', 1_000);
    queue.addAfter('later', 100);
    queue.addAfter('later', 500);
    await clock.advance(100);
    expect([queue.take(), queue.take(), queue.take()]).toEqual(['k', 'later', undefined]);
    queue.close();
    queue.add('z');
    expect(queue.take()).toBeUndefined();
  });
});

describe('changes', () => {
  test('are the smallest patch, or nothing at all', () => {
    const object = { ...site(1), metadata: { ...key, uid: 'u', resourceVersion: '7' } };
    expect(
      change(Sites, object, (draft) => {
        draft.spec.pods = 1;
      }),
    ).toEqual([]);
    expect(
      change(Sites, object, (draft) => {
        draft.spec = { pods: 1 };
      }),
    ).toEqual([]);
    expect(
      change(Sites, object, (draft) => {
        draft.spec.pods = 2;
      }),
    ).toMatchObject([
      { uid: 'u', resourceVersion: '7', operations: [{ op: 'replace', path: '/spec/pods', value: 2 }] },
    ]);
    expect(object.spec.pods).toBe(1);
  });

  test('a condition moves its transition time only with its status', () => {
    const first = withCondition<Condition>([], { type: 'Ready', status: 'False', reason: 'A' }, 0);
    const second = withCondition(first, { type: 'Ready', status: 'False', reason: 'B' }, 60_000);
    expect(second).toEqual([
      { type: 'Ready', status: 'False', reason: 'B', lastTransitionTime: '1970-01-01T00:00:00Z' },
    ]);
    expect(withCondition(second, { type: 'Ready', status: 'False', reason: 'B' }, 90_000)).toBe(second);
    expect(withCondition(second, { type: 'Ready', status: 'True' }, 90_000)[0]!.lastTransitionTime).toBe(
      '1970-01-01T00:01:30Z',
    );
  });
});

describe('runner', () => {
  test('converges, repairs what it owns, and writes nothing at rest', async () => {
    const t = await runInMemory([podKeeper()]);
    await t.client.create(Sites, site(3));
    await t.pass();
    expect(t.client.all(Pods)).toHaveLength(3);
    expect(t.client.find(Sites, key)?.status).toEqual({ ready: 3 });
    const [pod] = t.client.all(Pods);
    expect(pod!.metadata.name).toMatch(/^s-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    await t.client.delete(Pods, { namespace: 'ns', name: pod!.metadata.name! });
    await t.pass();
    expect(t.client.all(Pods)).toHaveLength(3);
    const writes = t.client.writes.length;
    await t.pass(24 * 3_600_000);
    expect(t.client.writes.length).toBe(writes);
    await t.stop();
  });

  test('sees its own writes although its watches are frozen: no duplicates', async () => {
    const t = await runInMemory([podKeeper()]);
    freezeOnCreate(t);
    await t.client.create(Sites, site(2));
    await t.pass();
    for (let i = 0; i < 5; i++) {
      t.running.runners[0]!.enqueue('ns/s');
      await t.pass();
    }
    expect(t.client.all(Pods)).toHaveLength(2);
    t.client.thaw();
    await t.pass(1_000);
    expect(t.client.all(Pods)).toHaveLength(2);
  });

  test('a create whose answer is lost is found again, even when looking is impossible for a while', async () => {
    for (const blind of [false, true]) {
      const t = await runInMemory([podKeeper()]);
      t.client.after = (call) => {
        if (call.verb === 'create' && call.resource === 'pods') throw serviceUnavailable('connection lost');
      };
      let failing = blind ? 4 : 0;
      freezeOnCreate(t, (call) => {
        if (call.verb === 'get' && failing-- > 0) throw serviceUnavailable('no connection');
      });
      await t.client.create(Sites, site(2));
      await t.pass(60_000);
      expect(t.client.all(Pods)).toHaveLength(2);
    }
  });

  test('failures back off per key, are shown to the next evaluation, and conflicts re-decide on the new object', async () => {
    const attempts: [number, string | undefined][] = [];
    const t = await runInMemory([
      podKeeper((view) => {
        attempts.push([view.attempt, view.failure?.error.message]);
        return [];
      }),
    ]);
    let failures = 3;
    t.client.before = (call) => {
      if (call.verb === 'patch' && failures-- > 0) throw conflict(Sites, 's');
    };
    await t.client.create(Sites, site(0));
    await t.pass(3);
    expect(attempts).toHaveLength(1);
    await t.pass(1_000);
    expect(attempts.map(([n]) => n).slice(0, 4)).toEqual([0, 1, 2, 3]);
    expect(attempts[3]![1]).toContain('the object has been modified');
    expect(t.client.find(Sites, key)?.status).toEqual({ ready: 0 });
  });

  test('a slow start stops at the first group with a failure, and says why in an event that counts', async () => {
    const t = await runInMemory([podKeeper()]);
    let creates = 0;
    t.client.before = (call) => {
      if (call.verb === 'create' && call.resource === 'pods' && ++creates > 0) throw conflict(Pods, 'quota');
    };
    await t.client.create(Sites, site(100));
    await t.pass();
    expect(creates).toBe(1);
    t.client.before = (call) => {
      if (call.verb === 'create' && call.resource === 'pods') throw new Error('quota exceeded');
    };
    await t.pass(2_000);
    const events = t.client.all(Events);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      type: 'Warning',
      reason: 'FailedCreate',
      message: 'Error creating: quota exceeded',
      involvedObject: { kind: 'Site', name: 's' },
      source: { component: 'site-controller' },
    });
    expect(events[0]!.count).toBeGreaterThan(3);
    t.client.before = () => {};
    await t.pass(60_000);
    expect(t.client.all(Pods)).toHaveLength(100);
    expect(t.client.all(Events).filter((e) => e.reason === 'Created').length).toBeLessThanOrEqual(25);
  });

  test('mapped watches and requeueAfter look again; several patches of one evaluation follow each other', async () => {
    const seen: number[] = [];
    const t = await runInMemory([
      podKeeper((view) => {
        seen.push(view.now);
        return [
          ...change(Sites, view.object!, (draft) => {
            draft.metadata.annotations = { seen: 'yes' };
          }),
          requeueAfter(60_000),
        ];
      }),
    ]);
    const start = t.clock.now();
    await t.client.create(Sites, site(0));
    await t.pass();
    expect(t.client.find(Sites, key)).toMatchObject({
      metadata: { annotations: { seen: 'yes' } },
      status: { ready: 0 },
    });
    expect(t.client.writes.filter((w) => w.startsWith('patch'))).toEqual([
      'patch sites ns/s/status',
      'patch sites ns/s',
    ]);
    const count = seen.length;
    await t.pass(60_000);
    expect(seen.slice(count)).toEqual([start + 60_000]);
    await t.client.create(ConfigMaps, { metadata: { name: 'm', namespace: 'ns' }, data: { site: 's' } });
    await t.pass();
    expect(seen).toHaveLength(count + 2);
  });

  test('reading what was not declared is refused, not answered with nothing', async () => {
    let message = '';
    const t = await runInMemory([
      podKeeper((view) => {
        try {
          view.list(ReplicaSets);
        } catch (error) {
          message = String(error);
        }
        return [event(view.object!, 'Normal', 'Looked', 'once')];
      }),
    ]);
    await t.client.create(Sites, site(0));
    await t.pass();
    expect(message).toContain('site-controller reads replicasets without declaring it');
  });

  test('stop lets what is under way end and begins nothing new', async () => {
    const t = await runInMemory([podKeeper()]);
    await t.client.create(Sites, site(1));
    await t.stop();
    const writes = t.client.writes.length;
    await t.client.create(Sites, { ...site(1), metadata: { name: 'other', namespace: 'ns' } });
    await t.pass(1_000);
    expect(t.client.writes.length).toBe(writes + 1);
  });
});
