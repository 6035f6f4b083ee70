import { ConfigMaps, type KubeObject } from '@trimtab/machinery';
import fc from 'fast-check';
import { testServer } from './http/testing.js';
import { Pace } from './pace.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('of a burst the first steps are taken at once, and others have their turn before the rest', async () => {
  const pace = new Pace({ now: () => 0 }, 8);
  const seen: (number | string)[] = [];
  pace.step(() => seen.push(0));
  expect(seen).toEqual([0]);
  for (let i = 1; i < 20; i++) pace.step(() => seen.push(i));
  setImmediate(() => seen.push('another'));
  for (let i = 0; i < 10; i++) await turn();
  expect(seen.filter((step) => step !== 'another')).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(seen.indexOf('another')).toBeLessThan(19);
  expect(pace.backlog).toBe(0);
});

test('the longer steps take the fewer go into a turn, never none, and more again when they are short', async () => {
  let now = 0;
  const pace = new Pace({ now: () => now }, 8);
  let taken = 0;
  const steps = (ms: number) => {
    for (let i = 0; i < 60; i++)
      pace.step(() => {
        taken++;
        now += ms;
      });
  };
  const perTurn = async () => {
    const counts: number[] = [];
    while (pace.backlog > 0) {
      const before = taken;
      await turn();
      counts.push(taken - before);
    }
    return counts;
  };
  steps(20);
  const long = await perTurn();
  expect(long.slice(0, -1).every((count) => count >= 1)).toBe(true);
  expect(long.slice(10, -1).every((count) => count === 1)).toBe(true);
  steps(0);
  const short = await perTurn();
  expect(Math.max(...short)).toBeGreaterThan(4);
  expect(taken).toBe(120);
});

test('whatever is asked for when, nothing overtakes and nothing is lost', async () => {
  const asked = fc.array(fc.record({ waits: fc.boolean(), turns: fc.nat(2), ms: fc.nat(40) }), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(asked, async (steps) => {
      let now = 0;
      const pace = new Pace({ now: () => now }, 8);
      const seen: number[] = [];
      const waiting: Promise<void>[] = [];
      for (const [i, { waits, turns, ms }] of steps.entries()) {
        const take = () => {
          seen.push(i);
          now += ms;
        };
        if (waits) {
          const wait = pace.turn();
          if (wait) waiting.push(wait.then(take));
          else take();
        } else pace.step(take);
        for (let t = 0; t < turns; t++) await turn();
      }
      await Promise.all(waiting);
      while (pace.backlog > 0) await turn();
      // A promise goes on after the turn that settles it, a step within it: only each kind is in order among its own.
      for (const waits of [true, false]) {
        const own = seen.filter((i) => steps[i]!.waits === waits);
        expect(own).toEqual([...own].sort((a, b) => a - b));
      }
      expect(seen).toHaveLength(steps.length);
    }),
    { numRuns: 50 },
  );
});

test('writes that parts of this process begin all at once let requests through between them', async () => {
  const api = await testServer();
  try {
    const writes = Array.from({ length: 400 }, (_, i) =>
      api.admin.create(ConfigMaps, { metadata: { namespace: 'default', name: `m${i}` } }),
    );
    const there = async () => (await api.admin.list(ConfigMaps, { namespace: 'default' })).items.length;
    await turn();
    expect(await there()).toBeLessThan(400);
    await Promise.all(writes);
    expect(await there()).toBe(400);
  } finally {
    await api.close();
  }
});

test('a part of this process hears of every write once and in order, and of its own before it goes on', async () => {
  const api = await testServer();
  try {
    const seen: KubeObject[] = [];
    const watching = api.admin.watch(ConfigMaps, { namespace: 'default' }).subscribe(({ object }) => seen.push(object));
    await turn();
    const names = Array.from({ length: 200 }, (_, i) => `m${i}`);
    const knew = await Promise.all(
      names.map(async (name) => {
        await api.admin.create(ConfigMaps, { metadata: { namespace: 'default', name } });
        return seen.some((object) => object.metadata.name === name);
      }),
    );
    expect(knew).toEqual(names.map(() => true));
    expect(seen.map((object) => object.metadata.name).sort()).toEqual([...names].sort());
    const revisions = seen.map((object) => Number(object.metadata.resourceVersion));
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
    watching.unsubscribe();
  } finally {
    await api.close();
  }
});
