import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type Random, seededRandom } from '@trimtab/machinery';
import { open as openLmdb } from 'lmdb';
import { SimulatedDisk, systemError } from '../../testing/simulated-disk.js';
import { brief, del, type Heard, hear, put, stateOf } from '../contract.js';
import { type Engine, StoreFailedError } from '../engine.js';
import { embeddedEngine, engineOn } from './embedded.js';

const SMALL = { segmentBytes: { least: 2000, most: 2000 } };
const keys = ['/pods\0a\0x', '/pods\0a\0y', '/pods\0b\0x', '/secrets\0a\0s', '/configmaps\0a\0long'];

/** Everything that was ever tried, and what of it was acknowledged. */
class Past {
  readonly tried: { readonly revision: number; readonly changes: string[] }[] = [];
  acknowledged = 0;
  compacted = 0;

  /** What a restart gives back must be an unbroken run of what was tried, and hold at least what was acknowledged. */
  check({ opened }: Heard): void {
    expect(opened.revision).toBeGreaterThanOrEqual(this.acknowledged);
    expect(opened.compacted).toBeLessThanOrEqual(this.compacted);
    const survived = this.tried.filter(({ revision }) => revision <= opened.revision);
    const kept = survived.filter(({ revision }) => revision > opened.compacted);
    const found = opened.batches.filter(({ revision }) => revision > opened.compacted);
    expect(found.map(({ revision }) => revision)).toEqual(kept.map(({ revision }) => revision));
    expect(brief(found)).toEqual(kept.flatMap(({ changes }) => changes));
    for (const revision of new Set([opened.compacted, opened.revision]))
      expect(stateOf(opened.batches, revision)).toEqual(modelState(survived, revision));
    // What did not survive was never acknowledged, and never will have been.
    this.tried.splice(survived.length);
  }
}

function modelState(tried: Past['tried'], until: number): Record<string, string> {
  const state = new Map<string, string>();
  for (const { revision, changes } of tried)
    for (const change of revision <= until ? changes : []) {
      const [, key, value] = /^\d+:([^=]*?)(?:=(.*)|-)$/s.exec(change)!;
      if (value === undefined) state.delete(key!);
      else state.set(key!, value);
    }
  return Object.fromEntries([...state].sort());
}

/** Writes until the disk stops, keeping several transactions under way. */
function traffic(engine: Engine, random: Random, past: Past, count: number): Promise<unknown> {
  const pick = <T>(items: readonly T[]) => items[Math.floor(random.next() * items.length)]!;
  const writer = async (n: number) => {
    for (let i = 0; i < count; i++) {
      const several = [...new Set(Array.from({ length: 1 + Math.floor(random.next() * 3) }, () => pick(keys)))];
      const changes = several.map((key) => ({
        key,
        value: random.next() < 0.3 ? undefined : `${n}.${i}.${'v'.repeat(random.next() * 900)}`,
      }));
      const revision = engine.next!;
      if (past.tried.some((earlier) => earlier.revision >= revision))
        throw new Error(`revision ${revision} used again`);
      const done = engine.transact({ compares: [], changes, time: i });
      past.tried.push({ revision, changes: brief([{ revision, changes }]) });
      try {
        past.acknowledged = Math.max(past.acknowledged, await done);
      } catch {
        const refused = past.tried.findIndex((earlier) => earlier.revision === revision);
        if (refused >= 0) past.tried.splice(refused, 1);
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (random.next() < 0.2) {
        past.compacted = Math.max(past.compacted, past.acknowledged - 5);
        await engine.compact(past.acknowledged - 5);
      }
    }
  };
  return Promise.all([1, 2, 3].map(writer));
}

const settled = async (disk: SimulatedDisk): Promise<void> => {
  for (let before = -1; before !== disk.operations; ) {
    before = disk.operations;
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
  }
};

/** One life after another on one disk, each ended by a crash at an operation of the seed's choice. */
async function crashes(seed: number, how: 'power' | 'kill', full = false): Promise<number> {
  const random = seededRandom(seed);
  let disk = new SimulatedDisk();
  const past = new Past();
  for (let life = 0; life < 6; life++) {
    let crashed: SimulatedDisk | undefined;
    let left = Math.floor(random.next() * 120);
    const limit = full ? disk.bytes + 3000 + Math.floor(random.next() * 4000) : Number.POSITIVE_INFINITY;
    disk.capacity = limit;
    const now = disk;
    now.failpoint = async () => {
      if (now.capacity === limit && random.next() < 0.02) now.capacity = Number.POSITIVE_INFINITY;
      if (--left > 0 || crashed !== undefined) return;
      crashed = how === 'power' ? now.losePower(random) : now.killProcess();
    };
    const engine = engineOn(now, SMALL);
    const life_ = async () => {
      const heard = await hear(engine);
      past.check(heard);
      await traffic(engine, random, past, 40);
    };
    // Nothing that waits for a dead disk ever goes on.
    let failure: unknown;
    let ended = false;
    life_().then(
      () => (ended = true),
      (error) => (failure = error),
    );
    await settled(now);
    if (failure !== undefined) throw failure;
    if (crashed === undefined && !ended) throw new Error('stuck');
    if (crashed === undefined) await engine.close();
    disk = crashed ?? now.killProcess();
  }
  const heard = await hear(engineOn(disk, SMALL));
  past.check(heard);
  return past.acknowledged;
}

describe('whatever is acknowledged outlives', () => {
  const seeds = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

  test.each([
    ['a loss of power', 'power', false],
    ['the death of the process', 'kill', false],
    ['a loss of power on a disk that fills up', 'power', true],
  ] as const)('%s at any operation', async (_what, how, full) => {
    let acknowledged = 0;
    for (const seed of seeds(1, 60)) {
      try {
        acknowledged += await crashes(seed, how, full);
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
    expect(acknowledged).toBeGreaterThan(2000);
  });
});

/** A loss of power that leaves nothing that was not synced. */
const nothing: Random = { ...seededRandom(1), next: () => 0 };

describe('reproducers', () => {
  test.each([0, 1])(
    'what a killed process wrote and the next one tells of outlives the power, with %d writes after it',
    async (after) => {
      const first = new SimulatedDisk();
      const { engine } = await hear(engineOn(first, SMALL));
      await engine.transact(put('a', 'x'));
      first.failpoint = (operation) => (operation === 'sync' ? new Promise(() => {}) : undefined);
      void engine.transact(put('a', 'y'.repeat(600)));
      await settled(first);
      const second = first.killProcess();
      const next = await hear(engineOn(second, SMALL));
      expect(next.opened.revision).toBe(2);
      for (let i = 0; i < after; i++) await next.engine.transact(put('b', 'z'));
      const last = await hear(engineOn(second.losePower(nothing), SMALL));
      expect(last.opened.batches).toHaveLength(2 + after);
    },
  );

  test('a process that dies with a new and empty segment leaves no revision to be read that never was', async () => {
    let disk = new SimulatedDisk();
    const first = await hear(engineOn(disk, SMALL));
    for (let i = 0; i < 3; i++) await first.engine.transact(put('a', 'x'.repeat(900)));
    disk = disk.killProcess();
    const second = await hear(engineOn(disk, SMALL));
    let killed: SimulatedDisk | undefined;
    let created = '';
    disk.failpoint = (operation, name) => {
      if (operation === 'create') created = name;
      if (operation === 'syncNames' && created !== '') killed ??= disk.copy();
    };
    void second.engine.transact(put('a', 'y'.repeat(1900)));
    await settled(disk);
    const third = await hear(engineOn(killed!, SMALL));
    expect(third.opened.revision).toBe(3);
    expect(third.engine.next).toBeGreaterThan(second.engine.next!);
  });
});

describe('a disk that', () => {
  test('is full refuses writes in words, goes on reading, and writes again by itself when there is room', async () => {
    const disk = new SimulatedDisk();
    const { engine, heard } = await hear(engineOn(disk));
    await engine.transact(put('a'));
    disk.capacity = disk.bytes + 100;
    const refused = await Promise.allSettled([1, 2].map((n) => engine.transact(put(`b${n}`, 'x'.repeat(200)))));
    for (const result of refused)
      expect(result).toMatchObject({ reason: { message: expect.stringMatching(/disk is full; free some space/) } });
    expect(engine.health).toMatchObject({ writable: false, reason: expect.stringContaining('/simulated') });
    disk.capacity = Number.POSITIVE_INFINITY;
    await engine.transact(put('c'));
    expect(engine.health.writable).toBe(true);
    expect(Object.keys(stateOf(heard))).toEqual(['a', 'c']);
    const again = await hear(engineOn(disk.killProcess()));
    expect(Object.keys(stateOf(again.opened.batches))).toEqual(['a', 'c']);
  });

  test('is slow makes one write of everything that comes meanwhile', async () => {
    const disk = new SimulatedDisk();
    const { engine } = await hear(engineOn(disk));
    await engine.transact(put('a'));
    let syncs = 0;
    disk.failpoint = (operation) => {
      if (operation === 'sync') syncs++;
      return new Promise((resolve) => setImmediate(resolve));
    };
    const first = engine.transact(put('b'));
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([first, ...Array.from({ length: 500 }, (_, i) => engine.transact(put(`k${i}`)))]);
    expect(syncs).toBe(2);
  });

  test('is slow keeps back the news of what was met until that is on disk', async () => {
    const disk = new SimulatedDisk();
    const { engine } = await hear(engineOn(disk));
    await engine.transact(put('a'));
    let go = () => {};
    const reached = new Promise<void>((resolve) => {
      disk.failpoint = (operation) => {
        if (operation !== 'sync') return undefined;
        resolve();
        return new Promise((release) => (go = release));
      };
    });
    const told: string[] = [];
    const first = engine.transact(put('b', '1', 0)).then(() => told.push('made'));
    const second = engine.transact(put('b', '2', 0)).catch((error: Error) => told.push(error.name));
    const third = engine
      .transact({ compares: [{ key: 'a', revision: 1 }], changes: [], time: 1 })
      .then(() => told.push('read'));
    await reached;
    await settled(disk);
    expect(told).toEqual([]);
    go();
    await Promise.all([first, second, third]);
    expect(told.sort()).toEqual(['CompareFailedError', 'made', 'read']);
  });

  test('cannot sync has nothing acknowledged, and what it may have kept is gone', async () => {
    const disk = new SimulatedDisk();
    const { engine } = await hear(engineOn(disk));
    await engine.transact(put('a'));
    disk.failpoint = (operation) => {
      if (operation === 'sync') throw systemError('EIO', 'i/o error, fdatasync');
    };
    await expect(engine.transact(put('b'))).rejects.toThrow(/EIO/);
    disk.failpoint = () => {};
    await engine.transact(put('c'));
    const again = await hear(engineOn(disk.killProcess()));
    expect(Object.keys(stateOf(again.opened.batches))).toEqual(['a', 'c']);
  });
});

describe('a damaged byte', () => {
  test('anywhere is refused by name of file, and of key and revision where a value has it; never served', async () => {
    const disk = new SimulatedDisk();
    const { engine } = await hear(engineOn(disk, SMALL));
    for (let i = 0; i < 12; i++) await engine.transact(put(keys[i % 5]!, `value ${i} ${'z'.repeat(300)}`));
    await engine.close();
    const named = new Set<string>();
    for (const name of (await disk.names()).filter((n) => n.endsWith('.log'))) {
      const { length } = await disk.read(name);
      for (let at = 0; at < length; at += 3) {
        const copy = disk.copy();
        copy.flip(name, at);
        const opened = hear(engineOn(copy, SMALL));
        const error = await opened.then(
          () => undefined,
          (e: unknown) => e,
        );
        expect(error).toBeInstanceOf(StoreFailedError);
        const { message } = error as Error;
        expect(message).toContain(`/simulated/${name}: `);
        expect(message).toMatch(/damaged.*mend: trimtab snapshot restore/);
        const value = /: (\S+ \S+) at revision (\d+) is damaged/.exec(message);
        if (value) named.add(`${value[1]}@${value[2]}`);
      }
    }
    expect([...named].sort()).toEqual(
      Array.from({ length: 12 }, (_, i) => {
        const [resource, namespace, name] = keys[i % 5]!.split('\0');
        return `${resource} ${namespace}/${name}@${i + 1}`;
      }).sort(),
    );
  });
});

describe('compaction', () => {
  test('keeps the disk below three times what is live and kept, whatever is overwritten', async () => {
    const disk = new SimulatedDisk();
    const { engine } = await hear(engineOn(disk, { segmentBytes: { least: 20_000, most: 20_000 } }));
    const value = 'x'.repeat(1000);
    let most = 0;
    for (let i = 0; i < 3000; i++) {
      const revision = await engine.transact(put(`k${(i * 31) % 100}`, value));
      if (i % 10 === 0) await engine.compact(revision - 20);
      if (i > 200) most = Math.max(most, disk.bytes);
    }
    expect(most).toBeLessThan(3 * (100 + 30) * 1060);
    expect((await disk.names()).length).toBeLessThan(40);
  });

  test('lets deletions go once nothing they delete is left, and not before', async () => {
    let disk = new SimulatedDisk();
    const options = { segmentBytes: { least: 1000, most: 1000 } };
    let { engine } = await hear(engineOn(disk, options));
    for (let round = 0; round < 8; round++) {
      let revision = 0;
      for (let i = 0; i < 60; i++) {
        await engine.transact(put(`job-${round}-${i}`, 'y'.repeat(100)));
        revision = await engine.transact(del(`job-${round}-${i}`));
        if (i === 10) await engine.transact(put(`stays-${round}`));
      }
      await engine.compact(revision);
      await settled(disk);
      disk = disk.killProcess();
      const again = await hear(engineOn(disk, options));
      expect(Object.keys(stateOf(again.opened.batches))).toEqual(
        Array.from({ length: round + 1 }, (_, r) => `stays-${r}`),
      );
      engine = again.engine;
    }
    expect(disk.bytes).toBeLessThan(5000);
  });
});

describe('the format', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'trimtab-format-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('of a newer version is refused in words, and so is one that is none', async () => {
    const engine = await embeddedEngine(directory);
    await hear(engine);
    await engine.close();
    for (const [text, words] of [
      ['trimtab store 3\n', /has format 3, this version of trimtab reads up to 2: use the version that wrote it/],
      ['what?\n', /format does not name a format/],
    ] as const) {
      writeFileSync(join(directory, 'format'), text);
      const refused = await embeddedEngine(directory);
      await expect(hear(refused)).rejects.toThrow(words);
      await refused.close();
    }
  });

  test('of version 1 is brought to this one, with state, history and revisions', async () => {
    const root = openLmdb({ path: `${directory}/store.mdb`, overlappingSync: false, maxDbs: 4 });
    const records = root.openDB<Buffer, number>({ name: 'records', encoding: 'binary' });
    const notes = root.openDB<number, string>({ name: 'notes', encoding: 'json' });
    const record = (revision: number, index: number, key: string, value: string) => {
      const bytes = Buffer.concat([Buffer.alloc(6), Buffer.from(key), Buffer.from(value)]);
      bytes.writeUInt16LE(Buffer.byteLength(key), 4);
      bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
      return records.put(revision * 1024 + index, bytes);
    };
    await notes.put('format', 1);
    await notes.put('compacted', 4);
    await notes.put('revision', 4);
    await record(2, 0, 'a', 'old');
    await record(5, 0, 'a', 'new');
    await record(5, 1, 'b', 'both');
    await record(6, 0, 'b', '');
    await root.close();
    for (let start = 0; start < 2; start++) {
      const { engine, opened } = await hear(await embeddedEngine(directory));
      expect([opened.revision, opened.compacted]).toEqual([6, 4]);
      expect(brief(opened.batches)).toEqual(['2:a=old', '5:a=new', '5:b=both', '6:b-']);
      expect(engine.next).toBe(7);
      await engine.close();
    }
    expect((await readdir(directory)).sort()).toEqual(['0000000000000001.log', 'format']);
  });
});
