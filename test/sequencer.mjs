/**
 * The order of test files: those that take longest first, so that at the end no worker is alone with a long one. `durations.json` says
 * how many seconds they took; files it does not name come after those it names, the largest first. It is made anew from what a run says:
 *
 *     npm run jest -- --json --outputFile=run.json; node test/sequencer.mjs run.json
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sequencer from '@jest/test-sequencer';

const root = fileURLToPath(new URL('..', import.meta.url));
const table = new URL('durations.json', import.meta.url);
/** Shorter ones come in no order that matters. */
const LEAST_SECONDS = 4;

export default class LongestFirst extends Sequencer {
  sort(tests) {
    const seconds = JSON.parse(readFileSync(table, 'utf8'));
    const weighed = [...tests].map((test) => ({
      test,
      seconds: seconds[relative(root, test.path)] ?? 0,
      bytes: statSync(test.path).size,
    }));
    weighed.sort((a, b) => b.seconds - a.seconds || b.bytes - a.bytes);
    return weighed.map(({ test }) => test);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
  const rows = testResults
    .map(({ name, startTime, endTime }) => [relative(root, name), Math.round((endTime - startTime) / 1000)])
    .filter(([, seconds]) => seconds >= LEAST_SECONDS)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  writeFileSync(table, `${JSON.stringify(Object.fromEntries(rows), undefined, 2)}\n`);
}
