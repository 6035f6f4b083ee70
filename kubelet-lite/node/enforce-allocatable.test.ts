import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cgroupTree } from '../stats/cgroup-tree.js';
import { enforce, enforcements } from './enforce-allocatable.js';

const capacity = { milliCPU: 4_000, memoryBytes: 8 * 2 ** 30, pids: 32_768 };
const reserved = { milliCPU: 1_000, memoryBytes: 2 ** 30, pids: 1_000 };
const v1 = cgroupTree(
  'cgroup /c/memory cgroup rw,memory\ncgroup /c/cpu cgroup rw,cpu\ncgroup /c/pids cgroup rw,pids',
  () => '',
);
const v2 = cgroupTree('cgroup2 /c cgroup2 rw', () => 'cpu memory pids');
const written = (tree: typeof v1, away: typeof reserved) =>
  enforcements(tree, capacity, away).map(({ hierarchy, file, value }) => `${hierarchy.mount}/${file}=${value}`);

test('pods together have what is not reserved, in the files of v1 and of v2', () => {
  expect(written(v1, reserved)).toEqual([
    '/c/memory/memory.limit_in_bytes=7516192768',
    '/c/cpu/cpu.shares=3072',
    '/c/pids/pids.max=31768',
  ]);
  expect(written(v2, reserved)).toEqual(['/c/memory.max=7516192768', '/c/cpu.weight=118', '/c/pids.max=31768']);
});

test('of what nothing is reserved nothing is limited', () => {
  expect(written(v1, { milliCPU: 0, memoryBytes: 0, pids: 0 })).toEqual([]);
});

test('the group is made where there is none yet', async () => {
  const mount = await fs.mkdtemp(join(tmpdir(), 'tt-enforce-'));
  try {
    await enforce([{ hierarchy: { version: 1, mount }, file: 'memory.limit_in_bytes', value: '5' }]);
    expect(await fs.readFile(join(mount, 'kubepods', 'memory.limit_in_bytes'), 'utf8')).toBe('5');
  } finally {
    await fs.rm(mount, { recursive: true });
  }
});
