import { expired, internalError, type KubeObject, serviceUnavailable } from '@trimtab/machinery';
import fc from 'fast-check';
import type { Change } from './change.js';
import { bookmark, setup, synced, thing } from './testing/informer-under-test.js';

describe('what handlers are told', () => {
  test('W10: deletions missed during a relist come as tombstones with the last state known', async () => {
    const t = await synced();
    t.script.watch.send('MODIFIED', thing('a', 6));
    t.script.watch.fail(expired('x'));
    await t.clock.advance(2_000);
    t.script.list.answer([], '9');
    await t.settle();
    expect(t.told).toEqual(['added a@3', 'updated a@6', 'deleted? a@6']);
  });

  test('W11: same name with a new uid is a deletion and an addition, from lists and from watches', async () => {
    const t = await synced();
    t.script.watch.fail(expired('x'));
    await t.clock.advance(2_000);
    t.script.list.answer([thing('a', 8, 'second')], '9');
    await t.settle();
    t.script.watch.send('MODIFIED', thing('a', 10, 'third'));
    expect(t.told.slice(1)).toEqual(['deleted? a@3', 'added second@8', 'deleted? second@8', 'added third@10']);
  });

  test('W12: the cache and its indexes are already changed when a handler runs', async () => {
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

  test('W13: synced is per handler and only after the first list was handled; late ones get initial additions', async () => {
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

  test('W14: resync replays the cache without traffic and cannot resurrect', async () => {
    const t = await synced({ resyncMs: 10_000 }, [thing('a', 3), thing('b', 4)]);
    t.script.watch.send('DELETED', thing('a', 6));
    const calls = t.script.calls.length;
    await t.clock.advance(10_000);
    expect(t.told.slice(2)).toEqual(['deleted a@6', 'updated b@4']);
    expect(t.script.calls.length).toBe(calls);
    expect(() => setup({ resyncMs: 10 })).toThrow('1000');
  });

  test('W15: what a transform throws on is left out and counted; tombstones are not transformed again', async () => {
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

  test('row 4: metadata alone is asked for and kept, whatever the server sends', async () => {
    const t = setup({ scope: { metadataOnly: true } });
    expect(t.script.list.options).toMatchObject({ metadataOnly: true });
    t.script.list.answer(
      [{ ...thing('a', 3), kind: 'PartialObjectMetadata' }, thing('b', 4, 'uid-b', { spec: { big: 1 } })],
      '5',
    );
    await t.settle();
    expect(t.script.watch.options).toMatchObject({ metadataOnly: true });
    t.script.watch.send('MODIFIED', thing('a', 6, 'uid-a', { spec: { big: 1 } }));
    expect(t.informer.list().map((o) => [o.kind, Object.keys(o)])).toEqual([
      ['Thing', ['apiVersion', 'kind', 'metadata']],
      ['Thing', ['apiVersion', 'kind', 'metadata']],
    ]);
  });

  test('W16: throwing and stalled handlers hold up neither the informer nor each other', async () => {
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

describe('own writes', () => {
  test('W17: are visible at once; their echo is dropped, foreign changes in the window are not', async () => {
    const t = await synced();
    t.informer.recordWrite(thing('a', 8));
    expect(t.names()).toEqual(['a@8']);
    t.script.watch.send('MODIFIED', thing('a', 6));
    t.script.watch.send('MODIFIED', thing('a', 8));
    t.script.watch.send('MODIFIED', thing('a', 9));
    expect(t.told).toEqual(['added a@3', 'updated a@8', 'updated a@9']);
  });

  test('W17: an answer that comes after the watch has already gone further changes nothing', async () => {
    const t = await synced();
    t.script.watch.send('MODIFIED', thing('a', 6));
    t.script.watch.send('DELETED', thing('a', 7));
    t.informer.recordWrite(thing('a', 6));
    expect(t.names()).toEqual([]);
  });

  test('W17: survive a relist that is older than they are, and end with one that is not', async () => {
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

  test('W17: a deleted uid cannot come back by late news or an old list, but its name can', async () => {
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

  test('W17: under a selector: leaving it by an own write is a deletion, and only creations it selects are seen at once', async () => {
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
