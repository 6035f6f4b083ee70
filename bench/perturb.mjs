/**
 * What a perturbation plan costs, and whether the kit does its work. Without options: every single fault and fifty pairs for
 * each clean controller of the corpus, then the hunt for every planted bug, with the table of who was killed by what; the
 * table is kept in `controllers/testing/corpus/generated/kills.ts`, of which the tests replay each line.
 *
 *   --clean 10000 [--from 1]   plays the clean controllers with so many seeds, each with one or two faults drawn by it
 *   --only ring                one controller
 *
 * Ends with 1 when a bug survives or a clean controller raises an alarm.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cleanScenarios, mutantId, mutants } from '../controllers/testing/dist/corpus/corpus.js';
import { perturb, world } from '../controllers/testing/dist/index.js';
import { median } from './lib/stats.mjs';

const KILLS = new URL('../controllers/testing/corpus/generated/kills.ts', import.meta.url);
const { values } = parseArgs({
  options: {
    clean: { type: 'string' },
    from: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const wanted = (name) => values.only === undefined || name.includes(values.only);
const row = (...cells) => console.log(cells.map(([text, width]) => String(text).padEnd(width)).join('  '));

/** What `run` gives, and the milliseconds it took: of processor time, V8's threads included, and of waiting for it. */
async function timed(run) {
  const before = process.cpuUsage();
  const began = performance.now();
  const result = await run();
  const { user, system } = process.cpuUsage(before);
  return [result, (user + system) / 1000, performance.now() - began];
}

function showAlarms(name, divergences) {
  for (const { replay, findings } of divergences.slice(0, 5))
    console.log(`FALSE ALARM ${name} ${replay}  ${findings[0]?.oracle}: ${findings[0]?.text}`);
}

async function worldCost() {
  const times = [];
  for (let i = 0; i < 50; i++) {
    const [w, ms] = await timed(() => world({ kubelet: true }));
    times.push(ms);
    await w.close();
  }
  console.log(`a world with a kubelet: ${median(times).toFixed(1)} ms`);
}

/** Seeds are dealt to the controllers in turn. Chunks, so that what has been played so far is seen. */
async function playSeeds(seeds, from) {
  const scenarios = cleanScenarios.filter(({ name }) => wanted(name));
  const each = Math.ceil(seeds / scenarios.length);
  const CHUNK = 200;
  let [played, alarms, spent] = [0, 0, 0];
  for (let done = 0; done < each; done += CHUNK)
    for (const { name, scenario } of scenarios) {
      const count = Math.min(CHUNK, each - done);
      const options = { seed: from + done, seeds: count, plans: 0, pairs: 0, failures: 1000 };
      const [{ plans, divergences }, ms] = await timed(() => perturb(scenario, options));
      played += plans;
      spent += ms;
      alarms += divergences.length;
      showAlarms(name, divergences);
      console.log(`${played} seeds, ${alarms} false alarms, ${(spent / played).toFixed(1)} ms a plan`);
    }
  return alarms;
}

async function playFaults() {
  console.log('\nClean controllers: every single fault, fifty pairs');
  row(['controller', 12], ['plans', 7], ['processor', 10], ['elapsed', 10], ['plans/s', 8], ['alarms', 6]);
  let alarms = 0;
  for (const { name, scenario } of cleanScenarios.filter((c) => wanted(c.name))) {
    await perturb(scenario, { plans: 30, pairs: 0 });
    const options = { plans: 2000, pairs: 50, failures: 1000 };
    const [{ plans, divergences }, ms, elapsed] = await timed(() => perturb(scenario, options));
    alarms += divergences.length;
    const each = (of) => `${(of / plans).toFixed(1)} ms`;
    const rate = ((1000 * plans) / elapsed).toFixed(0);
    row([name, 12], [plans, 7], [each(ms), 10], [each(elapsed), 10], [rate, 8], [divergences.length, 6]);
    showAlarms(name, divergences);
  }
  return alarms;
}

async function hunt() {
  console.log('\nPlanted bugs');
  row(['controller', 10], ['class', 18], ['bug', 51], ['found by', 14], ['plan', 34], ['plans', 5]);
  const kills = [];
  let survivors = 0;
  for (const mutant of mutants.filter((m) => wanted(m.subject))) {
    const { plans, divergences } = await perturb(mutant.scenario, { plans: 2000, failures: 1 });
    const [first] = divergences;
    if (first) kills.push([mutantId(mutant), first.replay]);
    else survivors++;
    row(
      [mutant.subject, 10],
      [mutant.class, 18],
      [mutant.name, 51],
      [first?.findings[0]?.oracle ?? 'SURVIVES', 14],
      [first?.replay.split('plan=')[1] ?? '', 34],
      [plans, 5],
    );
  }
  console.log(`${kills.length} killed, ${survivors} survive`);
  if (values.only === undefined)
    writeFileSync(
      KILLS,
      '/** What kills each planted bug; made by `node bench/perturb.mjs`. */\n' +
        'export const KILLS: Readonly<Record<string, string>> = {\n' +
        `${kills.map(([id, line]) => `  '${id}': '${line}',`).join('\n')}\n};\n`,
    );
  return survivors;
}

if (values.clean !== undefined)
  process.exitCode = (await playSeeds(Number(values.clean), Number(values.from))) > 0 ? 1 : 0;
else {
  await worldCost();
  const alarms = await playFaults();
  const survivors = await hunt();
  process.exitCode = alarms + survivors > 0 ? 1 : 0;
}
