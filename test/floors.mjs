/**
 * Lint: the floors of the house. A package imports only packages of lower floors, and only what its package.json declares;
 * nothing reaches into another package past its index; no file is longer than 400 lines (tables excepted).
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

const FLOORS = {
  'api/machinery': 0,
  'api/store': 1,
  'api/client': 1,
  'api/server': 2,
  'controllers/framework': 2,
  crd: 3,
  'controllers/testing': 3,
  controllers: 4,
  'kubelet-lite': 4,
  'net-plugin': 4,
  charts: 4,
  examples: 5,
  cli: 5,
  test: 6,
};
const NAMES = new Map(
  Object.keys(FLOORS)
    .filter((d) => d !== 'test')
    .map((d) => {
      try {
        return [JSON.parse(readFileSync(`${d}/package.json`, 'utf8')).name, d];
      } catch {
        return ['', d];
      }
    }),
);
const roomOf = (file) =>
  Object.keys(FLOORS)
    .sort((a, b) => b.length - a.length)
    .find((d) => file.startsWith(`${d}/`));

const files = execFileSync('git', ['ls-files', '*.ts', '*.c', '*.h'], { encoding: 'utf8' }).split('\n').filter(Boolean);
const problems = [];
for (const file of files) {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    continue; // deleted in the work tree
  }
  const lines = text.split('\n').length;
  const table = /generated\/|\.test\.ts$|\/testing(\/|\.ts$)|\/test-[a-z]+\.ts$/.test(file);
  if (lines > 401 && !table) problems.push(`${file}: ${lines} lines; past 400 it is two concepts`);
  const room = roomOf(file);
  if (!room || !file.endsWith('.ts')) continue;
  for (const [, from] of text.matchAll(/(?:from|import\()\s*'([^']+)'/g)) {
    if (from.startsWith('.')) {
      const target = relative('.', resolve(dirname(file), from));
      if (roomOf(`${target}/`) !== room && !target.startsWith(`${room}/`) && room !== 'test')
        problems.push(`${file}: reaches into another room: ${from}`);
      continue;
    }
    if (from.startsWith('@kubernetes/client-node') && room !== 'test')
      problems.push(`${file}: the official client is for tests that need a foreign one: ${from}`);
    const [scope, name] = from.split('/');
    const packageName = scope.startsWith('@') ? `${scope}/${name}` : scope;
    const target = NAMES.get(packageName);
    if (target === undefined || target === room) continue;
    if (from !== packageName) problems.push(`${file}: imports past the index of ${packageName}: ${from}`);
    if (FLOORS[target] >= FLOORS[room])
      problems.push(`${file}: floor ${FLOORS[room]} imports ${packageName} of floor ${FLOORS[target]}`);
  }
  if (
    FLOORS[room] < 5 &&
    !table &&
    /\bprocess\.env\b|\bDate\.now\(\)|\bMath\.random\(\)/.test(text) &&
    file !== 'api/machinery/clock.ts'
  )
    problems.push(`${file}: environment, wall clock or chance below floor 5; take them as parameters`);
}
for (const problem of problems) console.error(problem);
process.exit(problems.length > 0 ? 1 : 0);
