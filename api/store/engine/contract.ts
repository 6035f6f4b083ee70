import { type Batch, CompareFailedError, type Engine, type Follower, type Transaction, textOf } from './engine.js';

/** How a test has an engine: made once, and made again over the same data after a close. */
export interface EngineFixture {
  open(): Promise<Engine> | Engine;
  dispose?(): Promise<void> | void;
}

/** What a follower heard, and what was there when it came. */
export interface Heard {
  readonly engine: Engine;
  readonly opened: { readonly revision: number; readonly compacted: number; readonly batches: readonly Batch[] };
  readonly heard: Batch[];
}

export async function hear(engine: Engine, follower: Partial<Follower> = {}): Promise<Heard> {
  const heard: Batch[] = [];
  const { revision, compacted, batches } = await engine.open({ next: (batch) => heard.push(batch), ...follower });
  const all: Batch[] = [];
  for await (const some of batches) all.push(...some);
  return { engine, opened: { revision, compacted, batches: all }, heard };
}

export const put = (key: string, value = key, expect?: number): Transaction => ({
  compares: expect === undefined ? [] : [{ key, revision: expect }],
  changes: [{ key, value }],
  time: 1000,
});
export const del = (key: string, expect?: number): Transaction => ({
  compares: expect === undefined ? [] : [{ key, revision: expect }],
  changes: [{ key, value: undefined }],
  time: 1000,
});

/** `revision:key=value` of every change, `revision:key-` of a deletion. */
export const brief = (batches: readonly Batch[]): string[] =>
  batches.flatMap(({ revision, changes }) =>
    changes.map(({ key, value }) => `${revision}:${key}${value === undefined ? '-' : `=${textOf(value)}`}`),
  );

/** The state batches lead to, up to a revision. */
export function stateOf(batches: readonly Batch[], until = Number.POSITIVE_INFINITY): Record<string, string> {
  const state = new Map<string, string>();
  for (const { revision, changes } of batches)
    for (const { key, value } of revision <= until ? changes : [])
      if (value === undefined) state.delete(key);
      else state.set(key, textOf(value));
  return Object.fromEntries([...state].sort());
}

/** What any engine must pass. `make` gives one with nothing in it. */
export function engineContract(name: string, make: () => Promise<EngineFixture> | EngineFixture): void {
  describe(`${name} as an engine`, () => {
    let fixture: EngineFixture;
    let open: Engine[];
    const start = async () => {
      const engine = await fixture.open();
      open.push(engine);
      return hear(engine);
    };
    const restart = async ({ engine }: Heard) => {
      await engine.close();
      return start();
    };
    beforeEach(async () => {
      open = [];
      fixture = await make();
    });
    afterEach(async () => {
      for (const engine of open) await engine.close().catch(() => {});
      await fixture.dispose?.();
    });

    test('numbers transactions in call order, tells each once before it resolves, and only then', async () => {
      const { engine, heard } = await start();
      const seen: number[] = [];
      const revisions = await Promise.all(
        ['a', 'b', 'c'].map(async (key) => {
          const revision = await engine.transact(put(key));
          seen.push(heard.filter((batch) => batch.revision === revision).length);
          return revision;
        }),
      );
      // Among others, those of different keys may pass each other on the way.
      if (engine.next !== undefined) expect([...revisions].sort((x, y) => x - y)).toEqual(revisions);
      expect(new Set(revisions).size).toBe(3);
      expect(seen).toEqual([1, 1, 1]);
      const told = ['a', 'b', 'c'].map((key, i) => [revisions[i]!, `${revisions[i]}:${key}=${key}`] as const);
      expect(brief(heard)).toEqual(told.sort(([a], [b]) => a - b).map(([, text]) => text));
      expect(await engine.confirm()).toBe(Math.max(...revisions));
      expect(engine.health.writable).toBe(true);
    });

    test('knows the next revision where it says so', async () => {
      const { engine } = await start();
      for (const key of ['a', 'b']) {
        const { next } = engine;
        const revision = await engine.transact(put(key));
        if (next !== undefined) expect(revision).toBe(next);
      }
    });

    test('lets one of many that race for a name win, and says what the others met', async () => {
      const { engine, heard } = await start();
      const results = await Promise.allSettled(['1', '2', '3', '4'].map((v) => engine.transact(put('a', v, 0))));
      const won = results.filter((r) => r.status === 'fulfilled');
      expect(won).toHaveLength(1);
      const lost = results.flatMap((r) => (r.status === 'rejected' ? [r.reason as unknown] : []));
      for (const error of lost) expect(error).toEqual(new CompareFailedError({ key: 'a', revision: 0 }, won[0]!.value));
      expect(heard).toHaveLength(1);
    });

    test('applies several keys as one revision, or none of them', async () => {
      const { engine, heard } = await start();
      const first = await engine.transact({
        compares: [{ key: 'a', revision: 0 }],
        changes: ['a', 'b', 'c'].map((key) => ({ key, value: '1' })),
        time: 5,
      });
      const failing: Transaction = {
        compares: [
          { key: 'a', revision: first },
          { key: 'b', revision: first + 7 },
        ],
        changes: [
          { key: 'a', value: '2' },
          { key: 'c', value: undefined },
        ],
        time: 6,
      };
      await expect(engine.transact(failing)).rejects.toEqual(
        new CompareFailedError({ key: 'b', revision: first + 7 }, first),
      );
      expect(heard).toHaveLength(1);
      expect(heard[0]!.changes).toHaveLength(3);
      expect(stateOf(heard)).toEqual({ a: '1', b: '1', c: '1' });
      const second = await engine.transact({ ...failing, compares: [{ key: 'b', revision: first }] });
      expect(second).toBeGreaterThan(first);
      expect(stateOf(heard)).toEqual({ a: '2', b: '1' });
    });

    test('only compares where nothing is to be changed', async () => {
      const { engine, heard } = await start();
      const revision = await engine.transact(put('a'));
      const compare = (expected: number) => ({ compares: [{ key: 'a', revision: expected }], changes: [], time: 1 });
      expect(await engine.transact(compare(revision))).toBe(revision);
      await expect(engine.transact(compare(revision + 1))).rejects.toThrow(CompareFailedError);
      expect(heard).toHaveLength(1);
    });

    test('gives everything back after a restart, with its history, and goes on counting', async () => {
      const one = await start();
      await one.engine.transact(put('a', 'Größe ☃ 1'));
      await one.engine.transact(put('a', '2'));
      await one.engine.transact(put('b', new TextDecoder().decode(new Uint8Array(5000).fill(120))));
      const last = await one.engine.transact(del('a'));
      const two = await restart(one);
      expect(brief(two.opened.batches)).toEqual(brief(one.heard));
      expect(two.opened.revision).toBe(last);
      expect(await two.engine.transact(put('c'))).toBeGreaterThan(last);
      await expect(two.engine.transact(put('b', 'x', 0))).rejects.toThrow(CompareFailedError);
      const three = await restart(two);
      expect(Object.keys(stateOf(three.opened.batches))).toEqual(['b', 'c']);
    });

    test('keeps bytes that are no text', async () => {
      const one = await start();
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      await one.engine.transact({ compares: [], changes: [{ key: 'x', value: bytes }], time: 1 });
      const two = await restart(one);
      const { value } = two.opened.batches[0]!.changes[0]!;
      expect([...(value as Uint8Array)]).toEqual([...bytes]);
    });

    test('after compaction and restarts has the state at every revision it still tells, and never a used revision', async () => {
      let now = await start();
      const all: Batch[] = [];
      let newest = 0;
      for (let round = 0; round < 6; round++) {
        for (let i = 0; i < 30; i++) {
          const key = `k${(i * 7 + round) % 11}`;
          const revision = await now.engine.transact(i % 3 === 2 ? del(key) : put(key, `${round}.${i}`));
          expect(revision).toBeGreaterThan(newest);
          newest = revision;
        }
        all.push(...now.heard);
        await now.engine.compact(newest - 10);
        if (round === 4) await now.engine.compact(newest);
        now = await restart(now);
        expect(now.opened.revision).toBe(newest);
        for (let r = now.opened.compacted; r <= newest; r++)
          expect(stateOf(now.opened.batches, r)).toEqual(stateOf(all, r));
        const kept = now.opened.batches.filter((batch) => batch.revision > now.opened.compacted);
        expect(brief(kept)).toEqual(brief(all.filter((batch) => batch.revision > now.opened.compacted)));
      }
    });

    test('refuses after its close', async () => {
      const { engine } = await start();
      await engine.transact(put('a'));
      await engine.close();
      await expect(engine.transact(put('b'))).rejects.toThrow(/closed/);
    });
  });
}
