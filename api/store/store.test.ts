import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KubeObject, VirtualClock } from '@trimtab/machinery';
import fc from 'fast-check';
import { engineOn } from './engine/embedded/embedded.js';
import type { Engine } from './engine/engine.js';
import {
  CompactedError,
  ConflictError,
  DirectoryInUseError,
  directoryHolder,
  embeddedEngine,
  FutureRevisionError,
  memoryEngine,
  openStore,
  type Store,
  type StoreEvent,
  type StoreKey,
} from './index.js';
import { SimulatedDisk, systemError } from './testing/simulated-disk.js';
import * as tree from './tree.js';

const key = (name: string, namespace = 'default', resource = '/pods'): StoreKey => ({ resource, namespace, name });
const pod = (name: string, n = 0): KubeObject & { n: number } => ({ metadata: { name }, n });
const put = (name: string, n = 0, expect?: number) => ({
  type: 'put' as const,
  key: key(name),
  object: pod(name, n),
  expect,
});
const del = (name: string, expect?: number) => ({ type: 'delete' as const, key: key(name), expect });
const open = (engine: Engine = memoryEngine(), clock = new VirtualClock()): Promise<Store> =>
  openStore({ engine, clock });
const names = (store: Store, revision?: number) =>
  [...store.snapshot(revision).range({ resource: '/pods' })].map((e) => e.key.name);

function record(store: Store, from: number, scope = {}): StoreEvent[] {
  const events: StoreEvent[] = [];
  store.watch({ resource: '/pods', ...scope }, from).subscribe((e) => events.push(e));
  return events;
}

const brief = (events: readonly StoreEvent[]) => events.map((e) => `${e.revision}:${e.type}:${e.key.name}`);

describe('the ordered tree', () => {
  test('behaves as a sorted map, keeps old roots untouched and stays balanced', () => {
    const op = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 60 }));
    fc.assert(
      fc.property(fc.array(op, { maxLength: 300 }), (ops) => {
        let root: tree.Tree<number> | undefined;
        const model = new Map<string, number>();
        for (const [insert, n] of ops) {
          const name = String(n).padStart(3, '0');
          const before = root;
          const had = [...tree.range(before)];
          if (insert) model.set(name, n);
          else model.delete(name);
          root = insert ? tree.set(root, name, n) : tree.remove(root, name);
          expect([...tree.range(before)]).toEqual(had);
        }
        const sorted = [...model.keys()].sort();
        expect([...tree.range(root)]).toEqual(sorted.map((k) => model.get(k)));
        expect(tree.size(root)).toBe(sorted.length);
        expect(tree.rank(root, '030')).toBe(sorted.filter((k) => k < '030').length);
        expect([...tree.range(root, '010', '020')]).toEqual(
          sorted.filter((k) => k >= '010' && k < '020').map((k) => model.get(k)),
        );
      }),
    );
  });

  test('has logarithmic depth after ordered insertion', () => {
    let root: tree.Tree<number> | undefined;
    for (let i = 0; i < 10_000; i++) root = tree.set(root, String(i).padStart(6, '0'), i);
    const depth = (t: tree.Tree<number> | undefined): number => (t ? 1 + Math.max(depth(t.left), depth(t.right)) : 0);
    expect(depth(root)).toBeLessThan(28);
  });
});

describe('commits', () => {
  test('stamp one new revision on every object and return what was stored', async () => {
    const store = await open();
    const { revision, entries } = await store.commit([put('a'), put('b')]);
    expect(revision).toBe(1);
    expect(entries.map((e) => e?.object.metadata.resourceVersion)).toEqual(['1', '1']);
    expect(store.snapshot().get(key('a'))?.object).toEqual({ metadata: { name: 'a', resourceVersion: '1' }, n: 0 });
  });

  test('of which one expectation fails change nothing at all', async () => {
    const store = await open();
    await store.commit([put('a')]);
    await expect(store.commit([put('b'), put('a', 1, 7)])).rejects.toEqual(new ConflictError(key('a'), 7, 1));
    expect(names(store)).toEqual(['a']);
    expect(store.revision).toBe(1);
  });

  test('racing to create one name give one winner, though neither is durable yet', async () => {
    const store = await open();
    const results = await Promise.allSettled([store.commit([put('a', 1, 0)]), store.commit([put('a', 2, 0)])]);
    expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected']);
    expect(store.snapshot().get(key('a'))?.object).toMatchObject({ n: 1 });
  });

  test('deleting what is absent change nothing; deleting what is there answer its last state', async () => {
    const store = await open();
    expect(await store.commit([del('a')])).toEqual({ revision: 0, entries: [undefined] });
    await store.commit([put('a', 5)]);
    const { entries } = await store.commit([del('a', 1)]);
    expect(entries[0]?.object).toEqual({ metadata: { name: 'a', resourceVersion: '2' }, n: 5 });
  });

  test('are invisible to readers and watchers until the engine says they are on disk', async () => {
    const disk = new SimulatedDisk();
    const store = await open(engineOn(disk));
    const events = record(store, 0);
    let release = () => {};
    const reached = new Promise<void>((resolve) => {
      disk.failpoint = (operation) => {
        resolve();
        return operation === 'sync' ? new Promise((go) => (release = go)) : undefined;
      };
    });
    const commit = store.commit([put('a')]);
    await reached;
    expect([names(store), events, store.revision]).toEqual([[], [], 0]);
    expect(store.pending(key('a'))?.revision).toBe(1);
    disk.failpoint = () => {};
    release();
    await commit;
    expect([names(store), brief(events), store.revision]).toEqual([['a'], ['1:put:a'], 1]);
  });

  test('that the engine cannot write are refused with all that was built on them, and the store goes on', async () => {
    const disk = new SimulatedDisk();
    const store = await open(engineOn(disk));
    disk.failpoint = () => {
      throw systemError('EIO', 'i/o error');
    };
    const results = await Promise.allSettled([store.commit([put('a', 0, 0)]), store.commit([put('a', 1, 1)])]);
    expect(results.map((r) => r.status)).toEqual(['rejected', 'rejected']);
    expect(store.health).toMatchObject({
      writable: false,
      reason: expect.stringContaining('cannot write to /simulated'),
    });
    disk.failpoint = () => {};
    // Revisions that were given once are not given again, though nobody has seen them.
    expect((await store.commit([put('a', 2, 0)])).revision).toBe(3);
    expect(names(store)).toEqual(['a']);
    expect(store.health.writable).toBe(true);
  });
});

describe('snapshots', () => {
  test('page in key order from any place, by namespace, and count without walking', async () => {
    const store = await open();
    for (const [ns, name] of [
      ['b', 'x'],
      ['a', 'y'],
      ['a', 'x'],
      ['ab', 'z'],
    ] as const)
      await store.commit([{ type: 'put', key: key(name, ns), object: pod(name) }]);
    const list = (scope: object, after?: { namespace: string; name: string }) =>
      [...store.snapshot().range({ resource: '/pods', ...scope }, after)].map(
        (e) => `${e.key.namespace}/${e.key.name}`,
      );
    expect(list({})).toEqual(['a/x', 'a/y', 'ab/z', 'b/x']);
    expect(list({}, { namespace: 'a', name: 'x' })).toEqual(['a/y', 'ab/z', 'b/x']);
    expect(list({ namespace: 'a' })).toEqual(['a/x', 'a/y']);
    expect(list({ namespace: 'a' }, { namespace: 'a', name: 'x' })).toEqual(['a/y']);
    expect(list({ name: 'x' })).toEqual(['a/x', 'b/x']);
    expect(store.snapshot().count({ resource: '/pods', namespace: 'a' })).toBe(2);
    expect(store.snapshot().count({ resource: '/services' })).toBe(0);
    for (const after of [
      { namespace: '', name: '' },
      { namespace: 'a', name: 'x' },
      { namespace: 'a', name: 'zz' },
      { namespace: 'z', name: 'z' },
    ])
      for (const scope of [
        { resource: '/pods' },
        { resource: '/pods', namespace: 'a' },
        { resource: '/pods', namespace: 'b' },
        { resource: '/pods', namespace: 'a', name: 'x' },
        { resource: '/none' },
      ])
        expect(store.snapshot().count(scope, after)).toBe([...store.snapshot().range(scope, after)].length);
  });

  test('of an old revision show the past; compacted and future ones say so', async () => {
    const store = await open();
    await store.commit([put('a')]);
    await store.commit([put('b')]);
    await store.commit([del('a')]);
    expect([names(store, 1), names(store, 2), names(store)]).toEqual([['a'], ['a', 'b'], ['b']]);
    expect(() => store.snapshot(4)).toThrow(FutureRevisionError);
    await store.compact(2);
    expect(() => store.snapshot(1)).toThrow(CompactedError);
    expect(names(store, 3)).toEqual(['b']);
  });
});

describe('watches', () => {
  test('replay what came after their revision and go on live, with the state before each change', async () => {
    const store = await open();
    await store.commit([put('a', 1)]);
    await store.commit([put('a', 2), put('b')]);
    const events = record(store, 1);
    await store.commit([del('a')]);
    expect(brief(events)).toEqual(['2:put:a', '2:put:b', '3:delete:a']);
    expect(events[0]?.previous).toMatchObject({ n: 1 });
    expect(events[2]?.object.metadata.resourceVersion).toBe('3');
    expect(events[2]?.previous).toMatchObject({ n: 2, metadata: { resourceVersion: '2' } });
  });

  test('see their own scope only', async () => {
    const store = await open();
    const one = record(store, 0, { namespace: 'default', name: 'a' });
    const byName = record(store, 0, { name: 'a' });
    const other = record(store, 0, { namespace: 'other' });
    const services = record(store, 0, { resource: '/services' });
    await store.commit([put('a'), put('b'), { type: 'put', key: key('a', 'other'), object: pod('a') }]);
    expect([one, byName, other, services].map((events) => events.length)).toEqual([1, 2, 1, 0]);
  });

  test('begun while an event is being delivered get it once', async () => {
    const store = await open();
    const late: StoreEvent[] = [];
    store.watch({ resource: '/pods' }, 0).subscribe((e) => {
      if (e.key.name === 'a') store.watch({ resource: '/pods' }, 0).subscribe((x) => late.push(x));
    });
    await store.commit([put('a')]);
    await store.commit([put('b')]);
    expect(brief(late)).toEqual(['1:put:a', '2:put:b']);
  });

  test('from a compacted revision end with CompactedError', async () => {
    const store = await open();
    for (const name of ['a', 'b', 'c']) await store.commit([put(name)]);
    await store.compact(2);
    let error: unknown;
    store.watch({ resource: '/pods' }, 1).subscribe({ error: (e) => (error = e) });
    expect(error).toEqual(new CompactedError(1, 2));
    expect(brief(record(store, 2))).toEqual(['3:put:c']);
  });

  test('history is bounded by count and by age', async () => {
    const clock = new VirtualClock();
    const retention = { commits: 8, bytes: 1 << 20, ageMs: 60_000 };
    const store = await openStore({ engine: memoryEngine(), clock, retention });
    for (let i = 0; i < 30; i++) await store.commit([put('a', i)]);
    expect(store.revision - store.compacted).toBeLessThanOrEqual(8);
    await clock.advance(61_000);
    await store.commit([put('a', 31)]);
    expect(store.compacted).toBe(30);
  });
});

describe('the engine on disk', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'trimtab-store-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test('gives back state, history and revision after a restart, so watches resume without a gap', async () => {
    const first = await open(await embeddedEngine(dir));
    await first.commit([put('a', 1)]);
    await first.commit([put('a', 2)]);
    await first.commit([put('b'), del('a')]);
    await first.close();
    const second = await open(await embeddedEngine(dir));
    expect([second.revision, names(second), names(second, 2)]).toEqual([3, ['b'], ['a']]);
    const events = record(second, 1);
    await second.commit([put('c')]);
    expect(brief(events)).toEqual(['2:put:a', '3:put:b', '3:delete:a', '4:put:c']);
    expect(events[0]?.previous).toMatchObject({ n: 1 });
    await second.close();
  });

  test('compaction survives a restart and never lets a revision be used twice', async () => {
    const first = await open(await embeddedEngine(dir));
    await first.commit([put('a')]);
    await first.commit([put('b')]);
    await first.commit([del('a')]);
    await first.compact(3);
    await first.close();
    const second = await open(await embeddedEngine(dir));
    expect([second.revision, second.compacted, names(second)]).toEqual([3, 3, ['b']]);
    await second.commit([del('b')]);
    await second.compact(4);
    await second.close();
    const third = await open(await embeddedEngine(dir));
    expect((await third.commit([put('c')])).revision).toBe(5);
    await third.close();
  });

  test('an acknowledged commit is in the files at once: a copy taken at any instant has it whole', async () => {
    const store = await open(await embeddedEngine(join(dir, 'live')));
    for (let i = 1; i <= 10; i++) {
      await store.commit([put('a', i), put('b', i)]);
      const copy = join(dir, `copy-${i}`);
      cpSync(join(dir, 'live'), copy, { recursive: true, filter: (file) => !file.endsWith('lock') });
      const recovered = await open(await embeddedEngine(copy));
      expect([...recovered.snapshot().range({ resource: '/pods' })].map((e) => e.object)).toMatchObject([
        { n: i },
        { n: i },
      ]);
      expect(recovered.revision).toBe(i);
      await recovered.close();
    }
    await store.close();
  });

  test('takes the directory of a process that is dead but whose parent has not noticed', async () => {
    // What the shell becomes never asks for its child, which stays a zombie until then.
    // The child ends once its parent is a program that never asks after it.
    const shell = spawn('sh', ['-c', 'read x <&3 & echo $!; exec sleep 60 3<&-'], {
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    });
    const pid = Number(String((await once(shell.stdout!, 'data'))[0]));
    while (readFileSync(`/proc/${shell.pid}/comm`, 'utf8') !== 'sleep\n')
      await new Promise((resolve) => setImmediate(resolve));
    shell.stdio[3]!.destroy();
    const stat = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    while (stat()[0] !== 'Z') await new Promise((resolve) => setImmediate(resolve));
    writeFileSync(join(dir, 'lock'), `${pid} ${stat()[19]}\n`);
    await (await embeddedEngine(dir)).close();
    shell.kill();
    await once(shell, 'exit');
  });

  test('refuses a directory another living process holds, not one a dead process left locked', async () => {
    const store = await open(await embeddedEngine(dir));
    await expect(embeddedEngine(dir)).rejects.toEqual(new DirectoryInUseError(dir, process.pid));
    await store.close();
    // A dead process's, and one whose id is another process's by now.
    for (const left of ['999999999 1\n', `${process.pid} 1\n`, '']) {
      writeFileSync(join(dir, 'lock'), left);
      expect(directoryHolder(dir)).toBeUndefined();
      const engine = await embeddedEngine(dir);
      expect(directoryHolder(dir)).toBe(process.pid);
      await engine.close();
      expect(readdirSync(dir).filter((name) => name.startsWith('lock') && !name.includes('mdb'))).toEqual([]);
    }
  });
});
