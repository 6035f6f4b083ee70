import { perturb } from '../index.js';
import { cleanScenarios, mutants } from './corpus.js';
import { BUG_CLASSES } from './mutant.js';

/** Within what a test run has time for; `bench/perturb.mjs` plays everything, with as many seeds as wanted. */
test('there are planted bugs of every class, forty at least', () => {
  expect(mutants.length).toBeGreaterThanOrEqual(40);
  expect([...new Set(mutants.map((mutant) => mutant.class))].sort()).toEqual([...BUG_CLASSES].sort());
});

test.each(cleanScenarios)('the clean $name raises no alarm', async ({ scenario }) => {
  const report = await perturb(scenario, { plans: 4, pairs: 0 });
  report.expectNoDivergence();
});

/** Bugs that show only when something goes wrong: hunting them all takes minutes, and is the benchmark's. */
const NEED_FAULTS =
  /account|tenant go|refus|gone for a success|blindly|deleting first|transition time|it made in memory|notes the time|deadline in memory|before it has noted|cleans up when/;

test.each(mutants.filter(({ name }) => !NEED_FAULTS.test(name)).map((m) => [m.subject, m.name, m] as const))(
  'kills the %s that %s',
  async (_, __, { scenario }) => {
    const { divergences } = await perturb(scenario, { plans: 0, pairs: 0 });
    expect(divergences).toHaveLength(1);
  },
);
