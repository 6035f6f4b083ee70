import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Twice what a quiet machine needs, many times over. */
const PATIENCE_MS = 300_000;

test(
  'a hundred lives of a store, each ended by a failpoint, kill -9 or the power, lose nothing and show nothing that was not',
  async () => {
    const script = fileURLToPath(new URL('./crash.mjs', import.meta.url));
    const child = spawn(process.execPath, [script, '--cycles', '100'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        output += String(data);
      });
    const code = await new Promise((resolve) => child.on('close', resolve));
    if (code !== 0) throw new Error(output);
    console.info(output);
  },
  PATIENCE_MS,
);
