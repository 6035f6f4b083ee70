import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { ownMemoryDir, releaseMemory } from './memory-dir.js';

const shm = '/dev/shm';
let shared: string;
beforeEach(async () => {
  shared = await fs.mkdtemp(join(shm, 'memory-dir-test-'));
});
afterEach(() => fs.rm(shared, { recursive: true, force: true }));

test('what pods have in memory is closed to other users, and gone when the node is', async () => {
  const directory = (await ownMemoryDir('/a', shared))!;
  expect(await ownMemoryDir('/a/../a', shared)).toBe(directory);
  const other = (await ownMemoryDir('/b', shared))!;
  expect(other).not.toBe(directory);
  expect((await fs.stat(join(shared, 'trimtab'))).mode & 0o777).toBe(0o700);
  for (const one of [directory, other]) await fs.mkdir(join(one, 'pod'), { recursive: true });
  await releaseMemory('/a', undefined, shared);
  expect(await fs.readdir(join(shared, 'trimtab'))).toHaveLength(1);
  await releaseMemory('/b', undefined, shared);
  expect(await fs.readdir(shared)).toEqual([]);
});

test('a directory that somebody else made there is refused', async () => {
  await fs.mkdir(join(shared, 'elsewhere'));
  await fs.symlink(join(shared, 'elsewhere'), join(shared, 'trimtab'));
  await expect(ownMemoryDir('/a', shared)).rejects.toThrow(/belongs to another user.*remove it/);
  await fs.rm(join(shared, 'trimtab'));
  await fs.mkdir(join(shared, 'trimtab'), { mode: 0o755 });
  await ownMemoryDir('/a', shared);
  expect((await fs.stat(join(shared, 'trimtab'))).mode & 0o777).toBe(0o700);
  if (process.getuid?.() !== 0) return;
  await fs.chown(join(shared, 'trimtab'), 1000, 1000);
  await expect(ownMemoryDir('/a', shared)).rejects.toThrow(/belongs to another user/);
});
