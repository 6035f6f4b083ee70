#!/usr/bin/env node
/**
 * Which of Kubernetes' conformance tests are judged here under their own names, and which are not.
 *
 *     node test/conformance/names.mjs [--judged]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../..', import.meta.url));
const prefixes = parse(readFileSync(new URL('names.yaml', import.meta.url), 'utf8'));
const names = Object.entries(prefixes).flatMap(([prefix, rests]) =>
  rests.map((rest) => `${prefix} ${rest} [Conformance]`),
);

const scratch = mkdtempSync(join(tmpdir(), 'trimtab-names-'));
const output = join(scratch, 'names.json');
const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
const nothing = ['--testNamePattern', 'no test is called this', '--json', `--outputFile=${output}`];
const files = ['test/conformance', 'test/e2e', 'net-plugin'];
const { status, stderr } = spawnSync(
  process.execPath,
  ['--experimental-vm-modules', '--no-warnings', jest, ...nothing, ...files],
  { cwd: root, encoding: 'utf8' },
);
if (status !== 0) throw new Error(stderr);
const tests = JSON.parse(readFileSync(output, 'utf8')).testResults.flatMap(({ name, assertionResults }) =>
  assertionResults.map(({ fullName }) => ({ fullName, file: relative(root, name) })),
);
rmSync(scratch, { recursive: true });

// A describe of ours may stand before a name, and what varies behind it.
const judging = (name) => tests.filter(({ fullName }) => fullName.includes(name)).map(({ file }) => file);
const missing = names.filter((name) => judging(name).length === 0);
if (process.argv.includes('--judged'))
  for (const name of names.filter((one) => !missing.includes(one)))
    console.log(`${name}: ${[...new Set(judging(name))]}`);
else for (const name of missing) console.log(name);
console.log(`${names.length - missing.length} of ${names.length} names are judged`);
