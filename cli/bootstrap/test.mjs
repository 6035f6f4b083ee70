/** `npm test`: prepares the checkout and runs all tests; ends with `N passed, N failed`. Arguments go to jest. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare, root, step } from './prepare.mjs';

prepare('build', 'guestbook', 'test');

const chosen = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'trimtab-test-'));
const output = join(scratch, 'run.json');

// One worker more than there are processors: many tests wait for a cluster, a pod or a period more than they compute. What needs a
// network makes one of its own, so everything can run beside everything.
const args = chosen.length > 0 ? chosen : [`--maxWorkers=${availableParallelism() + 1}`];
step('test', chosen.length > 0 ? chosen.join(' ') : 'unit and end to end');
const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
const node = ['--experimental-vm-modules', '--no-warnings', jest, '--json', `--outputFile=${output}`];
// With --json jest writes its report to standard error and the JSON to the file.
const { status } = spawnSync(process.execPath, [...node, '--passWithNoTests', ...args], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
});
let broken = status !== 0;
let [passed, failed, skipped] = [0, 0, 0];
try {
  const result = JSON.parse(readFileSync(output, 'utf8'));
  passed = result.numPassedTests;
  failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  skipped = result.numPendingTests + result.numTodoTests;
} catch {
  broken = true;
}
rmSync(scratch, { recursive: true, force: true });
if (broken && failed === 0) failed = 1;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exit(broken ? 1 : 0);
