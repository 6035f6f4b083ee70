import {
  expired,
  internalError,
  invalid,
  seededRandom,
  serviceUnavailable,
  timeout,
  tooManyRequests,
} from '@trimtab/machinery';
import fc from 'fast-check';
import { compareResourceVersions } from './resource-version.js';
import { bookmark, setup, synced, thing } from './testing/informer-under-test.js';

const compare = (a: string, b: string) => Math.sign(compareResourceVersions(a, b) ?? Number.NaN);

describe('resource versions', () => {
  test('W1: are ordered as decimals of any length and not at all otherwise', () => {
    expect(compare('9007199254740993', '9007199254740992')).toBe(1);
    expect(compare('99', '100')).toBe(-1);
    expect(compare('7', '7')).toBe(0);
    for (const odd of ['', '007', 'abc', '-1', '1.5']) expect(compareResourceVersions(odd, '1')).toBeUndefined();
  });
  test('W1: agree with big integers', () =>
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 80n }), fc.bigInt({ min: 0n, max: 2n ** 80n }), (a, b) => {
        expect(compare(`${a}`, `${b}`)).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    ));
});

describe('listing', () => {
  test('W2: first list from any state, then a watch from there with bookmarks and a drawn timeout', async () => {
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

  test('W3: pages carry no resource version and arrive as one replace at the first page’s revision', async () => {
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

  test('W3: a page that has expired falls back to one full list at the original revision', async () => {
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

  test('W2: a relist asks for nothing older than was seen; expired or too large asks for the newest at once', async () => {
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
  test('W4: a 410 keeps the cache, relists once, and replaces in one piece', async () => {
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

  test('W5: bookmarks advance the position and tell nobody; the next watch starts there', async () => {
    const t = await synced();
    t.script.watch.send('BOOKMARK', bookmark(77));
    expect(t.informer.asOf).toBe('77');
    await t.clock.advance(300_000);
    t.script.watch.end();
    expect(t.script.watch.options.resourceVersion).toBe('77');
    expect(t.told).toEqual(['added a@3']);
    expect(t.informer.stats.lists).toBe(1);
  });

  test('W5: a bookmark that says the same again still says that the server is there', async () => {
    const t = await synced();
    for (let minute = 1; minute <= 4; minute++) {
      await t.clock.advance(60_000);
      expect(t.informer.staleness()).toBe(60_000);
      t.script.watch.send('BOOKMARK', bookmark(77));
      expect([t.informer.staleness(), t.informer.asOf]).toEqual([0, '77']);
    }
    t.script.watch.send('ADDED', thing('b', 78));
    t.script.watch.send('BOOKMARK', bookmark(78));
    t.script.watch.send('BOOKMARK', bookmark(79));
    t.script.watch.end();
    expect([t.informer.asOf, t.script.watch.options.resourceVersion]).toEqual(['79', '79']);
    // A watch that has said no more than that has served all the same.
    t.script.watch.send('BOOKMARK', bookmark(79));
    const { length } = t.script.calls;
    t.script.watch.end();
    expect(t.script.calls.length).toBe(length + 1);
  });

  test('W7: the timeout of a watch is drawn from 5 to 10 minutes', async () => {
    const drawn = [];
    for (let seed = 1; seed <= 50; seed++) {
      const t = await synced({ random: seededRandom(seed) });
      drawn.push(t.script.watch.options.timeoutSeconds!);
    }
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(300);
    expect(Math.max(...drawn)).toBeLessThanOrEqual(600);
    expect(new Set(drawn).size).toBeGreaterThan(20);
  });

  test('W7: a watch that ends at once and empty backs off; one that served does not', async () => {
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

  test('W8: refusals and throttling watch again from the same place, ever more slowly, never relisting', async () => {
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

  test('W9: a watch that outlives its own timeout is given up and resumed', async () => {
    const t = await synced();
    const first = t.script.watch;
    await t.clock.advance((first.options.timeoutSeconds! + 5) * 1000);
    expect(first.closed).toBe(true);
    expect(t.script.watch).not.toBe(first);
    expect(t.script.watch.options.resourceVersion).toBe('5');
  });

  test('W16: a malformed stream is counted and forces a relist', async () => {
    const t = await synced();
    t.script.watch.fail(internalError('unable to decode a watch event'));
    await t.clock.advance(2_000);
    expect(t.script.list.options.resourceVersion).toBe('5');
    expect(t.informer.stats.failures).toBe(1);
  });

  test('W18: stop is final for whatever is outstanding, and start goes on with exactly one watch', async () => {
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

describe('watch lists', () => {
  test('W6: buffer until the end of the initial events, then go live on the same stream', async () => {
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

  test('W6: no progress for 30 s, or a server that refuses: lists from then on, remembered', async () => {
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

  test('W6: a server at revision 0 is synced anew rather than watched from "0", which would hide deletions', async () => {
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

  test('W6: an error before the end discards what was buffered', async () => {
    const t = setup({ watchList: true });
    t.script.watch.send('ADDED', thing('a', 3));
    t.script.watch.fail(serviceUnavailable('cut'));
    await t.clock.advance(2_000);
    t.script.watch.send('BOOKMARK', bookmark(9, true));
    expect(t.names()).toEqual([]);
    expect(t.informer.hasSynced()).toBe(true);
  });
});
