/**
 * Perturbation plans a second, and whether the kit does its work: every planted bug of the corpus is killed, and the clean
 * controllers raise no alarm. `--seeds N` plays the clean controllers with N seeds (nightly: 10000), each with a few plans
 * drawn from all there are; default 200.
 */
import { parseArgs } from 'node:util';
import { cleanScenarios, mutants } from '../controllers/testing/dist/corpus/corpus.js';
import { perturb } from '../controllers/testing/dist/index.js';

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '200' }, only: { type: 'string' } } });
const wanted = (name) => values.only === undefined || name.includes(values.only);

const timed = async (run) => {
  const start = performance.now();
  const result = await run();
  return [result, performance.now() - start];
};
const row = (...cells) => console.log(cells.map(([text, width]) => String(text).padEnd(width)).join('  '));

console.log('\nClean controllers, every single fault');
row(['controller', 12], ['plans', 7], ['ms/plan', 8], ['plans/s', 8], ['alarms', 6]);
let alarms = 0;
for (const { name, scenario } of cleanScenarios.filter((c) => wanted(c.name))) {
  await perturb(scenario, { plans: 30, pairs: 0 });
  const [{ plans, divergences }, ms] = await timed(() => perturb(scenario, { plans: 1000, pairs: 50, failures: 1000 }));
  alarms += divergences.length;
  row(
    [name, 12],
    [plans, 7],
    [(ms / plans).toFixed(1), 8],
    [((plans / ms) * 1000).toFixed(0), 8],
    [divergences.length, 6],
  );
  for (const { replay, findings } of divergences.slice(0, 5))
    console.log(`  ${replay}  ${findings[0]?.oracle}: ${findings[0]?.text}`);
}

console.log('\nPlanted bugs');
row(['controller', 10], ['class', 19], ['bug', 54], ['killed by', 30], ['plans', 5]);
let survivors = 0;
for (const { subject, name, class: bugClass, scenario } of mutants.filter((m) => wanted(m.subject))) {
  const { plans, divergences } = await perturb(scenario, { plans: 1000, failures: 1 });
  const [first] = divergences;
  if (!first) survivors++;
  const by = first ? `${first.findings[0]?.oracle} (${first.replay.split('plan=')[1]})` : 'SURVIVES';
  row([subject, 10], [bugClass, 19], [name, 54], [by, 30], [plans, 5]);
}
console.log(`${mutants.length} planted, ${survivors} survive`);

const seeds = Number(values.seeds);
let played = 0;
const [, ms] = await timed(async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const { name, scenario } = cleanScenarios[seed % cleanScenarios.length];
    if (!wanted(name)) continue;
    const { plans, divergences } = await perturb(scenario, { seed, plans: 0, pairs: 3 });
    played += plans;
    for (const { replay, findings } of divergences) {
      alarms++;
      console.log(`FALSE ALARM ${name} ${replay}: ${findings[0]?.oracle}: ${findings[0]?.text}`);
    }
  }
});
console.log(`\n${seeds} seeds, ${played} plans in ${(ms / 1000).toFixed(1)} s; ${alarms} false alarms in all`);
process.exitCode = survivors + alarms > 0 ? 1 : 0;
