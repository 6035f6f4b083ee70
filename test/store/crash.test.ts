import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Many times what a quiet machine needs: each of the hundred lives is a start of Node. */
const PATIENCE_MS = 900_000;

test(
  'a hundred lives of a store, each ended by a failpoint, kill -9 or the power, lose nothing and show nothing that was not',
  async () => {
    const script = fileURLToPath(new URL('./crash.mjs', import.meta.url));
    // Where the failpoints are is the same in every run; other seeds are for whoever looks for what no run has found yet.
    const words = [script, '--cycles', '100', '--min-rate', '0', '--seed', '1'];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
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
