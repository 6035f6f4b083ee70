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
