import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Much more than a quiet machine needs. */
const PATIENCE_MS = 900_000;

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const why =
  process.getuid?.() !== 0
    ? 'not root'
    : existsSync(file('../../cli/dist/bundle/main.cjs'))
      ? existsSync('/usr/bin/redis-check-rdb')
        ? undefined
        : 'redis-tools, which the image of the pods is made of, is not installed'
      : 'not built: npm run build';

(why ? test.skip : test)(
  `kubelets, cores, pods' processes and containers are killed at any instant; every pod ends as it should, and nothing is left${why ? `: ${why}` : ''}`,
  async () => {
    const words = [file('./pods.mjs'), '--pods', '40', '--kills', '20', '--seed', '7'];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        output += String(data);
      });
    const code = await new Promise((resolve) => child.on('close', resolve));
    if (code !== 0) throw new Error(output);
    expect(output).toContain('nothing leaked, and every pod ended as it should');
  },
  PATIENCE_MS,
);
