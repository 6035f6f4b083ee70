import {
  expired,
  internalError,
  invalid,
  type KubeObject,
  type ResourceType,
  seededRandom,
  serviceUnavailable,
  silentLogger,
  timeout,
  tooManyRequests,
  VirtualClock,
} from '@trimtab/machinery';
import fc from 'fast-check';
import type { Change } from './change.js';
import { Informer, type InformerOptions } from './informer.js';
import { compareResourceVersions } from './resource-version.js';
import { ScriptedClient } from './testing/scripted-client.js';

const things: ResourceType = { group: '', version: 'v1', kind: 'Thing', resource: 'things', namespaced: true };

const thing = (name: string, rv: string | number, uid = `uid-${name}`, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { namespace: 'ns', name, uid, resourceVersion: String(rv) },
  ...more,
});
const bookmark = (rv: string | number, end = false): KubeObject => ({
  metadata: { resourceVersion: String(rv), ...(end ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}) },
});

function setup(options: Partial<InformerOptions<KubeObject>> & { watchList?: boolean } = {}) {
  const clock = new VirtualClock();
  const script = new ScriptedClient();
  const traits = { watchList: options.watchList ?? false };
  const informer = new Informer<KubeObject>({
    client: script.asClient,
    type: things,
    clock,
    random: seededRandom(1),
    logger: silentLogger,
    traits,
    ...options,
  });
  const told: string[] = [];
  const say = (change: Change<KubeObject>) => {
    const { uid, name, resourceVersion } = change.object.metadata;
    const mark = change.type === 'deleted' && change.finalStateUnknown ? '?' : '';
    told.push(`${change.type}${mark} ${uid === `uid-${name}` ? name : uid}@${resourceVersion}`);
  };
  informer.addHandler(say);
  informer.start();
  const settle = () => clock.advance(0);
  const names = () => informer.list().map((o) => `${o.metadata.name}@${o.metadata.resourceVersion}`);
  return { clock, script, informer, told, settle, names, traits };
}

async function synced(options: Parameters<typeof setup>[0] = {}, items = [thing('a', 3)], rv = '5') {
  const t = setup(options);
  t.script.list.answer(items, rv);
  await t.settle();
  return t;
}

const compare = (a: string, b: string) => Math.sign(compareResourceVersions(a, b) ?? Number.NaN);

describe('W1 resource versions', () => {
  test('are ordered as decimals of any length and not at all otherwise', () => {
    expect(compare('9007199254740993', '9007199254740992')).toBe(1);
    expect(compare('99', '100')).toBe(-1);
    expect(compare('7', '7')).toBe(0);
    for (const odd of ['', '007', 'abc', '-1', '1.5']) expect(compareResourceVersions(odd, '1')).toBeUndefined();
  });
  test('agree with big integers', () =>
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 80n }), fc.bigInt({ min: 0n, max: 2n ** 80n }), (a, b) => {
        expect(compare(`${a}`, `${b}`)).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    ));
});

describe('listing', () => {
  test('W2 W5 W7 first list from any state, then a watch from there with bookmarks and a drawn timeout', async () => {
    const t = setup();
    expect(t.script.list.options).toMatchObject({ resourceVersion: '0', limit: 500 });
    t.script.list.answer([thing('a', 3)], '5');
    await t.settle();
    expect(t.script.watch.options).toMatchObject({ resourceVersion: '5', allowWatchBookmarks: true });
    expect(t.script.watch.options.timeoutSeconds).toBeGreaterThanOrEqual(300);
    expect(t.script.watch.options.timeoutSeconds).toBeLessThan(600);
    expect(t.names()).toEqual(['a@3']);
    expect(t.informer.asOf).toBe('5');
  });

  test('W3 pages carry no resource version and arrive as one replace at the first page’s revision', async () => {
    const t = setup();
    t.script.list.answer([thing('a', 3)], '5', 'token-1');
    await t.settle();
    expect(t.informer.hasSynced()).toBe(false);
    expect(t.script.list.options).toMatchObject({ continue: 'token-1' });
    expect(t.script.list.options.resourceVersion).toBeUndefined();
    t.script.list.answer([thing('b', 4)], '9');
    await t.settle();
    expect(t.names()).toEqual(['a@3', 'b@4']);
    expect(t.script.watch.options.resourceVersion).toBe('5');
  });

  test('W3 a page that has expired falls back to one full list at the original revision', async () => {
    const t = setup();
    t.script.list.answer([thing('a', 3)], '5', 'token-1');
    await t.settle();
    t.script.list.fail(expired('too old'));
    await t.settle();
    expect(t.script.list.options).toEqual({ resourceVersion: '0' });
    t.script.list.answer([thing('z', 6)], '7');
    await t.settle();
    expect(t.names()).toEqual(['z@6']);
  });

  test('W2 a relist asks for nothing older than was seen; expired or too large asks for the newest at once', async () => {
    for (const error of [
      expired('too old'),
      timeout('Too large resource version: 9, current: 2', { causes: [{ reason: 'ResourceVersionTooLarge' }] }),
    ]) {
      const t = await synced();
      t.script.watch.fail(internalError('boom'));
      await t.clock.advance(2_000);
      expect(t.script.list.options).toEqual({ resourceVersion: '5', resourceVersionMatch: 'NotOlderThan' });
      t.script.list.fail(error);
      await t.settle();
      expect(t.script.list.options).toEqual({ resourceVersion: '', limit: 500 });
      t.script.list.answer([], '2');
      await t.settle();
      expect(t.told).toEqual(['added a@3', 'deleted? a@3']);
      expect(t.script.watch.options.resourceVersion).toBe('2');
    }
  });
});

describe('watching', () => {
  test('W4 a 410 keeps the cache, relists once, and replaces in one piece', async () => {
    const t = await synced({}, [thing('a', 3), thing('b', 4)]);
    t.script.watch.fail(expired('too old resource version'));
    await t.settle();
    expect(t.names()).toEqual(['a@3', 'b@4']);
    await t.clock.advance(2_000);
    t.script.list.answer([thing('b', 8), thing('c', 9)], '10');
    await t.settle();
    expect(t.told.slice(2)).toEqual(['updated b@8', 'added c@9', 'deleted? a@3']);
    expect(t.informer.stats.lists).toBe(2);
  });

  test('W5 bookmarks advance the position and tell nobody; the next watch starts there', async () => {
    const t = await synced();
    t.script.watch.send('BOOKMARK', bookmark(77));
    expect(t.informer.asOf).toBe('77');
    await t.clock.advance(300_000);
    t.script.watch.end();
    expect(t.script.watch.options.resourceVersion).toBe('77');
    expect(t.told).toEqual(['added a@3']);
    expect(t.informer.stats.lists).toBe(1);
  });

  test('W7 a watch that ends at once and empty backs off; one that served does not', async () => {
    const t = await synced();
    t.script.watch.send('ADDED', thing('b', 6));
    t.script.watch.end();
    expect(t.script.watch.options.resourceVersion).toBe('6');
    const before = t.script.calls.length;
    t.script.watch.end();
    await t.clock.advance(799);
    expect(t.script.calls.length).toBe(before);
    await t.clock.advance(801);
    expect(t.script.list.options.resourceVersion).toBe('6');
  });

  test('W8 refusals and throttling watch again from the same place, ever more slowly, never relisting', async () => {
    const t = await synced();
    const gaps: number[] = [];
    for (let i = 0; i < 9; i++) {
      const failedAt = t.clock.now();
      const calls = t.script.calls.length;
      t.script.watch.fail(serviceUnavailable('connect ECONNREFUSED'));
      while (t.script.calls.length === calls) await t.clock.advance(100);
      gaps.push(t.clock.now() - failedAt);
      expect(t.script.watch.options.resourceVersion).toBe('5');
    }
    gaps.forEach((gap, i) => {
      const base = Math.min(800 * 2 ** i, 30_000);
      expect(gap).toBeGreaterThanOrEqual(base);
      expect(gap).toBeLessThanOrEqual(2 * base + 100);
    });
    t.script.watch.fail(tooManyRequests('slow down', 100));
    const calls = t.script.calls.length;
    await t.clock.advance(99_000);
    expect(t.script.calls.length).toBe(calls);
    await t.clock.advance(110_000);
    expect(t.script.watch.options.resourceVersion).toBe('5');
    expect(t.informer.stats.lists).toBe(1);
    await t.clock.advance(250_000);
    t.script.watch.fail(serviceUnavailable('cut'));
    expect(t.script.watch.closed).toBe(false);
    t.script.watch.fail(serviceUnavailable('refused'));
    await t.clock.advance(1_600);
    expect(t.script.watch.closed).toBe(false);
  });

  test('W9 a watch that outlives its own timeout is given up and resumed', async () => {
    const t = await synced();
    const first = t.script.watch;
    await t.clock.advance((first.options.timeoutSeconds! + 5) * 1000);
    expect(first.closed).toBe(true);
    expect(t.script.watch).not.toBe(first);
    expect(t.script.watch.options.resourceVersion).toBe('5');
  });

  test('W16 a malformed stream is counted and forces a relist', async () => {
    const t = await synced();
    t.script.watch.fail(internalError('unable to decode a watch event'));
    await t.clock.advance(2_000);
    expect(t.script.list.options.resourceVersion).toBe('5');
    expect(t.informer.stats.failures).toBe(1);
  });

  test('W18 stop is final for whatever is outstanding, and start goes on with exactly one watch', async () => {
    const t = await synced();
    t.script.watch.fail(expired('x'));
    await t.clock.advance(2_000);
    const pending = t.script.list;
    t.informer.stop();
    pending.answer([thing('ghost', 9)], '9');
    await t.clock.advance(600_000);
    expect(t.names()).toEqual(['a@3']);
    const before = t.script.calls.length;
    t.informer.start();
    t.informer.start();
    expect(t.script.calls.length).toBe(before + 1);
  });
});

describe('W6 watch lists', () => {
  test('buffer until the end of the initial events, then go live on the same stream', async () => {
    const t = setup({ watchList: true });
    expect(t.script.watch.options).toMatchObject({
      resourceVersion: '',
      resourceVersionMatch: 'NotOlderThan',
      sendInitialEvents: true,
      allowWatchBookmarks: true,
    });
    t.script.watch.send('ADDED', thing('a', 900));
    t.script.watch.send('ADDED', thing('b', 3));
    expect(t.names()).toEqual([]);
    t.script.watch.send('BOOKMARK', bookmark(901, true));
    expect(t.names()).toEqual(['a@900', 'b@3']);
    expect(t.informer.asOf).toBe('901');
    await t.clock.advance(60_000);
    t.script.watch.send('MODIFIED', thing('b', 902));
    expect(t.names()).toEqual(['a@900', 'b@902']);
    expect(t.script.calls.length).toBe(1);
  });

  test('no progress for 30 s, or a server that refuses: lists from then on, remembered', async () => {
    const silent = setup({ watchList: true });
    await silent.clock.advance(20_000);
    silent.script.watch.send('ADDED', thing('a', 3));
    await silent.clock.advance(29_999);
    expect(silent.script.calls.length).toBe(1);
    await silent.clock.advance(1);
    expect(silent.script.list.options.resourceVersion).toBe('0');
    expect(silent.traits.watchList).toBe(false);

    const refusing = setup({ watchList: true });
    refusing.script.watch.fail(invalid({ group: '', kind: 'ListOptions' }, '', [{ field: 'sendInitialEvents' }]));
    await refusing.settle();
    expect(refusing.script.list.options.resourceVersion).toBe('0');
    expect(refusing.traits.watchList).toBe(false);
  });

  test('a server at revision 0 is synced anew rather than watched from "0", which would hide deletions', async () => {
    const t = setup({ watchList: true });
    t.script.watch.send('BOOKMARK', bookmark(0, true));
    t.script.watch.send('ADDED', thing('a', 5));
    await t.clock.advance(60_000);
    t.script.watch.end();
    expect(t.script.watch.options).toMatchObject({ resourceVersion: '5' });
    const early = setup({ watchList: true });
    early.script.watch.send('BOOKMARK', bookmark(0, true));
    await early.clock.advance(60_000);
    early.script.watch.end();
    expect(early.script.watch.options).toMatchObject({ resourceVersion: '0', sendInitialEvents: true });
  });

  test('an error before the end discards what was buffered', async () => {
    const t = setup({ watchList: true });
    t.script.watch.send('ADDED', thing('a', 3));
    t.script.watch.fail(serviceUnavailable('cut'));
    await t.clock.advance(2_000);
    t.script.watch.send('BOOKMARK', bookmark(9, true));
    expect(t.names()).toEqual([]);
    expect(t.informer.hasSynced()).toBe(true);
  });
});

describe('what handlers are told', () => {
  test('W10 deletions missed during a relist come as tombstones with the last state known', async () => {
    const t = await synced();
    t.script.watch.send('MODIFIED', thing('a', 6));
    t.script.watch.fail(expired('x'));
    await t.clock.advance(2_000);
    t.script.list.answer([], '9');
    await t.settle();
    expect(t.told).toEqual(['added a@3', 'updated a@6', 'deleted? a@6']);
  });

  test('W11 same name with a new uid is a deletion and an addition, from lists and from watches', async () => {
    const t = await synced();
    t.script.watch.fail(expired('x'));
    await t.clock.advance(2_000);
    t.script.list.answer([thing('a', 8, 'second')], '9');
    await t.settle();
    t.script.watch.send('MODIFIED', thing('a', 10, 'third'));
    expect(t.told.slice(1)).toEqual(['deleted? a@3', 'added second@8', 'deleted? second@8', 'added third@10']);
  });

  test('W12 the cache and its indexes are already changed when a handler runs', async () => {
    const t = await synced();
    const seen: unknown[] = [];
    t.informer.addHandler((change) => {
      seen.push([change.type, t.informer.byIndex('node', 'n1').length, t.informer.get('ns/b')?.metadata.name]);
    });
    t.script.watch.send('ADDED', thing('b', 6, 'uid-b', { spec: { nodeName: 'n1' } }));
    t.script.watch.send('MODIFIED', thing('b', 7, 'uid-b', { spec: { nodeName: 'n2' } }));
    t.script.watch.send('DELETED', thing('b', 8));
    expect(seen.slice(1)).toEqual([
      ['added', 1, 'b'],
      ['updated', 0, 'b'],
      ['deleted', 0, undefined],
    ]);
    expect(() => t.informer.byIndex('colour', 'red')).toThrow('no index "colour"');
  });

  test('W13 synced is per handler and only after the first list was handled; late ones get initial additions', async () => {
    const t = setup();
    let release = () => {};
    const slow = t.informer.addHandler(() => new Promise<void>((resolve) => (release = resolve)));
    t.script.list.answer([thing('a', 3)], '5');
    await t.settle();
    expect([t.informer.hasSynced(), slow.hasSynced()]).toEqual([true, false]);
    release();
    await t.settle();
    expect(slow.hasSynced()).toBe(true);
    const late: Change<KubeObject>[] = [];
    t.informer.changes().subscribe((change) => late.push(change));
    expect(late).toMatchObject([{ type: 'added', inInitialList: true }]);
  });

  test('W14 resync replays the cache without traffic and cannot resurrect', async () => {
    const t = await synced({ resyncMs: 10_000 }, [thing('a', 3), thing('b', 4)]);
    t.script.watch.send('DELETED', thing('a', 6));
    const calls = t.script.calls.length;
    await t.clock.advance(10_000);
    expect(t.told.slice(2)).toEqual(['deleted a@6', 'updated b@4']);
    expect(t.script.calls.length).toBe(calls);
    expect(() => setup({ resyncMs: 10 })).toThrow('1000');
  });

  test('W15 what a transform throws on is left out and counted; tombstones are not transformed again', async () => {
    let runs = 0;
    const transform = (o: KubeObject) => {
      runs++;
      if (o.metadata.name === 'bad') throw new Error('no');
      return { ...o, spec: undefined };
    };
    const t = await synced({ transform }, [thing('a', 3), thing('bad', 4)]);
    expect(t.names()).toEqual(['a@3']);
    expect(t.informer.stats.dropped).toBe(1);
    t.script.watch.fail(expired('x'));
    await t.clock.advance(2_000);
    t.script.list.answer([], '9');
    await t.settle();
    expect([runs, t.told.at(-1)]).toEqual([2, 'deleted? a@3']);
  });

  test('W16 throwing and stalled handlers hold up neither the informer nor each other', async () => {
    const t = await synced();
    t.informer.addHandler(() => {
      throw new Error('broken');
    });
    const slow: string[] = [];
    const gates: (() => void)[] = [];
    t.informer.addHandler((change) => {
      slow.push(`${change.type}@${change.object.metadata.resourceVersion}`);
      return new Promise<void>((resolve) => gates.push(resolve));
    });
    for (let rv = 6; rv < 1006; rv++) t.script.watch.send('MODIFIED', thing('a', rv));
    t.script.watch.send('ADDED', thing('b', 1006));
    t.script.watch.send('DELETED', thing('b', 1007));
    t.script.watch.send('DELETED', thing('a', 1008));
    t.script.watch.send('ADDED', thing('a', 1009, 'again'));
    expect(t.told.length).toBe(1 + 1000 + 4);
    for (let i = 0; i < 3; i++) {
      gates.shift()?.();
      await t.settle();
    }
    expect(slow).toEqual(['added@3', 'deleted@1008', 'added@1009']);
  });
});

describe('W17 own writes', () => {
  test('are visible at once; their echo is dropped, foreign changes in the window are not', async () => {
    const t = await synced();
    t.informer.recordWrite(thing('a', 8));
    expect(t.names()).toEqual(['a@8']);
    t.script.watch.send('MODIFIED', thing('a', 6));
    t.script.watch.send('MODIFIED', thing('a', 8));
    t.script.watch.send('MODIFIED', thing('a', 9));
    expect(t.told).toEqual(['added a@3', 'updated a@8', 'updated a@9']);
  });

  test('an answer that comes after the watch has already gone further changes nothing', async () => {
    const t = await synced();
    t.script.watch.send('MODIFIED', thing('a', 6));
    t.script.watch.send('DELETED', thing('a', 7));
    t.informer.recordWrite(thing('a', 6));
    expect(t.names()).toEqual([]);
  });

  test('survive a relist that is older than they are, and end with one that is not', async () => {
    const t = await synced();
    t.script.watch.fail(expired('x'));
    await t.clock.advance(2_000);
    const list = t.script.list;
    t.informer.recordWrite(thing('new', 12));
    t.informer.recordWrite(thing('a', 13));
    list.answer([thing('a', 3)], '10');
    await t.settle();
    expect(t.names()).toEqual(['a@13', 'new@12']);
    t.script.watch.fail(expired('x'));
    await t.clock.advance(4_000);
    t.script.list.answer([thing('a', 13)], '20');
    await t.settle();
    expect(t.names()).toEqual(['a@13']);
  });

  test('a deleted uid cannot come back by late news or an old list, but its name can', async () => {
    const t = await synced();
    t.informer.recordDelete({ namespace: 'ns', name: 'a' }, 'uid-a');
    expect(t.told.at(-1)).toBe('deleted a@3');
    t.script.watch.send('MODIFIED', thing('a', 6));
    expect(t.names()).toEqual([]);
    t.script.watch.fail(expired('x'));
    await t.clock.advance(2_000);
    t.script.list.answer([thing('a', 6)], '6');
    await t.settle();
    expect(t.names()).toEqual([]);
    t.script.watch.send('DELETED', thing('a', 7));
    t.script.watch.send('ADDED', thing('a', 9, 'second'));
    expect(t.told).toEqual(['added a@3', 'deleted a@3', 'added second@9']);
  });

  test('under a selector: leaving it by an own write is a deletion, and only creations it selects are seen at once', async () => {
    const t = await synced({ scope: { namespace: 'ns', labelSelector: 'app=x' } });
    t.informer.recordWrite(thing('stranger', 6));
    t.informer.recordWrite(thing('a', 8));
    t.script.watch.send('DELETED', thing('a', 8));
    t.informer.recordWrite({ ...thing('b', 9), metadata: { ...thing('b', 9).metadata, labels: { app: 'x' } } });
    expect(t.told).toEqual(['added a@3', 'updated a@8', 'deleted a@8', 'added b@9']);
  });
});

test('any stream of faults ends with the server’s state, never going back and never resurrecting', async () => {
  const action = fc.record({
    what: fc.constantFrom(
      'put',
      'put',
      'put',
      'delete',
      'own',
      'ownDelete',
      'end',
      'cut',
      'gone',
      'broken',
      'bookmark',
    ),
    name: fc.constantFrom('a', 'b', 'c'),
    lag: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const t = setup({ watchList: false });
      const server = new Map<string, KubeObject>();
      const log: { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: KubeObject; rv: number }[] = [];
      let rv = 10;
      let uid = 0;
      let sent = 0;
      const put = (name: string) => {
        const old = server.get(name);
        const object = thing(name, ++rv, old?.metadata.uid ?? `u${++uid}`);
        server.set(name, object);
        log.push({ type: old ? 'MODIFIED' : 'ADDED', object, rv });
        return object;
      };
      const drop = (name: string) => {
        const old = server.get(name);
        if (!old) return undefined;
        server.delete(name);
        const object = thing(name, ++rv, old.metadata.uid);
        log.push({ type: 'DELETED', object, rv });
        return object;
      };
      const serve = async () => {
        for (let i = 0; i < 50; i++) {
          const call = t.script.calls.at(-1)!;
          if (call.verb === 'list') {
            call.answer([...server.values()], String(rv));
            await t.settle();
          } else if (call.closed) await t.clock.advance(60_000);
          else {
            const from = Number(call.options.resourceVersion);
            for (const e of log) if (e.rv > Math.max(from, sent)) call.send(e.type, e.object);
            sent = rv;
            return;
          }
        }
        throw new Error(`never watching again: ${t.script.calls.at(-1)?.verb}`);
      };
      const seenRevision = new Map<string, number>();
      const gone = new Set<string>();
      t.informer.addHandler((change) => {
        const id = change.object.metadata.uid!;
        const at = Number(change.object.metadata.resourceVersion);
        expect(gone.has(id)).toBe(false);
        expect(at).toBeGreaterThanOrEqual(seenRevision.get(id) ?? 0);
        seenRevision.set(id, at);
        if (change.type === 'deleted') gone.add(id);
      });
      await serve();
      for (const { what, name, lag } of actions) {
        const call = t.script.calls.at(-1)!;
        const watch = call.verb === 'watch' && !call.closed ? call : undefined;
        if (what === 'put') put(name);
        else if (what === 'delete') drop(name);
        else if (what === 'own') t.informer.recordWrite(put(name));
        else if (what === 'ownDelete') {
          const object = drop(name);
          if (object) t.informer.recordDelete({ namespace: 'ns', name }, object.metadata.uid!);
        } else if (what === 'end') watch?.end();
        else if (what === 'cut') watch?.fail(serviceUnavailable('cut'));
        else if (what === 'gone') watch?.fail(expired('gone'));
        else if (what === 'broken') watch?.fail(internalError('malformed'));
        else if (watch && sent === rv) watch.send('BOOKMARK', bookmark(rv));
        if (!lag) await serve();
      }
      await serve();
      const names = [...server.values()].map((o) => `${o.metadata.uid}@${o.metadata.resourceVersion}`).sort();
      expect(
        t.informer
          .list()
          .map((o) => `${o.metadata.uid}@${o.metadata.resourceVersion}`)
          .sort(),
      ).toEqual(names);
    }),
    { numRuns: 200 },
  );
});
