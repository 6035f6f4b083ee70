import { perturb } from '../index.js';
import { cleanScenarios, mutants } from './corpus.js';
import { BUG_CLASSES } from './mutant.js';

/** Within what a test run has time for; `bench/perturb.mjs` plays everything, with as many seeds as wanted. */
test('there are planted bugs of every class, forty at least', () => {
  expect(mutants.length).toBeGreaterThanOrEqual(40);
  expect([...new Set(mutants.map((mutant) => mutant.class))].sort()).toEqual([...BUG_CLASSES].sort());
});

test.each(cleanScenarios)('the clean $name raises no alarm', async ({ scenario }) => {
  for (const seed of [1, 2, 3]) {
    const report = await perturb(scenario, { seed, plans: 12, pairs: 4 });
    report.expectNoDivergence();
  }
});

test.each(mutants.map((mutant) => [mutant.subject, mutant.name, mutant] as const))(
  'kills the %s that %s',
  async (_, __, { scenario }) => {
    const faults = ['slow', 'crash-after', 'crash-before', 'refused', 'lost'] as const;
    const { divergences } = await perturb(scenario, { failures: 1, faults, pairs: 0 });
    expect(divergences).toHaveLength(1);
  },
);
