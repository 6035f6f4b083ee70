import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@trimtab/machinery';
import {
  embeddedEngine,
  openStore,
  restoreSnapshot,
  type Store,
  saveSnapshot,
  verifySnapshot,
  verifyStore,
} from '../index.js';

const SMALL = { segmentBytes: { least: 3000, most: 3000 } };
const put = (name: string, n: number) => ({
  type: 'put' as const,
  key: { resource: '/pods', namespace: 'default', name },
  object: { metadata: { name }, n, text: 'x'.repeat(200) },
});
const remove = (name: string) => ({ type: 'delete' as const, key: { resource: '/pods', namespace: 'default', name } });
const contents = (store: Store) =>
  [...store.snapshot().range({ resource: '/pods' })].map(
    ({ object }) => `${object.metadata.name}=${(object as { n?: number }).n}`,
  );

describe('a snapshot', () => {
  let dir: string;
  let store: Store;
  const open = async (name: string) =>
    openStore({ engine: await embeddedEngine(join(dir, name), SMALL), clock: new VirtualClock() });
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'trimtab-snapshot-'));
    store = await open('live');
  });
  afterEach(async () => {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test('taken while others write is of one revision, and becomes a store that goes on behind all known revisions', async () => {
    for (let i = 0; i < 40; i++) await store.commit([put(`pair-a`, i), put(`pair-b`, i), put(`p${i % 7}`, i)]);
    await store.commit([remove('p3')]);
    let writing = true;
    const writer = (async () => {
      for (let i = 100; writing; i++) {
        await store.commit([put('pair-a', i), put('pair-b', i)]);
        if (i % 20 === 0) await store.compact(store.revision - 3);
      }
    })();
    const file = join(dir, 'file.snapshot');
    const saved = await saveSnapshot(join(dir, 'live'), file).finally(() => {
      writing = false;
      return writer;
    });
    expect(await verifySnapshot(file)).toEqual(saved);
    const restored = await restoreSnapshot(file, join(dir, 'copy'), { bumpRevision: 1000 });
    expect(restored).toEqual({ ...saved, revision: saved.revision + 1000, before: undefined });
    const copy = await open('copy');
    expect(copy.revision).toBe(saved.revision + 1000);
    expect(copy.compacted).toBe(copy.revision);
    const [a, b] = contents(copy).filter((line) => line.startsWith('pair'));
    const others = contents(copy).filter((line) => !line.startsWith('pair'));
    expect(a!.slice('pair-a'.length)).toBe(b!.slice('pair-b'.length));
    expect(others).toEqual(['p0=35', 'p1=36', 'p2=37', 'p4=39', 'p5=33', 'p6=34']);
    expect((await copy.commit([put('new', 1)])).revision).toBeGreaterThan(copy.compacted);
    await copy.close();
    expect((await verifyStore(join(dir, 'copy'))).records).toBe(9);
  });

  test('takes the place of a store only by force, keeps that aside, and outnumbers its revisions', async () => {
    await store.commit([put('a', 1)]);
    const file = join(dir, 'file.snapshot');
    await saveSnapshot(join(dir, 'live'), file);
    await expect(restoreSnapshot(file, join(dir, 'live'), { bumpRevision: 5, force: true })).rejects.toThrow(
      /in use by process/,
    );
    for (let i = 0; i < 30; i++) await store.commit([put('a', i)]);
    await store.close();
    await expect(restoreSnapshot(file, join(dir, 'live'), { bumpRevision: 5 })).rejects.toThrow(
      /not empty; with --force/,
    );
    const { before } = await restoreSnapshot(file, join(dir, 'live'), { bumpRevision: 5, force: true });
    expect(before).toBe(join(dir, 'live.before-1'));
    expect((await verifyStore(before!)).revision).toBe(31);
    store = await open('live');
    expect([contents(store), store.revision]).toEqual([['a=1'], 36]);
    expect((await readdir(dir)).sort()).toEqual(['file.snapshot', 'live', 'live.before-1']);
  });

  test('of which any byte is changed or missing is refused, and nothing is restored from it', async () => {
    for (let i = 0; i < 5; i++) await store.commit([put(`p${i}`, i)]);
    const file = join(dir, 'file.snapshot');
    await saveSnapshot(join(dir, 'live'), file);
    const bytes = readFileSync(file);
    const damaged = join(dir, 'damaged');
    for (let at = 0; at < bytes.length; at += 17) {
      const copy = Buffer.from(bytes);
      copy[at]! ^= 0x10;
      writeFileSync(damaged, copy);
      await expect(verifySnapshot(damaged)).rejects.toThrow(/is no whole snapshot: .*; use another one/);
      writeFileSync(damaged, bytes.subarray(0, at));
      await expect(verifySnapshot(damaged)).rejects.toThrow(/is no whole snapshot: /);
    }
    await expect(restoreSnapshot(damaged, join(dir, 'copy'), { bumpRevision: 1 })).rejects.toThrow(/no whole snapshot/);
    expect((await readdir(dir)).sort()).toEqual(['damaged', 'file.snapshot', 'live']);
  });
});
