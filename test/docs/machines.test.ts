import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

test('docs/machines.md shows the machines as they are; npm run docs:machines makes it anew', async () => {
  const { allMachines } = await import(join(root, 'docs/machines.mjs'));
  const { pageOf } = await import(join(root, 'docs/machine-diagram.mjs'));
  const entries = await allMachines(root, (file: string) => import(join(root, file)));
  expect(entries.length).toBeGreaterThan(20);
  expect(readFileSync(join(root, 'docs/machines.md'), 'utf8')).toBe(pageOf(entries));
});
