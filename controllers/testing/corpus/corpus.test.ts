import { perturb, replay } from '../index.js';
import { cleanScenarios, mutantId, mutants } from './corpus.js';
import { KILLS } from './generated/kills.js';
import { BUG_CLASSES } from './mutant.js';

/** What `node bench/perturb.mjs` plays in full (every fault for every bug, 10,000 seeds), within what a test run has time for. */
const SEEDS = 3;

test('there are planted bugs of every class, forty at least, and each has what kills it', () => {
  expect(mutants.length).toBeGreaterThanOrEqual(40);
  expect([...new Set(mutants.map((mutant) => mutant.class))].sort()).toEqual([...BUG_CLASSES].sort());
  expect(Object.keys(KILLS).sort()).toEqual(mutants.map(mutantId).sort());
});

test.each(cleanScenarios)(`the clean $name raises no alarm over ${SEEDS} seeds`, async ({ scenario }) => {
  const report = await perturb(scenario, { plans: 0, pairs: 0, seeds: SEEDS });
  report.expectNoDivergence();
  expect(report.plans).toBe(SEEDS);
});

test.each(mutants.map((mutant) => ({ ...mutant, line: KILLS[mutantId(mutant)]! })))(
  'the $subject that $name ($class) is killed by $line',
  async ({ scenario, line }) => {
    const { divergences } = await replay(scenario, line);
    expect(divergences.map((divergence) => divergence.replay)).toEqual([line]);
  },
);

test('no line kills the clean controllers that their bugs are planted in', async () => {
  for (const { name, scenario } of cleanScenarios) {
    const lines = new Set(mutants.filter(({ subject }) => subject === name).map((mutant) => KILLS[mutantId(mutant)]!));
    for (const line of lines) (await replay(scenario, line)).expectNoDivergence();
  }
});
