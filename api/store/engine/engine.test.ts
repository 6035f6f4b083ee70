import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedDisk } from '../testing/simulated-disk.js';
import { engineContract } from './contract.js';
import { embeddedEngine, engineOn } from './embedded/embedded.js';
import { memoryEngine } from './memory.js';

engineContract('memory', () => {
  const engine = memoryEngine();
  return { open: () => engine };
});

engineContract('memory shared with others', () => {
  const engine = memoryEngine({ shared: true });
  return { open: () => engine };
});

engineContract('the embedded engine', () => {
  const directory = mkdtempSync(join(tmpdir(), 'trimtab-engine-'));
  return {
    open: () => embeddedEngine(directory),
    dispose: () => rmSync(directory, { recursive: true, force: true }),
  };
});

engineContract('the embedded engine with segments of a few records', () => {
  const disk = new SimulatedDisk();
  return { open: () => engineOn(disk, { segmentBytes: { least: 300, most: 300 } }) };
});

test('while many commits that one sync made durable are told of, others get their turns, and the order stays', async () => {
  const engine = engineOn(new SimulatedDisk());
  const told: number[] = [];
  await engine.open({ next: ({ revision }) => void told.push(revision) });
  let turns = 0;
  let done = false;
  const count = (): void => {
    turns++;
    if (!done) setImmediate(count);
  };
  const writes = Array.from({ length: 200 }, (_, i) =>
    engine.transact({ compares: [], changes: [{ key: `k${i}`, value: 'v' }], time: 0 }),
  );
  const first = writes[0]!.then(() => setImmediate(count));
  const revisions = await Promise.all(writes);
  done = true;
  await first;
  expect(told).toEqual(revisions);
  expect(told).toEqual([...told].sort((a, b) => a - b));
  expect(turns).toBeGreaterThanOrEqual(4);
  await engine.close();
});
