import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster, PATIENCE_MS, Place } from '../cluster.js';
import { installedVersions, Kubectl } from '../kubectl-program.js';
import { type Cell, words, wrong } from './cell.js';
import { APPLYING, CHANGING, ENDING } from './changing.js';
import { MADE, MAKING } from './making.js';
import { writeManifests } from './manifests.js';
import { ASKING, LOOKING } from './reading.js';

/**
 * Every version of kubectl against one cluster of simulated nodes: each command is a cell of the matrix. A version's cells run
 * in the order of the table, each on what those before it made, and two versions at a time.
 */

const CELLS = [...LOOKING, ...MAKING, ...ASKING, ...MADE, ...APPLYING, ...CHANGING, ...ENDING];
const installed = await installedVersions();
const present = installed.filter((one): one is { version: string; program: string } => one.program !== undefined);
const minorOf = (version: string): number => Number(version.split('.')[1] ?? 33);
const cellsOf = (version: string) => CELLS.filter(({ only }) => only?.(minorOf(version)) ?? true);

/** What was wrong, by version and place in the table. */
const results = new Map<string, (string | undefined)[]>();
let place: Place;
let cluster: Cluster;

beforeAll(async () => {
  place = await new Place().make();
  cluster = await Cluster.start(place, '--no-node', '--simulated-nodes', String(VERSIONS_AND_ONE));
  const waiting = [...present.entries()];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await runVersion(next[1], next[0]);
  };
  await Promise.all([worker(), worker()]);
}, 3_600_000);

afterAll(async () => {
  const green = [...results.values()].flat().filter((problem) => problem === undefined).length;
  process.stderr.write(`${green} cells green of ${present.length} kubectl versions\n`);
  await cluster?.stop();
  await place?.remove();
});

/** A node for every version to drain, and one that nobody does. */
const VERSIONS_AND_ONE = present.length + 1;

async function runVersion({ version, program }: { version: string; program: string }, index: number): Promise<void> {
  const namespace = `v${version.replace(/[^0-9]+/g, '-')}`;
  const directory = join(place.dataDir, `manifests-${namespace}`);
  await mkdir(directory);
  await writeManifests(directory, namespace);
  const kubectl = new Kubectl(cluster, program, namespace);
  await kubectl.ok('create', 'namespace', namespace);
  const fill = (text: string): string =>
    text
      .replaceAll('$NS', namespace)
      .replaceAll('$NODE', `simulated-${index + 1}`)
      .replaceAll('$DIR', directory);
  const filled = (cell: Cell): Cell => ({
    ...cell,
    command: fill(cell.command),
    ...(typeof cell.out === 'string' ? { out: fill(cell.out) } : {}),
    ...(typeof cell.err === 'string' ? { err: fill(cell.err) } : {}),
  });
  const problems: (string | undefined)[] = [];
  results.set(version, problems);
  for (const cell of cellsOf(version)) problems.push(await runCell(kubectl, filled(cell)));
  await kubectl.ok('delete', 'namespace', namespace, '--wait=false');
}

async function runCell(kubectl: Kubectl, cell: Cell): Promise<string | undefined> {
  if (cell.until) return runUntil(kubectl, cell, cell.until);
  const options = {
    ...(cell.input === undefined ? {} : { input: JSON.stringify(cell.input) }),
    ...(cell.env ? { env: cell.env } : {}),
  };
  const end = performance.now() + (cell.eventually ? PATIENCE_MS : 0);
  for (;;) {
    const problem = wrong(cell, await kubectl.run(options, ...words(cell.command)));
    if (problem === undefined || performance.now() > end) return problem;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function runUntil(kubectl: Kubectl, cell: Cell, until: RegExp): Promise<string | undefined> {
  const running = kubectl.start(...words(cell.command));
  // A watch says nothing of when it has begun, so what it shall see is done again until it did.
  const end = performance.now() + PATIENCE_MS;
  let count = 0;
  while (!until.test(running.output()) && performance.now() < end) {
    if (cell.meanwhile) await kubectl.run({}, ...words(cell.meanwhile.replaceAll('$COUNT', String(count++))));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const output = running.output();
  await running.stop();
  return until.test(output) ? undefined : `did not say ${until} but: ${output}`;
}

for (const { version, program } of installed) {
  if (program === undefined) test.skip(`kubectl ${version} (kubectl.${version} does not lie beside kubectl)`, () => {});
  else
    describe(`kubectl ${version}`, () => {
      test.each(cellsOf(version).map((cell, i) => [cell.command, i] as const))('%s', (_, i) => {
        const problem = results.get(version)![i];
        if (problem !== undefined) throw new Error(problem);
      });
    });
}
