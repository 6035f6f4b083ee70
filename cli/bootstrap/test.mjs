/** `npm test`: prepares the checkout and runs all tests; ends with `N passed, N failed`. Arguments go to jest. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare, root, step } from './prepare.mjs';

prepare('build', 'guestbook', 'test');

const chosen = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'trimtab-test-'));
const total = { passed: 0, failed: 0, skipped: 0 };
let broken = false;

// End-to-end tests own the machine while they run, so they come by themselves and one after the other.
const runs =
  chosen.length > 0
    ? [['chosen', chosen]]
    : [
        ['unit', ['--maxWorkers=2', '--testPathIgnorePatterns', '/node_modules/', '/dist/', '<rootDir>/test/e2e/']],
        ['e2e', ['--runInBand', 'test/e2e']],
      ];
for (const [name, args] of runs) {
  step('test', name);
  const output = join(scratch, `${name}.json`);
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const node = [
    '--experimental-vm-modules',
    '--no-warnings',
    jest,
    '--json',
    `--outputFile=${output}`,
    '--passWithNoTests',
    ...args,
  ];
  // With --json jest writes its report to standard error and the JSON to the file.
  const { status } = spawnSync(process.execPath, node, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    const result = JSON.parse(readFileSync(output, 'utf8'));
    total.passed += result.numPassedTests;
    total.failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
    total.skipped += result.numPendingTests + result.numTodoTests;
  } catch {
    broken = true;
  }
  if (status !== 0) broken = true;
}
rmSync(scratch, { recursive: true, force: true });
if (broken && total.failed === 0) total.failed = 1;
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(broken ? 1 : 0);
